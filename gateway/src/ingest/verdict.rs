//! Verdicts: one outcome for each event, and the books of a batch.
//!
//! A [`Batch`] is open until each of its events has an outcome; then it answers, once, and gives its permit back. Its
//! books must balance: received = accepted + rejected + retry + unknown. Events of players who are not to be kept are
//! answered as accepted; where we count for ourselves they are counted apart, as suppressed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use headgate_proto::v1::{AssignedId, BatchVerdict, EventVerdict, EventWarning, Reason, VerdictCode};
use uuid::Uuid;

use crate::admission::app::App;
use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::event::validate::Invalid;
use crate::gather::{EventRange, FailureReason, Outcome, Waiter};
use crate::live::AppLive;
use crate::live::view::Verdicts;
use crate::metrics::{Counter, CounterHandle, Histogram, HistogramHandle, Metrics};
use crate::registry::Violation;

/// Events of a batch of which is told what does not fit their schema.
const MAX_WARNINGS: usize = 100;

/// How a batch ended.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchOutcome {
    /// Every event has its verdict.
    Settled(BatchVerdict),
    /// Nothing of it is stored.
    Refused(Refusal),
}

/// Where a batch's outcome goes. One may serve many batches; `token` says which.
pub trait Reply: Send + Sync {
    /// The batch is over. Called once for each batch. The permit is to be held until the outcome is on its way.
    fn settled(&self, token: u64, outcome: BatchOutcome, permit: Permit);
}

/// What every batch counts on.
pub struct BatchMetrics {
    seconds: HistogramHandle,
    events: HistogramHandle,
    violations: CounterHandle,
}

impl BatchMetrics {
    /// Handles on the process's metrics.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            seconds: metrics.histogram(Histogram::BatchSeconds),
            events: metrics.histogram(Histogram::BatchEvents),
            violations: metrics.counter(Counter::Violations, &[]),
        })
    }
}

/// What a batch carries with it.
pub struct BatchParts {
    /// Whose it is.
    pub app: Arc<App>,
    /// What is shown of its application.
    pub live: Arc<AppLive>,
    /// How many events it holds.
    pub received: u32,
    /// The bytes it holds of the budget.
    pub permit: Permit,
    /// When it arrived.
    pub arrived: Instant,
    /// Where its outcome goes.
    pub reply: Arc<dyn Reply>,
    /// Which batch of the reply's it is.
    pub token: u64,
}

/// An open batch.
pub struct Batch {
    parts: Mutex<Option<BatchParts>>,
    books: Mutex<Books>,
    clock: Clock,
    metrics: Arc<BatchMetrics>,
}

#[derive(Default)]
struct Books {
    // Events without an outcome, and one for the reader that is not through with the batch.
    open: u32,
    verdict: BatchVerdict,
    // Of the accepted ones, those that were stored by another batch.
    duplicates: u32,
    // Of the accepted ones, those that were not stored at all.
    suppressed: u32,
    // The hint of a destination that takes nothing.
    retry_after: Option<Duration>,
}

/// Keeps a batch open while its events are read; the batch can't answer before this drops.
#[must_use]
pub struct Reading(Arc<Batch>);

impl Batch {
    /// Opens a batch for reading.
    pub fn open(parts: BatchParts, clock: &Clock, metrics: &Arc<BatchMetrics>) -> Reading {
        let counters = parts.app.counters();
        counters.batches.inc();
        counters.received.inc_by(u64::from(parts.received));
        metrics.events.observe(f64::from(parts.received));
        let books = Books { open: parts.received + 1, ..Books::default() };
        Reading(Arc::new(Self {
            parts: Mutex::new(Some(parts)),
            books: Mutex::new(books),
            clock: clock.clone(),
            metrics: Arc::clone(metrics),
        }))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the outcome of `events` events and closes the batch with the last one.
    fn enter(&self, events: u32, entry: impl FnOnce(&mut Books)) {
        let finished = {
            let mut books = self.books();
            entry(&mut books);
            books.open = books.open.saturating_sub(events);
            (books.open == 0).then(|| std::mem::take(&mut *books))
        };
        if let Some(books) = finished {
            self.close(books);
        }
    }

    fn close(&self, books: Books) {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(parts) = parts else { return };
        let Books { mut verdict, duplicates, suppressed, retry_after, .. } = books;
        verdict.not_accepted.sort_unstable_by_key(|event| event.index);
        let total = u64::from(verdict.accepted)
            + u64::from(verdict.rejected)
            + u64::from(verdict.retry)
            + u64::from(verdict.unknown);
        if total != u64::from(parts.received) {
            self.metrics.violations.inc();
            tracing::error!(received = parts.received, total, "a batch's verdicts do not add up; this is a bug");
        }
        let counters = parts.app.counters();
        let stored = u64::from(verdict.accepted - suppressed);
        counters.accepted.inc_by(stored);
        counters.rejected.inc_by(u64::from(verdict.rejected));
        counters.retry.inc_by(u64::from(verdict.retry));
        counters.unknown.inc_by(u64::from(verdict.unknown));
        counters.suppressed.inc_by(u64::from(suppressed));
        let shown = Verdicts {
            accepted: stored,
            rejected: verdict.rejected.into(),
            retry: verdict.retry.into(),
            unknown: verdict.unknown.into(),
            duplicates: duplicates.into(),
            warned: verdict.warned.into(),
            suppressed: suppressed.into(),
        };
        parts.live.settled(self.clock.wall_ms(), &shown);
        self.metrics.seconds.observe(self.clock.now().saturating_duration_since(parts.arrived).as_secs_f64());
        // A batch of which a destination took nothing is refused as a whole: clients know what to do with that.
        let outcome = match retry_after {
            Some(retry_after) if verdict.retry == parts.received => {
                BatchOutcome::Refused(Refusal::DestinationDown { retry_after })
            }
            _ => BatchOutcome::Settled(verdict),
        };
        let BatchParts { reply, token, permit, .. } = parts;
        reply.settled(token, outcome, permit);
    }
}

impl Reading {
    /// The batch, to be told of outcomes.
    #[must_use]
    pub fn waiter(&self) -> Arc<dyn Waiter> {
        Arc::clone(&self.0) as Arc<dyn Waiter>
    }

