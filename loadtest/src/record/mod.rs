//! What a run records: where every event has gone, latencies second by second, and what went wrong in words.
//!
//! Game servers record once a batch, under the lock of a shard that few of them share; whoever watches the run collects
//! the shards into intervals and totals.

mod collected;
mod hist;
mod ledger;
mod report;
mod second;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use collected::{Collected, Of, Taken};
pub use hist::{Latencies, Percentiles, bucket_floor, bucket_of};
pub use ledger::Ledger;
pub use report::{Ids, Recent, Report, Snapshot};
pub(crate) use second::Second;
use tokio::time::Instant;

const SHARDS: usize = 8;
/// Different problems told apart; their texts may contain anything.
const PROBLEMS: usize = 64;

/// What some game servers' batches are recorded in.
#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) ledger: Ledger,
    /// From the first try to connect to an open stream.
    pub(crate) connect: Latencies,
    seconds: Vec<Second>,
    problems: BTreeMap<String, u64>,
}

impl Shard {
    /// The record of a second, counted from the start of the schedule.
    pub(crate) fn second(&mut self, at: u32) -> &mut Second {
        let place = match self.seconds.iter().rposition(|second| second.at == at) {
            Some(place) => place,
            None => {
                self.seconds.push(Second::new(at));
                self.seconds.len() - 1
            }
        };
        &mut self.seconds[place]
    }

    /// Counts something that went wrong.
    pub(crate) fn problem(&mut self, what: String, events: u64) {
        if self.problems.len() < PROBLEMS || self.problems.contains_key(&what) {
            *self.problems.entry(what).or_default() += events.max(1);
        }
    }
}

/// A class of game servers, told apart in the result.
struct Class {
    name: String,
    /// Whether it is of game servers, whose figures are those of the run.
    main: bool,
    shards: [Mutex<Shard>; SHARDS],
}

/// Where all game servers of a run record.
pub(crate) struct Recorder {
    /// When the schedule begins; known once every game server is ready.
    start: OnceLock<Instant>,
    classes: Vec<Class>,
    connections: AtomicU64,
    reconnects: AtomicU64,
    /// Signed, since servers add and take away in any order.
    online: AtomicI64,
    /// Signed for the same reason.
    held: AtomicI64,
    /// Answers that clients which misbehave got: right ones and wrong ones.
    right_answers: AtomicU64,
    wrong_answers: AtomicU64,
    early_retries: AtomicU64,
    collected: Mutex<Collected>,
}

/// An open connection, counted as such until it is dropped.
pub(crate) struct OpenConnection(Arc<Recorder>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Recorder {
    /// A recorder for classes of these names, and whether they are of game servers; there is at least one.
    pub(crate) fn new(classes: impl IntoIterator<Item = (String, bool)>) -> Self {
        let class = |(name, main)| Class { name, main, shards: Default::default() };
        let classes: Vec<_> = classes.into_iter().map(class).collect();
        Self {
            start: OnceLock::new(),
            collected: Mutex::new(Collected::new(classes.len())),
            classes,
            connections: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            online: AtomicI64::new(0),
            held: AtomicI64::new(0),
            right_answers: AtomicU64::new(0),
            wrong_answers: AtomicU64::new(0),
            early_retries: AtomicU64::new(0),
        }
    }

    /// Says when the schedule begins; only the first time counts.
    pub(crate) fn begin(&self, start: Instant) {
        let _ = self.start.set(start);
    }

    /// When the schedule begins; now, while nobody knows.
    pub(crate) fn start(&self) -> Instant {
        self.start.get().copied().unwrap_or_else(Instant::now)
    }

    /// Whether the schedule has begun.
    pub(crate) fn begun(&self) -> bool {
        self.start.get().is_some_and(|start| *start <= Instant::now())
    }

    /// The second that an instant lies in; what lies before the start belongs to the first.
    pub(crate) fn second_of(&self, instant: Instant) -> u32 {
        instant.saturating_duration_since(self.start()).as_secs() as u32
    }

    /// Counts an open connection for as long as the result is kept.
    pub(crate) fn connection_opened(recorder: &Arc<Self>, again: bool) -> OpenConnection {
        recorder.connections.fetch_add(1, Ordering::Relaxed);
        recorder.reconnects.fetch_add(u64::from(again), Ordering::Relaxed);
        OpenConnection(recorder.clone())
    }

    /// Connections were opened again, in the hands of somebody else who counts them.
    pub(crate) fn reconnected(&self, times: u64) {
        self.reconnects.fetch_add(times, Ordering::Relaxed);
    }

    /// More or fewer events are held back, because their application sends too much.
    pub(crate) fn held_changed(&self, by: i64) {
        self.held.fetch_add(by, Ordering::Relaxed);
    }

    /// More or fewer players are online.
    pub(crate) fn online_changed(&self, by: i64) {
        self.online.fetch_add(by, Ordering::Relaxed);
    }

    /// A client that misbehaves got its answer.
    pub(crate) fn answered(&self, right: bool) {
        let count = if right { &self.right_answers } else { &self.wrong_answers };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Right and wrong answers to clients that misbehave.
    pub(crate) fn answers(&self) -> (u64, u64) {
        (self.right_answers.load(Ordering::Relaxed), self.wrong_answers.load(Ordering::Relaxed))
    }

    /// A batch was sent again before the gateway's hint was over.
    pub(crate) fn retried_early(&self) {
        self.early_retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Batches sent again before the gateway's hint was over.
    pub(crate) fn early_retries(&self) -> u64 {
        self.early_retries.load(Ordering::Relaxed)
    }

    /// The shard of a game server.
    pub(crate) fn shard(&self, class: usize, server: usize) -> MutexGuard<'_, Shard> {
        lock(&self.classes[class].shards[server % SHARDS])
    }

    /// Everything recorded so far, brought together.
    pub(crate) fn collect(&self) -> MutexGuard<'_, Collected> {
        let mut collected = lock(&self.collected);
        collected.begin();
        for (index, class) in self.classes.iter().enumerate() {
            let name = (self.classes.len() > 1).then_some(class.name.as_str());
            let of = Of { class: index, name, main: class.main };
            for shard in &class.shards {
                let taken = {
                    let mut shard = lock(shard);
                    Taken {
                        ledger: shard.ledger.clone(),
                        connect: std::mem::take(&mut shard.connect),
                        seconds: std::mem::take(&mut shard.seconds),
                        problems: std::mem::take(&mut shard.problems),
                    }
                };
                collected.take_in(&of, taken);
            }
        }
        collected.connections = self.connections.load(Ordering::Relaxed);
        collected.reconnects = self.reconnects.load(Ordering::Relaxed);
        collected.online = u64::try_from(self.online.load(Ordering::Relaxed)).unwrap_or(0);
        collected.held = u64::try_from(self.held.load(Ordering::Relaxed)).unwrap_or(0);
        collected
    }

    /// Whether a class is of game servers.
    pub(crate) fn is_main(&self, class: usize) -> bool {
        self.classes.get(class).is_some_and(|class| class.main)
    }

    /// The names of the classes.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(|class| class.name.as_str())
    }
}

/// A panic elsewhere does not make counts unreadable; whoever panicked is reported on its own.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
