//! Events that travel together.

use std::time::Instant;

use bytes::Bytes;

use crate::wire::Measured;

/// What a batch takes of memory beside its events: its place in the queue, in the books, and in the log's.
pub(crate) const OVERHEAD: usize = 384;

/// Orders batches by age. A batch that was halved keeps its number; its halves are told apart by the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BatchId {
    pub(crate) number: u64,
    pub(crate) part: u32,
}

/// A batch that takes no more events.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    /// None: it is on the log, and has to be read from there.
    pub(crate) body: Option<Bytes>,
    /// Of the body, wherever it is.
    pub(crate) bytes: usize,
    pub(crate) events: u32,
    /// Whether it is all that its number ever held: then the log has the same.
    pub(crate) whole: bool,
    /// How often it was sent in vain.
    pub(crate) attempts: u32,
    /// Whether it was ever sent.
    pub(crate) sent: bool,
}

impl Batch {
    /// What it takes of memory.
    pub(crate) fn charge(&self) -> Charge {
        match self.body {
            Some(_) => Charge { bytes: self.bytes + OVERHEAD, events: u64::from(self.events) },
            None => Charge { bytes: OVERHEAD, events: 0 },
        }
    }
}

/// Memory: bytes, and the events in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) bytes: usize,
    pub(crate) events: u64,
}

impl Charge {
    pub(crate) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.events += other.events;
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.events -= other.events;
    }
}

/// The batch that events are added to.
pub(crate) struct Open {
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) events: u32,
    /// When its first event came.
    pub(crate) since: Instant,
    /// So much of it was handed to the log.
    pub(crate) logged: (usize, u32),
    /// When the first event came that was not. None: all were.
    pub(crate) unlogged_since: Option<Instant>,
}

impl Open {
    pub(crate) fn new(number: u64, capacity: usize, now: Instant) -> Self {
        Self { number, body: Vec::with_capacity(capacity), events: 0, since: now, logged: (0, 0), unlogged_since: None }
    }

    pub(crate) fn push(&mut self, event: &Measured<'_>, id: uuid::Uuid) {
        event.write(id, &mut self.body);
        self.events += 1;
    }

    /// What it takes of memory.
    pub(crate) fn charge(&self) -> Charge {
        Charge { bytes: self.body.len() + OVERHEAD, events: u64::from(self.events) }
    }

    /// No more events: its bytes are shared from now on, by the log and by every time that they are sent.
    pub(crate) fn seal(mut self) -> Batch {
        let bytes = self.body.len();
        // What was reserved in vain is not counted, and so must not be much.
        if self.body.capacity() - bytes > bytes / 8 {
            self.body.shrink_to_fit();
        }
        Batch {
            id: BatchId { number: self.number, part: 0 },
            body: Some(self.body.into()),
            bytes,
            events: self.events,
            whole: true,
            attempts: 0,
            sent: false,
        }
    }
}
