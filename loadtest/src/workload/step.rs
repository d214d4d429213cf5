//! How players move: which step follows which, and after how long.
//!
//! A step takes one hash of (seed, player, sequence), whose bits are the draws. Players start in the model's steady
//! state, so that the promised rate holds from the first second on.

use super::cycle::{Cycle, Mix};
use super::law::Law;
use super::player::{HORIZON, State};
use super::{Happening, Kind, Model, Player, World};
use crate::engine::{Draw, Purpose};

/// Levels at the start end here.
pub(super) const TOP_START_LEVEL: u8 = 90;

/// The model's numbers, as steps need them.
pub(super) struct Rules {
    heartbeat_least_ms: u32,
    heartbeat_span_ms: u32,
    pub(super) heartbeat_s: f64,
    pub(super) arriving: Law,
    pub(super) entering: Law,
    pub(super) lobby: Law,
    pub(super) matches: Law,
    pub(super) knockout: Law,
    pub(super) payer: Exits,
    pub(super) other: Exits,
    logs_out: u64,
    pub(super) crashes: f64,
    /// By level, the chance that a match earns one.
    rises: Box<[u64; 256]>,
    start_mean: f64,
    pub(super) payers: f64,
}

/// Where the end of a pause in the lobby leads, as cumulative thresholds of 32 random bits.
pub(super) struct Exits {
    buys: u64,
    plays: u64,
    pub(super) buy_chance: f64,
    pub(super) play_chance: f64,
}

impl Exits {
    fn new(buys: f64, to_match: f64) -> Self {
        let play_chance = (1.0 - buys) * to_match;
        Self { buys: threshold(buys), plays: threshold(buys + play_chance), buy_chance: buys, play_chance }
    }
}

/// The bound below which 32 random bits fall with this probability.
pub(super) fn threshold(probability: f64) -> u64 {
    (probability * 2_f64.powi(32)) as u64
}

impl Rules {
    pub(super) fn new(model: &Model) -> Self {
        let Model { heartbeat, session, lobby, matches, payers, levels, .. } = model;
        let rises = std::array::from_fn(|level| threshold(level_chance(levels, level as u8)));
        Self {
            heartbeat_least_ms: (heartbeat.every_s * (1.0 - heartbeat.jitter) * 1e3) as u32,
            heartbeat_span_ms: (heartbeat.every_s * heartbeat.jitter * 2e3) as u32,
            heartbeat_s: heartbeat.every_s,
            arriving: Law::uniform(session.arriving_s),
            entering: Law::uniform(session.entering_s),
            lobby: Law::log_normal(lobby.pause),
            matches: Law::log_normal(matches.length),
            knockout: Law::exponential(matches.knockout_s),
            payer: Exits::new(payers.buys, lobby.to_match),
            other: Exits::new(payers.others_buy, lobby.to_match),
            logs_out: threshold(1.0 - session.crashes),
            crashes: session.crashes,
            rises: Box::new(rises),
            start_mean: levels.start_mean,
            payers: payers.share,
        }
    }

    fn exits(&self, player: &Player) -> &Exits {
        if player.traits.is_payer() { &self.payer } else { &self.other }
    }

    /// A random part of the time between two heartbeats, from 32 random bits: the first one's phase.
    fn part_of_heartbeat_ms(&self, bits: u64) -> u32 {
        ((bits * (self.heartbeat_s * 1e3) as u64) >> 32) as u32
    }

    /// Levels at the start of a run: many beginners, few veterans.
    fn start_level(&self, draw: &mut Draw) -> u8 {
        1 + (draw.exponential(self.start_mean) as u32).min(u32::from(TOP_START_LEVEL) - 1) as u8
    }

    /// Sets out into the next wait of a match: to the next knockout, or to its end if that comes first.
    fn fight_on(&self, player: &mut Player, now: u32, bits: u32) {
        let left = player.match_ends.wrapping_sub(now);
        player.action_due = now.wrapping_add(self.knockout.draw_ms(bits).max(1).min(left));
    }
}

/// The chance that a match earns a level falls as the level rises.
pub(super) fn level_chance(levels: &super::model::Levels, level: u8) -> f64 {
    (levels.chance - levels.less_per_level * f64::from(level)).clamp(levels.least.min(1.0), 1.0)
}

