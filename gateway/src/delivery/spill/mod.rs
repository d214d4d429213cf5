//! Keeps buckets that could not be delivered by their deadline in a bounded log on the local disk, and delivers them
//! later.
//!
//! The verdict of their events is `unknown`, given once they are durable; never accepted. Their ids stay in flight: a
//! resend is `unknown` too until the bucket is delivered, and a duplicate from then on. Later buckets of a keyed lane wait
//! until those before them are delivered. What is left at a stop is delivered after the next start, without tickets and
//! without an order. Delivery is at least once: which buckets of a file were delivered is not written down.
//!
//! When the disk fails, hangs or is full, nothing is taken, and a bucket is told what it would be told without a spill.

mod frame;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod promise;
mod queue;
mod redeliver;
mod shelf;
mod space;
mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;

use self::frame::FRAME_HEADER;
use self::promise::Promise;
use self::queue::Queue;
use self::shelf::{Kept, Shelf};
use self::space::Space;
use self::store::Store;
use self::writer::Writer;
use super::Destination;
use super::lake::files::FileLayer;
use super::sender::Keeper;
use crate::clock::Clock;
use crate::gather::ClosedBucket;
use crate::metrics::{Counter, CounterHandle, Gauge, Metrics};

const TASK: &str = "spill";

/// What a spill is made with.
pub struct SpillParts<'a> {
    /// The file system.
    pub files: Arc<dyn FileLayer>,
    /// The gateway's data folder; a spill's is `spill/NAME` in it.
    pub data_dir: &'a Path,
    /// The destination's name, as in metrics.
    pub name: &'static str,
    /// Bytes of its files, and of what waits to be written to them, at most. 0: nothing is kept, and only what an earlier
    /// start has left is delivered.
    pub bound: u64,
    /// How long a delivery may take. One that has nowhere else to go then goes on with what is missing.
    pub deadline: Duration,
    /// The time.
    pub clock: Clock,
    /// Where it counts.
    pub metrics: &'a Arc<Metrics>,
}

/// Why there can be no spill.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The folder can't be made or read.
    #[error("{}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A thread can't be started.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

/// Keeps buckets of one destination.
pub struct Spill {
    inner: Arc<Inner>,
    ended: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner {
    store: Store,
    queue: Queue,
    shelf: Shelf,
    space: Space,
    deadline: Duration,
    clock: Clock,
    metrics: Arc<Metrics>,
    delivered: CounterHandle,
    refused: CounterHandle,
    lost: CounterHandle,
}

impl Spill {
    /// Whether an earlier start has left anything to be delivered. Where it has, a spill is of use even with a bound of 0.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn is_left(files: &dyn FileLayer, data_dir: &Path, name: &str) -> Result<bool, SpillError> {
        let path = Store::folder_of(data_dir, name);
        store::holds_any(files, &path).map_err(|source| SpillError::Folder { path, source })
    }

    /// Opens the folder, takes up what an earlier start has left in it and starts to take buckets. Reads the folder, so
    /// not to be called on a runtime's thread.
    ///
    /// # Errors
    /// If the folder can't be made or read, or a thread can't be started.
    pub fn open(parts: SpillParts<'_>) -> Result<Arc<Self>, SpillError> {
        let SpillParts { files, data_dir, name, bound, deadline, clock, metrics } = parts;
        let folder = |source| SpillError::Folder { path: Store::folder_of(data_dir, name), source };
        let store = Store::open(files, data_dir, name).map_err(folder)?;
        let left = store.recover().map_err(folder)?;
        let counter = |counter| metrics.counter(counter, &[name]);
        counter(Counter::SpillTornBytes).inc_by(left.lost_bytes);
        let inner = Arc::new(Inner {
            store,
            queue: Queue::new(clock.clone()),
            shelf: Shelf::new(metrics.gauge(Gauge::SpillBuckets, &[name])),
            space: Space::new(bound, metrics.gauge(Gauge::SpillBytes, &[name])),
            deadline,
            clock,
            metrics: Arc::clone(metrics),
            delivered: counter(Counter::SpillDelivered),
            refused: counter(Counter::SpillRefused),
            lost: counter(Counter::SpillLost),
        });
        for (number, bytes) in left.files {
            inner.space.count(bytes);
            inner.shelf.grew(number, bytes);
        }
        for stored in left.buckets {
            inner.shelf.put(Kept { stored, promise: Promise::nobodys(), lane: None, overflow: None });
        }
        let spill = Arc::new(Self { inner, ended: watch::Sender::new(false), threads: Mutex::default() });
        spill.start(left.next_file)?;
        Ok(spill)
    }

    fn start(&self, next_file: u64) -> Result<(), SpillError> {
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(work).map_err(SpillError::Thread)
        };
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = Arc::clone(&self.inner);
        threads.push(spawn("spill-watch", Box::new(move || watch_promises(&inner)))?);
        let ended = Ended { ended: self.ended.clone(), inner: Arc::clone(&self.inner) };
        let writer = Writer::new(Arc::clone(&self.inner), next_file);
        threads.push(spawn("spill", Box::new(move || ended.after(|| writer.run())))?);
        Ok(())
    }

    /// Delivers what is kept while the destination takes events. To be run as a task; what is on its way when it is
    /// stopped is settled all the same.
    pub async fn run(self: Arc<Self>, destination: Arc<dyn Destination>) {
        redeliver::run(&self.inner, &*destination).await;
    }

    /// Writes what waits to be written, and takes no more. To be called after the destination is closed, which may still
    /// hand over buckets; what is kept stays for the next start.
    pub async fn close(&self) {
        self.inner.queue.close();
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Keeper for Spill {
    fn keep(&self, bucket: ClosedBucket) -> Result<(), Box<ClosedBucket>> {
        let inner = &self.inner;
        let bytes = (FRAME_HEADER + bucket.payload.len()) as u64;
        if !inner.space.take(bytes) {
            inner.refused.inc();
            return Err(Box::new(bucket));
        }
        inner.queue.push(bucket, bytes).inspect_err(|_| {
            inner.space.give_back(bytes);
            inner.refused.inc();
        })
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.inner.queue.close();
    }
}

impl Inner {
    fn delivered(&self, number: u64) {
        let Some(kept) = self.shelf.take(number) else { return };
        self.delivered.inc();
        kept.promise.stored();
        self.queue.tidy();
    }

    fn lose(&self, number: u64) {
        let Some(kept) = self.shelf.take(number) else { return };
        self.lost.inc();
        kept.promise.give_up();
        self.queue.tidy();
    }

    fn panicked(&self) {
        self.metrics.counter(Counter::Panics, &[TASK]).inc();
        tracing::error!("a bug in the spill; it goes on");
    }
}

/// Gives verdicts that have waited for the disk long enough.
fn watch_promises(inner: &Inner) {
    while let Some(due) = inner.queue.due() {
        for promise in due {
            if catch_unwind(AssertUnwindSafe(|| promise.answer())).is_err() {
                inner.panicked();
            }
        }
    }
}

/// Says that the writer has ended, also when it panics.
struct Ended {
    ended: watch::Sender<bool>,
    inner: Arc<Inner>,
}

impl Ended {
    fn after(self, work: impl FnOnce()) {
        work();
        drop(self);
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.inner.queue.finish());
        self.ended.send_replace(true);
    }
}
