//! The way back: a bucket's ticket tells everyone whose events are in it what became of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::bucket::BucketId;
use super::in_flight::InFlight;

/// What a destination says of a bucket. It has no default: whoever holds a bucket has to decide.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination holds every event of it, durably.
    Stored,
    /// The destination holds none of it: sending it again can't double anything.
    NotStored {
        /// Why, for the verdict and for the metrics.
        reason: FailureReason,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The destination may hold it: nobody can say.
    Unknown {
        /// Why, for the verdict and for the metrics.
        reason: FailureReason,
    },
}

/// Why a bucket was not stored, or may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The destination refuses or can't be reached.
    DestinationUnavailable,
    /// No answer before the deadline.
    Deadline,
}

/// A half-open range of positions in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRange {
    /// The first position.
    pub start: u32,
    /// One past the last position.
    pub end: u32,
}

/// A batch that waits for buckets.
pub trait Waiter: Send + Sync {
    /// The events at these positions of the batch have this outcome. Called once for each range that was attached.
    fn settled(&self, range: EventRange, outcome: &Outcome);
}

type Attached = (Arc<dyn Waiter>, EventRange);

enum State {
    Pending(Vec<Attached>),
    Settled(Outcome),
}

/// The part of a ticket that others may attach to while the bucket is in flight.
pub(super) struct Waiters {
    state: Mutex<State>,
}

impl Waiters {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Pending(Vec::with_capacity(8))) }
    }

    /// Has `waiter` told of the outcome; at once, where it is known already.
    pub(super) fn attach(&self, waiter: Arc<dyn Waiter>, range: EventRange) {
        let outcome = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *state {
                State::Pending(waiters) => {
                    waiters.push((waiter, range));
                    return;
                }
                State::Settled(outcome) => outcome.clone(),
            }
        };
        waiter.settled(range, &outcome);
    }

    fn settle(&self, outcome: &Outcome) {
        let waiters = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *state, State::Settled(outcome.clone())) {
                State::Pending(waiters) => waiters,
                State::Settled(_) => return,
            }
        };
        for (waiter, range) in waiters {
            waiter.settled(range, outcome);
        }
    }
}

/// Goes with a bucket and is settled exactly once. Dropped without a word, it settles as unknown: an event never stays
/// without a verdict, even when a destination panics.
pub struct Ticket {
    bucket: BucketId,
    waiters: Option<Arc<Waiters>>,
    in_flight: Arc<InFlight>,
}

impl Ticket {
    pub(super) fn new(bucket: BucketId, waiters: Arc<Waiters>, in_flight: Arc<InFlight>) -> Self {
        Self { bucket, waiters: Some(waiters), in_flight }
    }

    /// Tells every waiter.
    pub fn settle(mut self, outcome: &Outcome) {
        self.settle_once(outcome);
    }

    fn settle_once(&mut self, outcome: &Outcome) {
        let Some(waiters) = self.waiters.take() else { return };
        // The order matters to a duplicate that looks at the same moment: it finds the outcome on the waiters or, once
        // the bucket is out of the table, in the fate that the table remembers.
        waiters.settle(outcome);
        self.in_flight.remove(self.bucket, outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle_once(&Outcome::Unknown { reason: FailureReason::DestinationUnavailable });
    }
}
