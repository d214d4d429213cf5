//! What the players of a game do, and what their events say.
//!
//! A player starts a session, logs in, waits in the lobby, plays matches with knockouts, rises a level, buys something
//! and logs out; the client sends heartbeats all the while. How often and how long is the [`Model`]'s business, how many
//! are online when the [`Curve`]'s. Everything follows from the seed: a player's steps and an event's payload are the
//! same in each run.

mod catalog;
mod curve;
mod cycle;
mod fault;
mod inflow;
mod json;
mod law;
mod model;
mod payload;
mod phrases;
mod picker;
mod player;
mod profile;
mod ranges;
mod step;
mod traits;

pub(crate) use curve::Curve;
use cycle::Cycles;
pub(crate) use fault::Fault;
pub(crate) use inflow::Inflow;
use inflow::Inflows;
pub(crate) use json::Pen;
pub use model::{
    Clocks, Heartbeat, Levels, Lobby, LogNormal, Matches, Model, ModelError, Payers, Session, Weighted, Weights,
};
use phrases::Phrases;
pub(crate) use player::Player;
pub use profile::ProfileError;
use step::{Rules, threshold};
use traits::Populace;

use crate::engine::{Arena, Dice, Purpose};

/// What a [`World`] is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WorldConfig {
    /// What players do; checked.
    pub(crate) model: Model,
    /// The share of events that break a rule on purpose, 0 to 1.
    pub(crate) bad_share: f64,
    /// The share of events that are sent a second time, 0 to 1.
    pub(crate) duplicate_share: f64,
    /// If given, `event_data` is padded to between so many bytes.
    pub(crate) payload_bytes: Option<[u32; 2]>,
    /// Tells the event ids of this run from those of others with the same seed.
    pub(crate) run: u64,
}

/// The game and its players.
pub(crate) struct World {
    dice: Dice,
    /// The bounds below which 32 random bits make an event bad, and have it sent twice.
    bad: u64,
    duplicate: u64,
    skew_up_to_s: f64,
    rules: Rules,
    cycles: Cycles,
    populace: Populace,
    phrases: Phrases,
    inflows: Inflows,
    arena: Arena,
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
    pub(crate) fn new(seed: u64, config: &WorldConfig) -> Self {
        let model = &config.model;
        let rules = Rules::new(model);
        Self {
            dice: Dice::new(seed).for_run(config.run),
            bad: threshold(config.bad_share),
            duplicate: threshold(config.duplicate_share),
            skew_up_to_s: model.clocks.up_to_s,
            cycles: Cycles::new(model, &rules),
            rules,
            populace: Populace::new(model),
            phrases: Phrases::new(model, config.payload_bytes),
            inflows: Inflows::default(),
            arena: Arena::default(),
        }
    }

    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    /// Where the players of the world's servers live.
    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Whether this event is sent a second time.
    #[inline]
    pub(crate) fn is_sent_twice(&self, number: u32, sequence: u32) -> bool {
        self.duplicate > 0 && self.dice.draw(number, sequence, Purpose::Duplicate).next() >> 32 < self.duplicate
    }
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub(crate) const ALL: [Self; 10] = [
        Self::SessionStart,
        Self::Login,
        Self::Heartbeat,
        Self::LobbyEnter,
        Self::MatchStart,
        Self::Knockout,
        Self::MatchEnd,
        Self::LevelUp,
        Self::Purchase,
        Self::Logout,
    ];

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
