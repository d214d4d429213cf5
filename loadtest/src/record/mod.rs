//! What a run records: the ledger, three latencies, the ids by verdict, and what went wrong in words.
//!
//! Recording happens once a batch, under the lock of a shard that few game servers share.

mod hist;
mod ledger;
mod report;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use hist::{Latencies, Percentiles, bucket_floor, bucket_of};
pub use ledger::Ledger;
pub use report::{Ids, Recent, Report, Snapshot};
use tokio::time::Instant;

const SHARDS: usize = 8;
/// Different problems told apart; their texts may contain anything.
const PROBLEMS: usize = 64;

/// What one game server's batches are recorded in.
#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) ledger: Ledger,
    /// From the instant at which a batch was to leave to its answer.
    pub(crate) ack: Latencies,
    /// `ack` since the latest snapshot.
    pub(crate) ack_window: Latencies,
    /// From the instant at which a batch really left to its answer.
    pub(crate) service: Latencies,
    /// From the instant at which a batch was to leave to the one at which it did: the load tester's own lateness.
    pub(crate) lag: Latencies,
    pub(crate) ids: Ids,
    problems: BTreeMap<String, u64>,
}

impl Shard {
    /// Counts something that went wrong.
    pub(crate) fn problem(&mut self, what: String, events: u64) {
        if self.problems.len() < PROBLEMS || self.problems.contains_key(&what) {
            *self.problems.entry(what).or_default() += events.max(1);
        }
    }
}

/// Where all game servers of a run record.
pub(crate) struct Recorder {
    shards: [Mutex<Shard>; SHARDS],
    connections: AtomicU64,
    reconnects: AtomicU64,
    window: Mutex<Window>,
}

/// An open connection, counted as such until it is dropped.
pub(crate) struct OpenConnection(Arc<Recorder>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Window {
    since: Instant,
    accepted: u64,
}

impl Recorder {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            shards: Default::default(),
            connections: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            window: Mutex::new(Window { since: start, accepted: 0 }),
        }
    }

    /// Counts an open connection for as long as the result is kept.
    pub(crate) fn connection_opened(recorder: &Arc<Self>, again: bool) -> OpenConnection {
        recorder.connections.fetch_add(1, Ordering::Relaxed);
        recorder.reconnects.fetch_add(u64::from(again), Ordering::Relaxed);
        OpenConnection(recorder.clone())
    }

    /// The shard of a game server.
    pub(crate) fn shard(&self, server: usize) -> MutexGuard<'_, Shard> {
        lock(&self.shards[server % SHARDS])
    }

    pub(crate) fn snapshot(&self, start: Instant, now: Instant) -> Snapshot {
        let mut ledger = Ledger::default();
        let mut ack = Latencies::default();
        let mut ack_window = Latencies::default();
        let mut lag = Latencies::default();
        for shard in &self.shards {
            let mut shard = lock(shard);
            ledger.add(&shard.ledger);
            ack.add(&shard.ack);
            ack_window.add(&shard.ack_window);
            shard.ack_window.clear();
            lag.add(&shard.lag);
        }
        let mut window = lock(&self.window);
        let span = now.saturating_duration_since(window.since);
        let accepted = ledger.accepted - window.accepted;
        *window = Window { since: now, accepted: ledger.accepted };
        let events_per_second = if span.is_zero() { 0.0 } else { accepted as f64 / span.as_secs_f64() };
        Snapshot {
            elapsed: now.saturating_duration_since(start),
            ack: ack.percentiles(),
            recent: Recent { span, accepted, events_per_second, ack: ack_window.percentiles() },
            lag: lag.percentiles(),
            connections: self.connections.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
            ledger,
        }
    }

    /// Hands over everything recorded, the ids without copying them.
    pub(crate) fn report(&self, elapsed: Duration) -> Report {
        let mut report = Report {
            elapsed,
            ledger: Ledger::default(),
            ack: Latencies::default(),
            service: Latencies::default(),
            lag: Latencies::default(),
            ids: Ids::default(),
            problems: BTreeMap::new(),
            reconnects: self.reconnects.load(Ordering::Relaxed),
        };
        for shard in &self.shards {
            let mut shard = lock(shard);
            report.ledger.add(&shard.ledger);
            report.ack.add(&shard.ack);
            report.service.add(&shard.service);
            report.lag.add(&shard.lag);
            report.ids.acknowledged.append(&mut shard.ids.acknowledged);
            report.ids.rejected.append(&mut shard.ids.rejected);
            report.ids.undecided.append(&mut shard.ids.undecided);
            for (what, times) in std::mem::take(&mut shard.problems) {
                *report.problems.entry(what).or_default() += times;
            }
        }
        report
    }
}

/// A panic elsewhere does not make counts unreadable; whoever panicked is reported on its own.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
