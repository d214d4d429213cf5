//! A player in 32 bytes, so that millions fit in a process.
//!
//! Times are the low 32 bits of game time in milliseconds and compared across their wrap-around after 49 days; whatever
//! a player waits for is less than 24 days away. Who the player is (device, country) is not kept but drawn again from
//! the seed for each event that says it.

/// Where a player is, and so what the next step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Away; comes back with a session start.
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

/// A player's state.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    /// The next player in the same slot of the calendar.
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
}

const _: () = assert!(size_of::<Player>() <= 32);

/// The longest wait that wrapping comparison still tells from the past.
const HORIZON: u32 = u32::MAX / 2;

impl Player {
    /// When the next step is due, be it an action or a heartbeat.
    pub(crate) fn due(&self) -> u32 {
        if self.heartbeat_is_next() { self.heartbeat_due } else { self.action_due }
    }

    pub(super) fn heartbeat_is_next(&self) -> bool {
        self.state != State::Offline && self.action_due.wrapping_sub(self.heartbeat_due).wrapping_sub(1) < HORIZON
    }

    /// By how much the next step is overdue at `now`; none if it lies in the future.
    pub(crate) fn overdue(&self, now: u32) -> Option<u32> {
        Some(now.wrapping_sub(self.due())).filter(|overdue| *overdue < HORIZON)
    }
}
