//! A lane: one open bucket that batches are written into, and the hold it has on the lanes that come after it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::bucket::{BucketSink, ClosedBucket, OpenBucket};
use super::order::LaneHold;

/// A bucket that is opened has room for an eighth more than its predecessor came to hold, and for at least this much:
/// buckets that close for their linger are mostly far from their target.
const LEAST_ROOM: usize = 4 << 10;

/// One lane.
pub(super) struct Lane {
    open: Mutex<Option<OpenBucket>>,
    // What the last bucket came to hold.
    last_len: AtomicUsize,
    // Where records of a key must stay in order.
    hold: Option<LaneHold>,
    // Closed buckets on their way to the sink, in the order of their closing.
    outbox: Mutex<VecDeque<ClosedBucket>>,
    handing_over: Mutex<()>,
}

/// A lane that nobody else writes into.
pub(super) type Guard<'a> = MutexGuard<'a, Option<OpenBucket>>;

impl Lane {
    pub(super) fn new(hold: Option<LaneHold>) -> Self {
        Self {
            open: Mutex::new(None),
            last_len: AtomicUsize::new(0),
            hold,
            outbox: Mutex::default(),
            handing_over: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> Guard<'_> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_lock(&self) -> Option<Guard<'_>> {
        match self.open.try_lock() {
            Ok(open) => Some(open),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn hold(&self) -> Option<&LaneHold> {
        self.hold.as_ref()
    }

    /// Puts a closed bucket where [`Lane::hand_over`] finds it. The lane is locked, so they lie there in the order of their
    /// closing.
    pub(super) fn put_out(&self, bucket: ClosedBucket) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).push_back(bucket);
    }

    /// Hands over the buckets that were closed, whoever closed them, in the order of their closing. The lane must not be
    /// locked: a sink may take locks of its own.
    pub(super) fn hand_over(&self, sink: &dyn BucketSink) {
        let _one_at_a_time = self.handing_over.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(bucket) = next else { return };
            sink.submit(bucket);
        }
    }

    pub(super) fn note_len(&self, len: usize) {
        self.last_len.store(len, Ordering::Relaxed);
    }

    /// How much room to give to a new bucket that may grow to `target`. In powers of two, or the
    /// target: of a few sizes the allocator finds one again that was freed, and of many it keeps each for later.
    pub(super) fn room(&self, target: usize) -> usize {
        let last = self.last_len.load(Ordering::Relaxed);
        let room = (last + last / 8).next_power_of_two();
        room.clamp(LEAST_ROOM.min(target), target.max(LEAST_ROOM.min(target)))
    }
}
