//! A player in 32 bytes, so that millions fit in a process.
//!
//! Times are the low 32 bits of game time in milliseconds and compared across their wrap-around after 49 days; whatever
//! a player waits for is less than 24 days away.

use super::traits::Traits;

/// Where a player is, and so what the next step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Away; comes back with a session start when the game server's arrivals draw the player.
    #[default]
    Offline,
    /// The client is up; logs in next.
    Arriving,
    /// Enters the lobby next.
    Entering,
    /// In the lobby; next a match, a purchase or the end of the session.
    Lobby,
    /// In a match; next a knockout or the end of the match.
    Match,
    /// After a match that earned a level.
    Rising,
}

/// A player's state. All zero is a player who is offline.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Player {
    /// The next player in the same slot of the calendar; means nothing while offline.
    pub(crate) next: u32,
    /// When the next action is due.
    pub(super) action_due: u32,
    /// When the next heartbeat is due; means nothing while offline.
    pub(super) heartbeat_due: u32,
    /// The number of the next step.
    pub(super) sequence: u32,
    /// When the latest match began and ends.
    pub(super) match_began: u32,
    pub(super) match_ends: u32,
    /// Sessions so far, the current one included.
    pub(super) session: u16,
    pub(super) level: u8,
    pub(super) knockouts: u8,
    pub(super) state: State,
    /// Who the player is.
    pub(super) traits: Traits,
}

const _: () = assert!(size_of::<Player>() == 32);

/// The longest wait that wrapping comparison still tells from the past.
pub(super) const HORIZON: u32 = u32::MAX / 2;

impl Player {
    /// When the next step is due, be it an action or a heartbeat.
    #[inline]
    pub(crate) fn due(&self) -> u32 {
        if self.heartbeat_is_next() { self.heartbeat_due } else { self.action_due }
    }

    #[inline]
    pub(super) fn heartbeat_is_next(&self) -> bool {
        self.state != State::Offline && self.action_due.wrapping_sub(self.heartbeat_due).wrapping_sub(1) < HORIZON
    }

    #[inline]
    pub(crate) fn is_offline(&self) -> bool {
        self.state == State::Offline
    }

    /// Has an offline player's session begin at this instant.
    pub(crate) fn arrive(&mut self, at: u32) {
        self.action_due = at;
    }
}
