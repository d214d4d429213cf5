//! Load that goes on through faults: streams and unary calls whose batches come from the oracle. What has no answer when
//! a connection ends is sent again, with the same ids, as a game server would.

mod stream;
mod tally;
mod unary;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headgate_proto::v1::BatchVerdict;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use self::tally::Tally;
use crate::client::Target;
use crate::oracle::{Batch, Oracle};
use crate::poll;
use crate::seed::Draw;

/// How long a worker waits after a connection that could not be made.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// A hint is followed up to this long, so that a test does not wait for a clock.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A worker that is late sends faster for so much of it.
const CATCHES_UP: Duration = Duration::from_millis(200);

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
    /// How long a worker rests before each new batch.
    pub pace: Duration,
    /// How many of the streams now and then do not read their answers for [`SLOW_PAUSE`].
    pub slow_readers: usize,
    /// One call or stream in so many is given up by its client before it is answered; 0: none.
    pub cancel_one_in: u64,
    /// One batch in so many is sent by another worker as well, at about the same time; 0: none.
    pub echo_one_in: u64,
    /// One batch in so many is sent once more after it was acknowledged; 0: none. Only for a gateway that runs all the
    /// time: one that starts has forgotten what it has seen.
    pub repeat_one_in: u64,
    /// One batch in so many is not sent again when the gateway says that it was not stored: nobody will hear of it any
    /// more, and it must not be found; 0: none.
    pub forget_one_in: u64,
}

/// How long a slow reader does not read.
pub const SLOW_PAUSE: Duration = Duration::from_millis(400);

impl Shape {
    /// Nobody who sends anything.
    pub const NONE: Self = Self {
        streams: 0,
        stubborn: 0,
        window: 1,
        unary: 0,
        batch: 1..=1,
        pace: Duration::ZERO,
        slow_readers: 0,
        cancel_one_in: 0,
        echo_one_in: 0,
        repeat_one_in: 0,
        forget_one_in: 0,
    };
}

impl Default for Shape {
    /// As much as a debug build on two cores takes.
    fn default() -> Self {
        Self { streams: 4, stubborn: 1, window: 16, unary: 4, batch: 1..=120, ..Self::NONE }
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
    // What any worker of an application is to send as well.
    echoes: Mutex<VecDeque<Batch>>,
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
    // Acknowledged, and to be sent all the same.
    repeats: VecDeque<Batch>,
    stage: watch::Receiver<Stage>,
    // Before it nothing new is sent.
    rests_until: Instant,
}

impl Load {
    /// Starts it; `targets` are the oracle's applications, in its order.
    #[must_use]
    pub fn start(oracle: &Arc<Oracle>, targets: &[Target], shape: &Shape, seed: u64) -> Self {
        let stage = watch::Sender::new(Stage::Running);
        let shared =
            Arc::new(Shared { oracle: Arc::clone(oracle), tally: Mutex::default(), stage, echoes: Mutex::default() });
        let mut workers = JoinSet::new();
        for (application, target) in targets.iter().enumerate() {
            let worker = |purpose: usize| Worker {
                shared: Arc::clone(&shared),
                application,
                target: target.clone(),
                shape: shape.clone(),
                draw: Draw::new(seed, (application * 1_000 + purpose) as u64),
                backlog: VecDeque::new(),
                repeats: VecDeque::new(),
                stage: shared.stage.subscribe(),
                rests_until: Instant::now(),
            };
            for stream in 0..shape.streams {
                // The last ones, so that whoever is stubborn is not slow, if there are enough.
                let slow = stream + shape.slow_readers >= shape.streams;
                workers.spawn(worker(stream).stream(stream < shape.stubborn, slow));
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
        let settled = self.settle(patience).await;
        settled.unwrap_or_else(|tally| panic!("waited {patience:?} in vain: every event to be settled; {tally:?}"))
    }

    /// As [`Load::finish`], for a run that goes on if there is an event that is not settled in time. The load then goes on,
    /// too, until it is dropped.
    ///
    /// # Errors
    /// What happened so far.
    ///
    /// # Panics
    /// If a worker panicked.
    pub async fn settle(&mut self, patience: Duration) -> Result<Tally, Tally> {
        self.shared.stage.send_replace(Stage::Finishing);
        let in_time = tokio::time::timeout(patience, self.join()).await.is_ok();
        if in_time { Ok(self.tally()) } else { Err(self.tally()) }
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

    /// What to send next: first what was sent before and not settled. None while there is nothing, or while it rests.
    fn next_batch(&mut self, now: Instant) -> Option<Batch> {
        while let Some(batch) = self.backlog.pop_front() {
            if let Some(batch) = self.shared.oracle.unsettled(batch) {
                return Some(batch);
            }
        }
        if self.stage() == Stage::Finishing || self.rests_until > now {
            return None;
        }
        // By its own clock, so that a machine that is late now and then does not slow the load down; what an outage has
        // held up is not caught up with.
        self.rests_until = (self.rests_until + self.shape.pace).max(now - CATCHES_UP);
        if let Some(batch) = self.repeats.pop_front().or_else(|| self.echo()) {
            return Some(batch);
        }
        let events = self.draw.within(self.shape.batch.clone());
        let batch =
            self.shared.oracle.batch(self.application, usize::try_from(events).expect("a batch fits into memory"));
        if self.happens(self.shape.echo_one_in) {
            self.shared.echoes.lock().unwrap_or_else(PoisonError::into_inner).push_back(batch.clone());
        }
        Some(batch)
    }

    /// A batch that another worker has taken up just now.
    fn echo(&mut self) -> Option<Batch> {
        let mut echoes = self.shared.echoes.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = echoes.pop_front_if(|batch| batch.application == self.application)?;
        drop(echoes);
        self.shared.oracle.unsettled(batch)
    }

    /// Takes a batch's verdict: what is not settled is sent again.
    fn take_verdict(&mut self, batch: Batch, verdict: &BatchVerdict) {
        self.note(|tally| tally.answered += 1);
        let again = self.shared.oracle.verdict(&batch, verdict);
        if again.is_none() && verdict.rejected == 0 && self.happens(self.shape.repeat_one_in) {
            self.repeats.push_back(batch);
        }
        if let Some(again) = again {
            self.send_again(again);
        }
    }

    /// What was not stored, or may not have been, is sent again, mostly.
    fn send_again(&mut self, batch: Batch) {
        if !self.happens(self.shape.forget_one_in) {
            self.backlog.push_back(batch);
        }
    }

    /// Whether something happens now that happens once in so many times; with 0, never.
    fn happens(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.draw.within(1..=one_in) == 1
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
