//! How players move: which step follows which, and after how long.
//!
//! Waiting times are log-normal where people decide (lobby, match, break between sessions) and exponential where chance
//! does (knockouts). [`World::events_per_player_second`] gives the rate that follows from the numbers below, so that a
//! run at a given rate knows how fast its game time has to pass; players start in the model's steady state, so that the
//! rate holds from the first second on.

use super::player::State;
use super::{Happening, Kind, Player, World};
use crate::engine::{Draw, Purpose};

/// A log-normal waiting time.
struct Wait {
    median_s: f64,
    sigma: f64,
}

const HEARTBEAT_S: f64 = 30.0;
/// A heartbeat comes up to this share early or late.
const HEARTBEAT_JITTER: f64 = 0.05;
const LOBBY: Wait = Wait { median_s: 40.0, sigma: 0.9 };
const MATCH: Wait = Wait { median_s: 360.0, sigma: 0.5 };
/// The break between two sessions of the evening.
const BREAK: Wait = Wait { median_s: 600.0, sigma: 1.0 };
/// No wait is longer: 12 hours.
const LONGEST_WAIT_S: f64 = 43_200.0;
const KNOCKOUT_S: f64 = 40.0;
/// From session start to login, from there to the lobby, and from the end of a match to what follows.
const ARRIVING_S: (f64, f64) = (0.4, 2.0);
const ENTERING_S: (f64, f64) = (0.5, 3.0);

/// Of the players who leave the lobby without buying, so many go to a match; the others end the session.
const TO_MATCH: f64 = 65.0 / 96.0;
/// Sessions that end without a logout, because the client crashed or lost its network.
const CRASHES: f64 = 0.05;
/// Few players make most purchases.
const PAYERS: f64 = 0.05;
const BUYS_PAYER: f64 = 0.42;
const BUYS_OTHER: f64 = 0.02;

impl Wait {
    fn draw_s(&self, draw: &mut Draw) -> f64 {
        draw.log_normal(self.median_s, self.sigma).min(LONGEST_WAIT_S)
    }

    fn mean_s(&self) -> f64 {
        self.median_s * (self.sigma * self.sigma / 2.0).exp()
    }

    /// The wait that an observer finds under way at a random instant, and how much of it is over. Long waits are met
    /// more often: the length-biased law of a log-normal is the log-normal with median times exp(sigma²).
    fn found_s(&self, draw: &mut Draw) -> (f64, f64) {
        let median_s = self.median_s * (self.sigma * self.sigma).exp();
        let whole = draw.log_normal(median_s, self.sigma).min(LONGEST_WAIT_S);
        (whole, whole * draw.unit())
    }
}

/// What one class of players does on average between two session starts.
pub(super) struct Cycle {
    lobby_s: f64,
    match_s: f64,
    break_s: f64,
    /// Arriving, entering and rising: short.
    between_s: f64,
    events: f64,
}

impl Cycle {
    fn of(buys: f64) -> Self {
        let leaves = (1.0 - buys) * (1.0 - TO_MATCH);
        let pauses = 1.0 / leaves;
        let matches = pauses * (1.0 - buys) * TO_MATCH;
        let levels = matches * mean_level_chance();
        let mid = |(from, to): (f64, f64)| (from + to) / 2.0;

        let lobby_s = pauses * LOBBY.mean_s();
        let match_s = matches * MATCH.mean_s();
        let between_s = mid(ARRIVING_S) + mid(ENTERING_S) * (1.0 + matches + levels);
        let heartbeats = (lobby_s + match_s + between_s) / HEARTBEAT_S;
        let knockouts = match_s / KNOCKOUT_S;
        let start_login_lobby = 2.0 + 1.0 + matches;
        let purchases = pauses * buys;
        let logouts = 1.0 - CRASHES;
        let events = start_login_lobby + 2.0 * matches + knockouts + levels + purchases + logouts + heartbeats;
        Self { lobby_s, match_s, break_s: BREAK.mean_s(), between_s, events }
    }

    fn seconds(&self) -> f64 {
        self.lobby_s + self.match_s + self.break_s + self.between_s
    }
}

/// The chance that a match earns a level falls as the level rises.
fn level_chance(level: u8) -> f64 {
    (0.16 - 0.0028 * f64::from(level)).max(0.02)
}

/// Levels at the start of a run: many beginners, few veterans.
fn start_level(draw: &mut Draw) -> u8 {
    1 + (draw.exponential(14.0) as u32).min(89) as u8
}

fn mean_level_chance() -> f64 {
    // The share of start levels from `level` on is exp(-(level - 1) / 14).
    let share = |level: u8| (-f64::from(level - 1) / 14.0).exp() - (-f64::from(level) / 14.0).exp();
    (1..=90).map(|level| level_chance(level) * share(level)).sum()
}

/// Both classes of players.
pub(super) struct Cycles {
    payer: Cycle,
    other: Cycle,
}

impl Cycles {
    pub(super) fn new() -> Self {
        Self { payer: Cycle::of(BUYS_PAYER), other: Cycle::of(BUYS_OTHER) }
    }
}

impl World {
    /// The events of one player in a second of game time, on average over all players and their time.
    pub(crate) fn events_per_player_second(&self) -> f64 {
        let rate = |cycle: &Cycle| cycle.events / cycle.seconds();
        PAYERS * rate(&self.cycles.payer) + (1.0 - PAYERS) * rate(&self.cycles.other)
    }