impl World {
    /// A player as found in the middle of things: online with the chance that `mix` gives the player's class.
    pub(crate) fn place(&self, number: u32, now: u64, mix: &Mix) -> Player {
        let traits = self.populace.draw(&self.dice, number);
        let mut draw = self.dice.draw(number, 0, Purpose::Start);
        let level = self.rules.start_level(&mut draw);
        let away = Player { level, traits, session: 1, ..Player::default() };
        let (cycle, online): (&Cycle, f64) = match traits.is_payer() {
            true => (&self.cycles.payer, mix.payer),
            false => (&self.cycles.other, mix.other),
        };
        // A unit is never 0 and may be 1: nobody is online at 0, everybody at 1.
        if !draw.chance(online) {
            return Player { session: 0, ..away };
        }
        let now = now as u32;
        let state = draw.pick_by(&cycle.seconds);
        let rules = &self.rules;
        let law = match state {
            State::Offline | State::Arriving => &rules.arriving,
            State::Entering | State::Rising => &rules.entering,
            State::Lobby => &rules.lobby,
            State::Match => &rules.matches,
        };
        let (whole, over) = law.found_ms(draw.next());
        let ends = after(now, whole - over);
        let bits = draw.next();
        let heartbeat_ms = self.rules.part_of_heartbeat_ms(bits >> 32);
        let mut player = Player {
            action_due: ends,
            heartbeat_due: after(now, heartbeat_ms),
            match_began: now.wrapping_sub(over),
            match_ends: ends,
            state,
            ..away
        };
        if state == State::Match {
            rules.fight_on(&mut player, now, bits as u32);
        }
        player
    }

    /// Takes the player's next step, which is due at `due` in game time. A session that ends in a crash ends in silence.
    #[inline]
    pub(crate) fn step(&self, number: u32, player: &mut Player, due: u64) -> Option<Happening> {
        let now = due as u32;
        let sequence = player.sequence;
        player.sequence = sequence.wrapping_add(1);
        let mut draw = self.dice.draw(number, sequence, Purpose::Step);
        let kind = if player.heartbeat_is_next() {
            let jitter = (u64::from(self.rules.heartbeat_span_ms) * (draw.next() >> 32)) >> 32;
            player.heartbeat_due = after(now, self.rules.heartbeat_least_ms + jitter as u32);
            Some(Kind::Heartbeat)
        } else {
            self.act(player, now, &mut draw)
        };
        kind.map(|kind| Happening { kind, due, sequence })
    }

    fn act(&self, player: &mut Player, now: u32, draw: &mut Draw) -> Option<Kind> {
        let rules = &self.rules;
        let bits = draw.next();
        let (choice, wait) = (bits & 0xFFFF_FFFF, (bits >> 32) as u32);
        match player.state {
            State::Offline => {
                player.session = player.session.wrapping_add(1);
                player.state = State::Arriving;
                player.action_due = after(now, rules.arriving.draw_ms(wait));
                player.heartbeat_due = after(now, rules.part_of_heartbeat_ms(choice));
                Some(Kind::SessionStart)
            }
            State::Arriving => {
                player.state = State::Entering;
                player.action_due = after(now, rules.entering.draw_ms(wait));
                Some(Kind::Login)
            }
            State::Entering => {
                player.state = State::Lobby;
                player.action_due = after(now, rules.lobby.draw_ms(wait));
                Some(Kind::LobbyEnter)
            }
            State::Lobby if choice < rules.exits(player).buys => {
                player.action_due = after(now, rules.lobby.draw_ms(wait));
                Some(Kind::Purchase)
            }
            State::Lobby if choice < rules.exits(player).plays => {
                player.state = State::Match;
                player.knockouts = 0;
                player.match_began = now;
                player.match_ends = after(now, rules.matches.draw_ms(wait));
                rules.fight_on(player, now, (draw.next() >> 32) as u32);
                Some(Kind::MatchStart)
            }
            State::Lobby => {
                player.state = State::Offline;
                (u64::from(wait) < rules.logs_out).then_some(Kind::Logout)
            }
            State::Match if now == player.match_ends => {
                let rises = choice < rules.rises[usize::from(player.level)];
                player.state = if rises { State::Rising } else { State::Entering };
                player.action_due = after(now, rules.entering.draw_ms(wait));
                Some(Kind::MatchEnd)
            }
            State::Match => {
                player.knockouts = player.knockouts.saturating_add(1);
                rules.fight_on(player, now, wait);
                Some(Kind::Knockout)
            }
            State::Rising => {
                player.level = player.level.saturating_add(1);
                player.state = State::Entering;
                player.action_due = after(now, rules.entering.draw_ms(wait));
                Some(Kind::LevelUp)
            }
        }
    }

    /// How long the session of this player lasts, in milliseconds, played through without heartbeats.
    pub(super) fn session_ms(&self, number: u32, payer: bool) -> u32 {
        let traits = self.populace.draw(&self.dice, number).with_payer(payer);
        let level = self.rules.start_level(&mut self.dice.draw(number, 0, Purpose::Start));
        let mut player = Player { level, traits, ..Player::default() };
        let mut now = 0;
        loop {
            self.step(number, &mut player, u64::from(now));
            if player.is_offline() || player.action_due >= HORIZON {
                return now;
            }
            player.heartbeat_due = player.action_due.wrapping_add(1);
            now = player.action_due;
        }
    }
}

/// So many milliseconds later, at least one.
fn after(now: u32, wait_ms: u32) -> u32 {
    now.wrapping_add(wait_ms.max(1))
}