    /// An event breaks a rule.
    pub fn reject(&self, index: u32, invalid: &Invalid) {
        let verdict = EventVerdict {
            index,
            code: VerdictCode::Rejected.into(),
            reason: invalid.problem.reason().into(),
            field: invalid.place().to_owned(),
            message: invalid.to_string(),
            retry_delay: None,
        };
        self.0.enter(1, |books| {
            books.verdict.rejected += 1;
            books.verdict.not_accepted.push(verdict);
        });
    }

    /// An event is stored already.
    pub fn duplicate(&self) {
        self.0.enter(1, |books| {
            books.verdict.accepted += 1;
            books.duplicates += 1;
        });
    }

    /// An event is answered as stored, and is not.
    pub fn suppressed(&self) {
        self.0.enter(1, |books| {
            books.verdict.accepted += 1;
            books.suppressed += 1;
        });
    }

    /// An event that is taken does not fit its schema.
    pub fn warn(&self, index: u32, violation: &Violation) {
        self.0.enter(0, |books| {
            books.verdict.warned += 1;
            if books.verdict.warnings.len() < MAX_WARNINGS {
                let Violation { field, message } = violation.clone();
                books.verdict.warnings.push(EventWarning { index, field, message });
            }
        });
    }

    /// To be told of the outcome of events that are in flight by another batch.
    #[must_use]
    pub fn resends(&self) -> Arc<dyn Waiter> {
        Arc::new(Resends(Arc::clone(&self.0)))
    }

    /// An event without an id got this one.
    pub fn assign(&self, index: u32, event_id: Uuid) {
        self.0.enter(0, |books| {
            books.verdict.assigned_ids.push(AssignedId { index, event_id: event_id.hyphenated().to_string() });
        });
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.enter(1, |_| {});
    }
}

impl Waiter for Batch {
    fn settled(&self, range: EventRange, outcome: &Outcome) {
        self.settle(range, outcome, false);
    }
}

/// The events of a batch that another batch has sent before.
struct Resends(Arc<Batch>);

impl Waiter for Resends {
    fn settled(&self, range: EventRange, outcome: &Outcome) {
        self.0.settle(range, outcome, true);
    }
}

impl Batch {
    fn settle(&self, range: EventRange, outcome: &Outcome, resent: bool) {
        let events = range.end - range.start;
        self.enter(events, |books| match outcome {
            Outcome::Stored => {
                books.verdict.accepted += events;
                books.duplicates += if resent { events } else { 0 };
            }
            Outcome::NotStored { reason, retry_after } => {
                books.verdict.retry += events;
                books.retry_after = Some(books.retry_after.map_or(*retry_after, |known| known.max(*retry_after)));
                let failed = Failed { code: VerdictCode::Retry, reason: *reason, retry_after: Some(*retry_after) };
                books.verdict.not_accepted.extend((range.start..range.end).map(|index| failed.verdict(index)));
            }
            Outcome::Unknown { reason } => {
                books.verdict.unknown += events;
                let failed = Failed { code: VerdictCode::Unknown, reason: *reason, retry_after: None };
                books.verdict.not_accepted.extend((range.start..range.end).map(|index| failed.verdict(index)));
            }
        });
    }
}

struct Failed {
    code: VerdictCode,
    reason: FailureReason,
    retry_after: Option<Duration>,
}

impl Failed {
    fn verdict(&self, index: u32) -> EventVerdict {
        let (reason, message) = match self.reason {
            FailureReason::DestinationUnavailable => (Reason::DestinationUnavailable, "the destination is unavailable"),
            FailureReason::Deadline => (Reason::Deadline, "the destination did not answer in time"),
        };
        EventVerdict {
            index,
            code: self.code.into(),
            reason: reason.into(),
            field: String::new(),
            message: message.to_owned(),
            retry_delay: self.retry_after.and_then(|delay| prost_types::Duration::try_from(delay).ok()),
        }
    }
}
