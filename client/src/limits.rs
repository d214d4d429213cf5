//! How much at once: batches, window, memory.

use std::time::Duration;

/// What happens to an event for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// [`SendError::Full`](crate::SendError::Full): the event is still the caller's. The default.
    #[default]
    Error,
    /// `send` waits for room so long, and then gives [`SendError::NoRoomInTime`](crate::SendError::NoRoomInTime). Not for
    /// threads that must not wait.
    Wait(Duration),
    /// The event is dropped and counted, and `send` says so ([`Standing::Dropped`](crate::Standing::Dropped)).
    DropNewest,
    /// The oldest batch that waits in memory is dropped for it, counted and reported. A batch that is on the way or on the
    /// log is never dropped; where there is no other, the event is.
    DropOldest,
}

/// The limits, checked.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) batch_events: u32,
    pub(crate) batch_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) in_flight: usize,
    pub(crate) memory_bytes: usize,
    pub(crate) memory_events: u64,
    pub(crate) answer_timeout: Duration,
}

impl Limits {
    /// What may be in flight, bytes: half of the memory, so that the rest can fill meanwhile.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.memory_bytes / 2
    }
}
