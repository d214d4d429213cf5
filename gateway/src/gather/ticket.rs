//! The way back: a bucket's ticket tells everyone whose events are in it what became of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
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

/// Who wants to know what became of events for good. A waiter hears the first answer, which may come before a bucket that
/// is kept is delivered; a witness hears the outcome.
pub trait Witness: Send + Sync {
    /// The segment that was entered as `part` has this outcome. Called once for each part, before waiters are told of it.
    fn settled(&self, part: u32, outcome: &Outcome);
}

type Attached = (Arc<dyn Waiter>, EventRange);

enum State {
    Pending(Vec<Attached>),
    // Not settled, but whoever asks has this answer now.
    Answered(Outcome),
    Settled(Outcome),
}

/// The part of a ticket that others may attach to while the bucket is in flight.
pub(super) struct Waiters {
    state: Mutex<State>,
    witnesses: Mutex<Vec<(Arc<dyn Witness>, u32)>>,
}

impl Waiters {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Pending(Vec::with_capacity(8))), witnesses: Mutex::default() }
    }

    /// Has `witness` told of the outcome. Only while the segment is open, so never too late.
    pub(super) fn witness(&self, witness: Arc<dyn Witness>, part: u32) {
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner).push((witness, part));
    }

    fn testify(&self, outcome: &Outcome, round: &mut Round) {
        let witnesses = std::mem::take(&mut *self.witnesses.lock().unwrap_or_else(PoisonError::into_inner));
        for (witness, part) in witnesses {
            round.tell(|| witness.settled(part, outcome));
        }
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
                State::Answered(outcome) | State::Settled(outcome) => outcome.clone(),
            }
        };
        waiter.settled(range, &outcome);
    }

    fn tell(&self, outcome: &Outcome, next: State, round: &mut Round) {
        let waiters = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *state, next) {
                State::Pending(waiters) => waiters,
                State::Answered(_) | State::Settled(_) => return,
            }
        };
        for (waiter, range) in waiters {
            round.tell(|| waiter.settled(range, outcome));
        }
    }
}

/// Tells one after the other. One that panics costs the others nothing: they are batches of other clients. The first
/// panic goes on when all have been told, for whoever counts panics.
#[derive(Default)]
struct Round {
    panic: Option<Box<dyn Any + Send>>,
}

impl Round {
    fn tell(&mut self, one: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(one)) {
            self.panic.get_or_insert(panic);
        }
    }

    fn end(self) {
        if let Some(panic) = self.panic
            // A second one would end the process.
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

/// Goes with a bucket and is settled exactly once. Dropped without a word, it settles as unknown: an event never stays
/// without a verdict, even when a destination panics.
pub struct Ticket(Option<Claim>);

enum Claim {
    /// The only way to the waiters of these buckets.
    Whole { first: (BucketId, Arc<Waiters>), more: Vec<(BucketId, Arc<Waiters>)>, in_flight: Arc<InFlight> },
    /// One of two destinations that both have to store them.
    Half(Arc<Fork>),
    /// One waiter, for which nothing is in flight by this.
    One(Arc<dyn Waiter>, EventRange),
}

/// Two destinations' outcomes become one.
struct Fork(Mutex<(Ticket, Option<Outcome>)>);

impl Ticket {
    pub(super) fn new(bucket: BucketId, waiters: Arc<Waiters>, in_flight: Arc<InFlight>) -> Self {
        Self(Some(Claim::Whole { first: (bucket, waiters), more: Vec::new(), in_flight }))
    }

    /// A ticket that tells one waiter and no one else: for a bucket whose events are in flight by another ticket.
    #[must_use]
    pub fn of_one(waiter: Arc<dyn Waiter>, events: u32) -> Self {
        Self(Some(Claim::One(waiter, EventRange { start: 0, end: events })))
    }

    /// Takes another ticket of the same gateway in: what is said of this one is said of both.
    pub(super) fn join(&mut self, mut other: Self) {
        let (Some(Claim::Whole { more, .. }), Some(Claim::Whole { first, more: others, .. })) =
            (&mut self.0, &mut other.0)
        else {
            return;
        };
        more.push((first.0, Arc::clone(&first.1)));
        more.append(others);
        other.0 = None;
    }

    /// Tickets for two destinations, each of which has to store the bucket: stored by both is stored, stored by neither is
    /// not stored, and anything else is unknown.
    #[must_use]
    pub fn fork(self) -> (Self, Self) {
        let fork = Arc::new(Fork(Mutex::new((self, None))));
        (Self(Some(Claim::Half(Arc::clone(&fork)))), Self(Some(Claim::Half(fork))))
    }

    /// Tells every waiter.
    pub fn settle(mut self, outcome: &Outcome) {
        self.settle_once(outcome);
    }

    /// Tells every waiter that there is no telling yet, and those that attach later, too; the bucket stays in flight until
    /// the ticket is settled. For a bucket that is kept and delivered after its deadline.
    pub fn answer_unknown(&self, reason: FailureReason) {
        let outcome = Outcome::Unknown { reason };
        match &self.0 {
            Some(Claim::Whole { first, more, .. }) => {
                let mut round = Round::default();
                for (_, waiters) in std::iter::once(first).chain(more) {
                    waiters.tell(&outcome, State::Answered(outcome.clone()), &mut round);
                }
                round.end();
            }
            Some(Claim::Half(fork)) => fork.lock().0.answer_unknown(reason),
            // It hears of the outcome and of nothing before.
            Some(Claim::One(..)) | None => {}
        }
    }

    fn settle_once(&mut self, outcome: &Outcome) {
        match self.0.take() {
            Some(Claim::Whole { first, more, in_flight }) => {
                let mut round = Round::default();
                for (bucket, waiters) in std::iter::once(first).chain(more) {
                    waiters.testify(outcome, &mut round);
                    // The order matters to a duplicate that looks at the same moment: it finds the outcome on the waiters
                    // or, once the bucket is out of the table, in the fate that the table remembers.
                    waiters.tell(outcome, State::Settled(outcome.clone()), &mut round);
                    in_flight.remove(bucket, outcome);
                }
                round.end();
            }
            Some(Claim::Half(fork)) => fork.settle(outcome),
            Some(Claim::One(waiter, range)) => waiter.settled(range, outcome),
            None => {}
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle_once(&Outcome::Unknown { reason: FailureReason::DestinationUnavailable });
    }
}

impl Fork {
    fn lock(&self) -> MutexGuard<'_, (Ticket, Option<Outcome>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: &Outcome) {
        let (mut ticket, both) = {
            let mut halves = self.lock();
            let Some(first) = halves.1.take() else {
                halves.1 = Some(outcome.clone());
                return;
            };
            (std::mem::replace(&mut halves.0, Ticket(None)), first.and(outcome))
        };
        ticket.settle_once(&both);
    }
}

impl Outcome {
    /// What two destinations that both have to store a bucket make of it.
    fn and(self, other: &Self) -> Self {
        let reason = match (&self, other) {
            (Self::Stored, Self::Stored) => return Self::Stored,
            (Self::NotStored { reason, retry_after }, Self::NotStored { retry_after: other, .. }) => {
                return Self::NotStored { reason: *reason, retry_after: (*retry_after).max(*other) };
            }
            (Self::NotStored { reason, .. } | Self::Unknown { reason }, _)
            | (_, Self::NotStored { reason, .. } | Self::Unknown { reason }) => *reason,
        };
        Self::Unknown { reason }
    }
}
