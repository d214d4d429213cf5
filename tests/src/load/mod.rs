//! Load that goes on through faults: streams and unary calls whose batches come from the oracle. What has no answer when
//! a connection ends is sent again, with the same ids, as a game server would.

mod stream;
mod tally;
mod unary;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::tally::Tally;
use crate::client::Target;
use crate::oracle::{Batch, Oracle};
use crate::poll;
use crate::seed::Draw;

/// How long a worker waits after a connection that could not be made.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// A hint is followed up to this long, so that a test does not wait for a clock.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the load looks like, for each application.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Streams, each on a connection of its own.
    pub streams: usize,
    /// How many of them go on sending when they are asked to leave.
    pub stubborn: usize,
    /// Batches of one stream that wait for their answers.
    pub window: usize,
    /// Workers that publish in unary calls, one call at a time.
    pub unary: usize,
    /// Events in a batch.
    pub batch: RangeInclusive<u64>,
}

impl Default for Shape {
    /// As much as a debug build on two cores takes.
    fn default() -> Self {
        Self { streams: 4, stubborn: 1, window: 16, unary: 4, batch: 1..=120 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// New batches all the time.
    Running,
    /// No new batches; what is unanswered is sent again until it is settled.
    Finishing,
}

struct Shared {
    oracle: Arc<Oracle>,
    tally: Mutex<Tally>,
    stage: watch::Sender<Stage>,
}

/// Load that runs.
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

/// What every worker has: an application to send to, chance, and batches that have to be sent again.
struct Worker {
    shared: Arc<Shared>,
    application: usize,
    target: Target,
    shape: Shape,
    draw: Draw,
    backlog: VecDeque<Batch>,
    stage: watch::Receiver<Stage>,
}

impl Load {
    /// Starts it; `targets` are the oracle's applications, in its order.
    #[must_use]
    pub fn start(oracle: &Arc<Oracle>, targets: &[Target], shape: &Shape, seed: u64) -> Self {
        let stage = watch::Sender::new(Stage::Running);
        let shared = Arc::new(Shared { oracle: Arc::clone(oracle), tally: Mutex::default(), stage });
        let mut workers = JoinSet::new();
        for (application, target) in targets.iter().enumerate() {
            let worker = |purpose: usize| Worker {
                shared: Arc::clone(&shared),
                application,
                target: target.clone(),
                shape: shape.clone(),
                draw: Draw::new(seed, (application * 1_000 + purpose) as u64),
                backlog: VecDeque::new(),
                stage: shared.stage.subscribe(),
            };
            for stream in 0..shape.streams {
                workers.spawn(worker(stream).stream(stream < shape.stubborn));
            }
            for unary in 0..shape.unary {
                workers.spawn(worker(shape.streams + unary).unary());
            }
        }
        Self { shared, workers }
    }

    /// What happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `events` more events are acknowledged.
    ///
    /// # Panics
    /// If they are not within `patience`.
    pub async fn acknowledge(&self, events: u64, patience: Duration) {
        let wanted = self.shared.oracle.acknowledged() + events;
        let what = format!("{events} more acknowledgements");
        poll::until(&what, patience, async || (self.shared.oracle.acknowledged() >= wanted).then_some(())).await;
    }

    /// Sends nothing new, sends again what is unanswered until every event is settled, and ends.
    ///
    /// # Panics
    /// If that takes longer than `patience`, or a worker panicked.
    pub async fn finish(mut self, patience: Duration) -> Tally {
        self.shared.stage.send_replace(Stage::Finishing);
        let in_time = tokio::time::timeout(patience, self.join()).await.is_ok();
        assert!(in_time, "waited {patience:?} in vain: every event to be settled; {:?}", self.tally());
        self.tally()
    }

    /// Ends at once, with whatever is unanswered. Calls are cut off where they stand; an answer is never half noted.
    ///
    /// # Panics
    /// If a worker panicked.
    pub async fn abandon(mut self) -> Tally {
        self.workers.abort_all();
        self.join().await;
        self.tally()
    }

    async fn join(&mut self) {
        while let Some(ended) = self.workers.join_next().await {
            if let Err(error) = ended {
                assert!(error.is_cancelled(), "a worker of the load panicked: {error}");
            }
        }
    }
}

impl Worker {
    /// Whether there is anything to send, now or later.
    fn has_work(&self) -> bool {
        match self.stage() {
            Stage::Running => true,
            Stage::Finishing => !self.backlog.is_empty(),
        }
    }

    /// What to send next: first what was sent before and not settled.
    fn next_batch(&mut self) -> Option<Batch> {
        let running = self.stage() == Stage::Running;
        self.backlog.pop_front().or_else(|| {
            let events = self.draw.within(self.shape.batch.clone());
            let events = usize::try_from(events).expect("a batch fits into memory");
            running.then(|| self.shared.oracle.batch(self.application, events))
        })
    }

    fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    fn note(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn pause(&self, pause: Duration) {
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }
}
