//! How players move: which step follows which, and after how long.
//!
//! Waiting times are log-normal where people decide (lobby, match, break between sessions) and exponential where chance
//! does (knockouts). [`World::events_per_player_second`] gives the rate that follows from the numbers below, so that a
//! run at a given rate knows how fast its game time has to pass; players start in the model's steady state, so that the
//! rate holds from the first second on.

use super::player::State;
use super::wait::Wait;
use super::{Happening, Kind, Player, World};
use crate::engine::{Draw, Purpose};

pub(super) const HEARTBEAT_S: f64 = 30.0;
/// A heartbeat comes up to this share early or late.
const HEARTBEAT_JITTER: f64 = 0.05;
pub(super) const LOBBY: Wait = Wait::LogNormal { median_s: 40.0, sigma: 0.9 };
pub(super) const MATCH: Wait = Wait::LogNormal { median_s: 360.0, sigma: 0.5 };
/// The break between two sessions of the evening.
pub(super) const BREAK: Wait = Wait::LogNormal { median_s: 600.0, sigma: 1.0 };
pub(super) const KNOCKOUT_S: f64 = 40.0;
/// From session start to login.
pub(super) const ARRIVING: Wait = Wait::Uniform { from_s: 0.4, to_s: 2.0 };
/// From login to the lobby, from the end of a match to the lobby or the next level, and from there to the lobby.
pub(super) const ENTERING: Wait = Wait::Uniform { from_s: 0.5, to_s: 3.0 };

/// Of the players who leave the lobby without buying, so many go to a match; the others end the session.
pub(super) const TO_MATCH: f64 = 65.0 / 96.0;
/// Sessions that end without a logout, because the client crashed or lost its network.
pub(super) const CRASHES: f64 = 0.05;
/// Few players make most purchases.
pub(super) const PAYERS: f64 = 0.05;
pub(super) const BUYS_PAYER: f64 = 0.42;
pub(super) const BUYS_OTHER: f64 = 0.02;

/// The chance that a match earns a level falls as the level rises.
fn level_chance(level: u8) -> f64 {
    (0.16 - 0.0028 * f64::from(level)).max(0.02)
}

/// Levels at the start of a run: many beginners, few veterans.
fn start_level(draw: &mut Draw) -> u8 {
    1 + (draw.exponential(14.0) as u32).min(89) as u8
}

/// The chance over the levels at the start.
pub(super) fn mean_level_chance() -> f64 {
    // The share of start levels from `level` on is exp(-(level - 1) / 14).
    let share = |level: u8| (-f64::from(level - 1) / 14.0).exp() - (-f64::from(level) / 14.0).exp();
    (1..=90).map(|level| level_chance(level) * share(level)).sum()
}

impl World {
    /// The events of one player in a second of game time, on average over all players and their time.
    pub(crate) fn events_per_player_second(&self) -> f64 {
        self.cycles.events_per_player_second()
    }

    /// A player as found in the middle of things.
    pub(crate) fn place(&self, number: u32, now: u64) -> Player {
        let mut draw = Draw::new(self.seed, number, 0, Purpose::Start);
        let cycle = if self.is_payer(number) { &self.cycles.payer } else { &self.cycles.other };
        let state = draw.pick_by(&cycle.seconds);
        let wait = match state {
            State::Offline => BREAK,
            State::Arriving => ARRIVING,
            State::Entering | State::Rising => ENTERING,
            State::Lobby => LOBBY,
            State::Match => MATCH,
        };
        let (whole, over) = wait.found_s(&mut draw);
        let now = now as u32;
        let ends = after(now, whole - over);
        let mut player = Player {
            next: 0,
            action_due: ends,
            heartbeat_due: after(now, HEARTBEAT_S * draw.unit()),
            sequence: 0,
            match_began: now.wrapping_sub((over * 1e3) as u32),
            match_ends: ends,
            session: 1,
            level: start_level(&mut draw),
            knockouts: 0,
            state,
        };
        if state == State::Match {
            player.action_due = next_in_match(&player, now, &mut draw);
        }
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
        match player.state {
            State::Offline => {
                player.session = player.session.wrapping_add(1);
                player.state = State::Arriving;
                player.action_due = after(now, ARRIVING.draw_s(draw));
                player.heartbeat_due = after(now, HEARTBEAT_S * draw.unit());
                Some(Kind::SessionStart)
            }
            State::Arriving => {
                player.state = State::Entering;
                player.action_due = after(now, ENTERING.draw_s(draw));
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
                player.action_due = after(now, ENTERING.draw_s(draw));
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
                player.action_due = after(now, ENTERING.draw_s(draw));
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
