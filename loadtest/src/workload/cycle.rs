//! What players do on average in a session: its length, the rate of events that follows from the model, and where an
//! observer finds a player.

use super::player::State;
use super::step::{Exits, Rules, TOP_START_LEVEL, level_chance};
use super::{Model, World};

/// The average session of one class of players.
pub(super) struct Cycle {
    /// The seconds spent in each state.
    pub(super) seconds: [(State, f64); 5],
    /// The seconds of a session.
    pub(super) session_s: f64,
    /// Its events.
    events: f64,
}

impl Cycle {
    fn of(rules: &Rules, exits: &Exits, rise_chance: f64) -> Self {
        let pauses = 1.0 / (1.0 - exits.buy_chance - exits.play_chance);
        let matches = pauses * exits.play_chance;
        let rises = matches * rise_chance;
        let seconds = [
            (State::Arriving, rules.arriving.mean_s()),
            (State::Entering, (1.0 + matches) * rules.entering.mean_s()),
            (State::Lobby, pauses * rules.lobby.mean_s()),
            (State::Match, matches * rules.matches.mean_s()),
            (State::Rising, rises * rules.entering.mean_s()),
        ];
        let session_s: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();

        let session_start_and_login = 2.0;
        let lobby_entries = 1.0 + matches;
        let starts_and_ends = 2.0 * matches;
        let knockouts = matches * rules.matches.mean_s() / rules.knockout.mean_s();
        let purchases = pauses * exits.buy_chance;
        let logouts = 1.0 - rules.crashes;
        let heartbeats = session_s / rules.heartbeat_s;
        let in_matches = starts_and_ends + knockouts + rises;
        let events = session_start_and_login + lobby_entries + in_matches + purchases + logouts + heartbeats;
        Self { seconds, session_s, events }
    }
}

/// Both classes of players.
pub(super) struct Cycles {
    pub(super) payer: Cycle,
    pub(super) other: Cycle,
    payers: f64,
}

/// A steady state: who is online where a given share of the players is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// The chance that a payer is online.
    pub(super) payer: f64,
    /// The same for the others.
    pub(super) other: f64,
    /// Sessions that begin, per second and player.
    pub(super) arrivals: f64,
}

impl Cycles {
    pub(super) fn new(model: &Model, rules: &Rules) -> Self {
        let rise_chance = mean_level_chance(model);
        Self {
            payer: Cycle::of(rules, &rules.payer, rise_chance),
            other: Cycle::of(rules, &rules.other, rise_chance),
            payers: rules.payers,
        }
    }

    /// The steady state in which `online` of the players are online, 0 to 1.
    ///
    /// Arrivals draw players from those offline without regard to class. With `pull` arrivals a second per player
    /// offline, a class of mean session m is online a share m · pull / (1 + m · pull) of the time; `pull` is what makes
    /// both classes together come to `online`.
    pub(super) fn mix(&self, online: f64) -> Mix {
        let share = |cycle: &Cycle, pull: f64| {
            if pull.is_infinite() { 1.0 } else { cycle.session_s * pull / (1.0 + cycle.session_s * pull) }
        };
        let both = |pull| self.payers * share(&self.payer, pull) + (1.0 - self.payers) * share(&self.other, pull);
        let pull = if online >= 1.0 {
            f64::INFINITY
        } else {
            let (mut low, mut high) = (-60.0_f64, 60.0_f64);
            for _ in 0..80 {
                let middle = (low + high) / 2.0;
                if both(middle.exp()) < online { low = middle } else { high = middle }
            }
            if online > 0.0 { low.exp() } else { 0.0 }
        };
        let (payer, other) = (share(&self.payer, pull), share(&self.other, pull));
        let arrivals = self.payers * payer / self.payer.session_s + (1.0 - self.payers) * other / self.other.session_s;
        Mix { payer, other, arrivals }
    }

    /// The share of payers among those who arrive.
    pub(super) fn payers_arriving(&self, mix: Mix) -> f64 {
        if mix.arrivals > 0.0 { self.payers * mix.payer / self.payer.session_s / mix.arrivals } else { self.payers }
    }
}

impl World {
    /// The events of one player who is online in a second of game time, on average, starts and ends of sessions
    /// included. Taken where half of the players are online; elsewhere it differs by less than 1 %, because the mix of
    /// payers and others does.
    pub(crate) fn events_per_online_second(&self) -> f64 {
        let Cycles { payer, other, payers } = &self.cycles;
        let mix = self.cycles.mix(0.5);
        let (payers, others) = (payers * mix.payer, (1.0 - payers) * mix.other);
        let events = payers * payer.events / payer.session_s + others * other.events / other.session_s;
        events / (payers + others)
    }
}

/// The chance over the levels at the start of a run.
fn mean_level_chance(model: &Model) -> f64 {
    let mean = model.levels.start_mean;
    // The share of start levels from `level` on is exp(-(level - 1) / mean); the top one takes all beyond it.
    let from = |level: u8| (-f64::from(level - 1) / mean).exp();
    let share = |level: u8| from(level) - if level == TOP_START_LEVEL { 0.0 } else { from(level + 1) };
    (1..=TOP_START_LEVEL).map(|level| level_chance(&model.levels, level) * share(level)).sum()
}
