//! What a kept bucket owes: a verdict to those who sent its events, and word to its lane.

use std::sync::{Arc, Mutex, PoisonError};

use crate::gather::{FailureReason, LaneHold, Outcome, Ticket};

const UNKNOWN: FailureReason = FailureReason::Deadline;

/// A kept bucket's ticket: answered once the bucket is durable, or after a while all the same, and settled when it is
/// delivered. Until then its ids are in flight: a resend of one is answered as unknown, too.
///
/// Its waiters are told under its own lock and under no other.
#[derive(Clone)]
pub(super) struct Promise(Arc<Mutex<Option<Ticket>>>);

impl Promise {
    pub(super) fn new(ticket: Ticket) -> Self {
        Self(Arc::new(Mutex::new(Some(ticket))))
    }

    /// Of a bucket that was kept by an earlier start: nobody waits for it any more.
    pub(super) fn nobodys() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// Says that there is no telling yet.
    pub(super) fn answer(&self) {
        if let Some(ticket) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            ticket.answer_unknown(UNKNOWN);
        }
    }

    /// Says that the bucket is delivered.
    pub(super) fn stored(&self) {
        self.settle(&Outcome::Stored);
    }

    /// Says that nobody knows, and never will.
    pub(super) fn give_up(&self) {
        self.settle(&Outcome::Unknown { reason: UNKNOWN });
    }

    fn settle(&self, outcome: &Outcome) {
        let ticket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticket) = ticket {
            ticket.settle(outcome);
        }
    }
}

/// Keeps the later buckets of its lane waiting, until dropped.
pub(super) struct KeptLane(LaneHold);

impl KeptLane {
    /// For a lane that has been told already that a bucket of it is kept.
    pub(super) fn new(hold: LaneHold) -> Self {
        Self(hold)
    }

    pub(super) fn hold(&self) -> &LaneHold {
        &self.0
    }
}

impl Drop for KeptLane {
    fn drop(&mut self) {
        self.0.order().unkeep();
    }
}