    /// A player as found in the middle of things.
    pub(crate) fn place(&self, number: u32, now: u64) -> Player {
        let mut draw = Draw::new(self.seed, number, 0, Purpose::Start);
        let cycle = if self.is_payer(number) { &self.cycles.payer } else { &self.cycles.other };
        let now = now as u32;
        let mut player = Player {
            next: 0,
            action_due: now,
            heartbeat_due: after(now, HEARTBEAT_S * draw.unit()),
            sequence: 0,
            match_began: now,
            match_ends: now,
            session: 1,
            level: start_level(&mut draw),
            knockouts: 0,
            state: State::Offline,
        };
        let mut point = draw.unit() * (cycle.break_s + cycle.lobby_s + cycle.match_s);
        point -= cycle.break_s;
        if point <= 0.0 {
            let (whole, over) = BREAK.found_s(&mut draw);
            player.action_due = after(now, whole - over);
            return player;
        }
        point -= cycle.lobby_s;
        if point <= 0.0 {
            let (whole, over) = LOBBY.found_s(&mut draw);
            player.state = State::Lobby;
            player.action_due = after(now, whole - over);
            return player;
        }
        let (whole, over) = MATCH.found_s(&mut draw);
        player.state = State::Match;
        player.match_began = now.wrapping_sub((over * 1e3) as u32);
        player.match_ends = after(now, whole - over);
        player.action_due = next_in_match(&player, now, &mut draw);
        player
    }

    /// Takes the player's next step, which is due at `due` in game time. A session that ends in a crash ends in silence.
    pub(crate) fn step(&self, number: u32, player: &mut Player, due: u64) -> Option<Happening> {
        let now = due as u32;
        let sequence = player.sequence;
        player.sequence = player.sequence.wrapping_add(1);
        let mut draw = Draw::new(self.seed, number, sequence, Purpose::Step);
        let kind = if player.heartbeat_is_next() {
            let jitter = HEARTBEAT_JITTER * (2.0 * draw.unit() - 1.0);
            player.heartbeat_due = after(now, HEARTBEAT_S * (1.0 + jitter));
            Some(Kind::Heartbeat)
        } else {
            self.act(number, player, now, &mut draw)
        };
        kind.map(|kind| Happening { kind, due, sequence })
    }

    fn act(&self, number: u32, player: &mut Player, now: u32, draw: &mut Draw) -> Option<Kind> {
        let between = |draw: &mut Draw, (from, to): (f64, f64)| after(now, from + (to - from) * draw.unit());
        match player.state {
            State::Offline => {
                player.session = player.session.wrapping_add(1);
                player.state = State::Arriving;
                player.action_due = between(draw, ARRIVING_S);
                player.heartbeat_due = after(now, HEARTBEAT_S * draw.unit());
                Some(Kind::SessionStart)
            }
            State::Arriving => {
                player.state = State::Entering;
                player.action_due = between(draw, ENTERING_S);
                Some(Kind::Login)
            }
            State::Entering => {
                player.state = State::Lobby;
                player.action_due = after(now, LOBBY.draw_s(draw));
                Some(Kind::LobbyEnter)
            }
            State::Lobby if draw.chance(self.buys(number)) => {
                player.action_due = after(now, LOBBY.draw_s(draw));
                Some(Kind::Purchase)
            }
            State::Lobby if draw.chance(TO_MATCH) => {
                player.state = State::Match;
                player.knockouts = 0;
                player.match_began = now;
                player.match_ends = after(now, MATCH.draw_s(draw));
                player.action_due = next_in_match(player, now, draw);
                Some(Kind::MatchStart)
            }
            State::Lobby => {
                player.state = State::Offline;
                player.action_due = after(now, BREAK.draw_s(draw));
                (!draw.chance(CRASHES)).then_some(Kind::Logout)
            }
            State::Match if now == player.match_ends => {
                let rises = draw.chance(level_chance(player.level));
                player.state = if rises { State::Rising } else { State::Entering };
                player.action_due = between(draw, ENTERING_S);
                Some(Kind::MatchEnd)
            }
            State::Match => {
                player.knockouts = player.knockouts.saturating_add(1);
                player.action_due = next_in_match(player, now, draw);
                Some(Kind::Knockout)
            }
            State::Rising => {
                player.level = player.level.saturating_add(1);
                player.state = State::Entering;
                player.action_due = between(draw, ENTERING_S);
                Some(Kind::LevelUp)
            }
        }
    }

    /// The chance that the player buys something when the pause in the lobby is over.
    fn buys(&self, number: u32) -> f64 {
        if self.is_payer(number) { BUYS_PAYER } else { BUYS_OTHER }
    }

    fn is_payer(&self, number: u32) -> bool {
        Draw::new(self.seed, number, 0, Purpose::Traits).chance(PAYERS)
    }
}

/// The next knockout, or the end of the match if that comes first.
fn next_in_match(player: &Player, now: u32, draw: &mut Draw) -> u32 {
    let left = player.match_ends.wrapping_sub(now);
    let wait = ((draw.exponential(KNOCKOUT_S) * 1e3) as u32).max(1);
    now.wrapping_add(wait.min(left))
}

/// So many seconds later, at least a millisecond.
fn after(now: u32, seconds: f64) -> u32 {
    now.wrapping_add(((seconds * 1e3) as u32).max(1))
}
