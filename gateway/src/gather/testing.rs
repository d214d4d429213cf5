//! Buckets for the tests of destinations, and what became of them.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bucket::ClosedBucket;
use super::in_flight::InFlight;
use super::order::{LaneHold, LaneOrder};
use super::packing::Format;
use super::shard_map::ShardRange;
use super::ticket::{EventRange, Outcome, Waiter};

/// Hears of a bucket's outcome.
#[derive(Default)]
pub(crate) struct Verdict {
    outcome: Mutex<Option<Outcome>>,
    told: Condvar,
}

impl Verdict {
    /// The outcome, if it is known.
    pub(crate) fn now(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The outcome; panics if there is none within 20 seconds.
    pub(crate) fn wait(&self) -> Outcome {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.told.wait_timeout_while(outcome, Duration::from_secs(20), |outcome| outcome.is_none());
        let (outcome, _) = waited.unwrap_or_else(PoisonError::into_inner);
        outcome.clone().expect("a bucket has an outcome")
    }
}

impl Waiter for Verdict {
    fn settled(&self, _range: EventRange, outcome: &Outcome) {
        let before = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).replace(outcome.clone());
        assert_eq!(before, None, "a bucket has one outcome");
        self.told.notify_all();
    }
}

/// A closed bucket with one batch in it.
pub(crate) fn bucket(
    in_flight: &Arc<InFlight>,
    payload: Vec<u8>,
    events: u32,
    deadline: Instant,
) -> (ClosedBucket, Arc<Verdict>) {
    let (_, waiters, ticket) = in_flight.open();
    let verdict = Arc::new(Verdict::default());
    waiters.attach(Arc::clone(&verdict) as Arc<dyn Waiter>, EventRange { start: 0, end: events });
    let bucket = ClosedBucket {
        payload,
        format: Format::Lines,
        events,
        opened_at: deadline,
        deadline,
        ticket,
        lane: None,
        overflow: None,
        kept: false,
        maybe_stored: false,
    };
    (bucket, verdict)
}

/// A lane whose records must stay in order.
pub(crate) fn lane() -> LaneHold {
    LaneOrder::new(ShardRange { id: "shardId-0".into(), start: 0, end: u128::MAX }, Vec::new()).1
}
