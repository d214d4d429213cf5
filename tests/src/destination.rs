//! A destination that does what a test says: for outcomes that a disk does not give at will.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use headgate::delivery::{Destination, Health};
use headgate::gather::{BucketSink, ClosedBucket, Format, Outcome, Packing};

/// Small, so that a batch of a few events takes several buckets.
const TARGET_BYTES: usize = 1_024;
const LINGER: Duration = Duration::from_millis(2);

/// What the destination says when it is asked for its health.
#[derive(Clone, Debug)]
enum Says {
    Health(Health),
    Panic,
}

struct State {
    held: VecDeque<ClosedBucket>,
    outcomes: VecDeque<Outcome>,
    hold: bool,
    says: Says,
}

/// Stores nothing; settles buckets as it was told, or holds them until it is told.
pub struct Scripted(Mutex<State>);

impl Scripted {
    /// Answers that every bucket is stored, until told otherwise.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let state =
            State { held: VecDeque::new(), outcomes: VecDeque::new(), hold: false, says: Says::Health(Health::Up) };
        Arc::new(Self(Mutex::new(state)))
    }

    /// The next buckets have these outcomes, in the order in which they come.
    pub fn answer(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.lock().outcomes.extend(outcomes);
    }

    /// Buckets get no answer until [`Scripted::release`].
    pub fn hold(&self) {
        self.lock().hold = true;
    }

    /// How many buckets wait for an answer.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().held.len()
    }

    /// The bucket that came first, or last, is stored.
    pub fn release_one(&self, last: bool) {
        let bucket = {
            let held = &mut self.lock().held;
            if last { held.pop_back() } else { held.pop_front() }
        };
        if let Some(bucket) = bucket {
            bucket.ticket.settle(&Outcome::Stored);
        }
    }

    /// Every bucket that was held is stored, and those that come are.
    pub fn release(&self) {
        let held = {
            let mut state = self.lock();
            state.hold = false;
            std::mem::take(&mut state.held)
        };
        for bucket in held {
            bucket.ticket.settle(&Outcome::Stored);
        }
    }

    /// From now on it says this of its health.
    pub fn set_health(&self, health: Health) {
        self.lock().says = Says::Health(health);
    }

    /// From now on it panics when it is asked for its health.
    pub fn panic_when_asked(&self) {
        self.lock().says = Says::Panic;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BucketSink for Scripted {
    fn submit(&self, bucket: ClosedBucket) {
        let outcome = {
            let mut state = self.lock();
            if state.hold {
                return state.held.push_back(bucket);
            }
            state.outcomes.pop_front().unwrap_or(Outcome::Stored)
        };
        bucket.ticket.settle(&outcome);
    }
}

#[async_trait]
impl Destination for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn packing(&self) -> Packing {
        Packing::buckets(Format::Lines, TARGET_BYTES, LINGER)
    }

    fn health(&self) -> Health {
        let says = self.lock().says.clone();
        match says {
            Says::Health(health) => health,
            Says::Panic => panic!("the test asked for this panic"),
        }
    }

    async fn close(&self) {
        self.release();
    }
}
