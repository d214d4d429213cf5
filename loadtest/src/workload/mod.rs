//! What the players of a game do, and what their events say.
//!
//! A player starts a session, logs in, waits in the lobby, plays matches with knockouts, rises a level, buys something
//! and logs out; the client sends heartbeats all the while. Shares and times are assumptions that suit a session-based
//! online game, not measured facts. Everything follows from the seed: a player's steps and an event's payload are the
//! same in each run.

mod catalog;
mod cycle;
mod fault;
mod json;
mod model;
mod payload;
mod player;
mod wait;

use serde::{Deserialize, Serialize};

use cycle::Cycles;
pub(crate) use fault::Fault;
pub(crate) use payload::app_version;
pub(crate) use player::Player;

/// What players do, as data: which step follows which, and after how long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {}

/// The game and its players.
pub(crate) struct World {
    seed: u64,
    /// The share of events that break a rule on purpose.
    bad_share: f64,
    cycles: Cycles,
}

/// What happens in the game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    SessionStart,
    Login,
    Heartbeat,
    LobbyEnter,
    MatchStart,
    Knockout,
    MatchEnd,
    LevelUp,
    Purchase,
    Logout,
}

/// One step of one player.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happening {
    pub(crate) kind: Kind,
    /// When, in milliseconds of game time.
    pub(crate) due: u64,
    /// The player's step number; with the player's own number it gives the event its id.
    pub(crate) sequence: u32,
}

impl World {
    pub(crate) fn new(seed: u64, bad_share: f64) -> Self {
        Self { seed, bad_share, cycles: Cycles::new() }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }
}

impl Kind {
    /// `event_type`: what consumers filter by.
    pub(crate) fn event_type(self) -> &'static str {
        match self {
            Self::SessionStart => "session_start",
            Self::Login => "login",
            Self::Heartbeat => "heartbeat",
            Self::LobbyEnter => "lobby_enter",
            Self::MatchStart => "match_start",
            Self::Knockout => "user_knockout",
            Self::MatchEnd => "match_end",
            Self::LevelUp => "level_up",
            Self::Purchase => "iap_transaction",
            Self::Logout => "logout",
        }
    }

    /// `event_name`: the event's name within its type.
    pub(crate) fn event_name(self) -> &'static str {
        match self {
            Self::SessionStart => "client.session_start",
            Self::Login => "account.login",
            Self::Heartbeat => "client.heartbeat",
            Self::LobbyEnter => "lobby.enter",
            Self::MatchStart => "match.start",
            Self::Knockout => "match.knockout",
            Self::MatchEnd => "match.end",
            Self::LevelUp => "progress.level_up",
            Self::Purchase => "store.purchase",
            Self::Logout => "account.logout",
        }
    }

    /// `event_version`: the version of the payload's shape.
    pub(crate) fn event_version(self) -> &'static str {
        match self {
            Self::SessionStart | Self::MatchEnd => "2.1.0",
            Self::Purchase => "1.2.0",
            _ => "1.0.0",
        }
    }
}
