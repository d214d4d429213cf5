//! The local lake: a log that acknowledges events, and Parquet files that queries read.
//!
//! A bucket is stored once its frame is in the log and the log is fsynced; one fsync serves all buckets that wait for
//! it. Segments of the log are turned into Parquet in the background and then removed. When the disk fails or fills up,
//! nothing is acknowledged that is not there, [`Destination::health`] says so, and the lake finds by itself when the disk
//! works again. A kill or a power cut at any point loses no acknowledged event and doubles no row. Rows leave it only by
//! an erasure ([`Lake::erase`]).

mod backoff;
mod compact;
mod compactor;
pub mod day;
mod erase;
mod error;
pub mod files;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod health;
mod layout;
mod log;
mod manifest;
mod offline;
mod parquet_file;
mod partition;
#[doc(hidden)]
pub mod power_cut;
mod queue;
mod read_rows;
mod recover;
mod retire;
mod row_group;
mod rows;
mod segment;
mod verify;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch::{Sender, channel};

use super::{Destination, Health};
use crate::clock::Clock;
use crate::config::{GatherSettings, LakeSettings};
use crate::gather::{BucketSink, ClosedBucket, Format, Packing};
use crate::metrics::{Gauge, Metrics};

use compact::Compaction;
use compactor::Compactor;
use health::LakeHealth;
use layout::Layout;
use partition::EventWindow;
use queue::Queue;
use recover::Recovery;
use writer::{Writer, WriterParts};

pub use compactor::{CompactReport, FailedSegment};
pub use error::LakeError;
pub use files::{FileLayer, OsFiles};
pub use manifest::{Checksum, Erased, Manifest, ManifestFile, SetAside};
pub use offline::{Progress, compact_offline, erase_offline};
pub use read_rows::{EventRow, LakeFiles, read_rows};
pub use recover::RecoveryReport;
pub use verify::{Problem, VerifyReport, WaitingSegment, verify};

/// What stands before a bucket's records in a log segment: for benches, since the log is the lake's own.
#[doc(hidden)]
#[must_use]
pub fn frame_header(segment: u64, events: u32, packed: &[u8]) -> Option<[u8; log::FRAME_HEADER]> {
    log::frame_header(layout::SegmentNumber(segment), log::Form::Packed, events, packed)
}

const TARGET_BYTES: usize = 256 << 10;
const LINGER: Duration = Duration::from_millis(2);
const THREADS: usize = 3;

/// Knows the names of applications, for the lake's `application_name`. Asked on the compaction's thread, once for each
/// run of rows of one application.
pub trait ApplicationNames: Send + Sync {
    /// The application's name; `None` if it is not known.
    fn name(&self, application_id: &str) -> Option<String>;
}

/// What a lake works with.
#[derive(Clone)]
pub struct LakeParts {
    /// The files.
    pub files: Arc<dyn FileLayer>,
    /// The names of applications.
    pub names: Arc<dyn ApplicationNames>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
}

/// The local lake. It must be closed; dropped, it leaves its threads to end by themselves.
pub struct Lake {
    queue: Arc<Queue>,
    health: Arc<LakeHealth>,
    compactor: Arc<Compactor>,
    packing: Packing,
    recovery: RecoveryReport,
    ended: Sender<usize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held by the erasure that is going on.
    erasing: tokio::sync::Mutex<()>,
}

impl Lake {
    /// Opens the lake in `DATA_DIR/lake`: puts the log in order and starts. Takes as long as reading what is left of the
    /// log. Whoever opens it holds the data folder's lock.
    ///
    /// # Errors
    /// If its folders can't be made or listed, or a thread can't be started.
    pub fn open(
        data_dir: &Path,
        settings: &LakeSettings,
        gather: &GatherSettings,
        parts: LakeParts,
    ) -> Result<Self, LakeError> {
        let LakeParts { files, names, metrics, clock } = parts;
        let layout = Layout::new(data_dir);
        layout.create(&*files)?;
        let window = EventWindow::new(settings);
        let recovered = Recovery { files: &*files, layout: &layout, metrics: &metrics, window }.run()?;

        let compaction = Compaction::new(Arc::clone(&files), layout.clone(), names, window);
        let compactor = Arc::new(Compactor::new(compaction, Arc::clone(&metrics), clock.clone()));
        metrics.gauge(Gauge::LakeSegments, &[]).set(recovered.waiting.len().cast_signed() as i64);
        metrics.gauge(Gauge::LakeLogBytes, &[]).set(recovered.waiting.iter().map(|s| s.len.cast_signed()).sum());
        for sealed in recovered.waiting {
            compactor.add(sealed);
        }

        let watch_metrics = Arc::clone(&metrics);
        let queue = Arc::new(Queue::new(clock.clone()));
        let health = Arc::new(LakeHealth::new(&metrics));
        let writer = Writer::new(WriterParts {
            files,
            layout,
            settings: settings.clone(),
            clock: clock.clone(),
            metrics,
            queue: Arc::clone(&queue),
            health: Arc::clone(&health),
            compactor: Arc::clone(&compactor),
            next_number: recovered.next,
            previous: recovered.last,
        });
        let lake = Self {
            queue: Arc::clone(&queue),
            health: Arc::clone(&health),
            compactor: Arc::clone(&compactor),
            packing: Packing::buckets(
                Format::Packed,
                gather.target.map_or(TARGET_BYTES, |target| target.as_usize()),
                gather.linger.unwrap_or(LINGER),
            ),
            recovery: recovered.report,
            ended: channel(0).0,
            threads: Mutex::default(),
            erasing: tokio::sync::Mutex::default(),
        };
        let given_up = Arc::clone(&queue);
        lake.start("lake-watch", move || watch::run(&queue, &health, &clock, &watch_metrics))
            .and_then(|()| lake.start("lake-compactor", move || compactor.run()))
            .and_then(|()| lake.start("lake-writer", move || writer.run()))
            // Without its writer the watch would wait for ever.
            .inspect_err(|_| given_up.finish())?;
        Ok(lake)
    }

    /// What was found at the start.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.recovery
    }

    /// Seals the open segment once everything submitted before is stored, and turns all that waits into Parquet. A
    /// segment that fails is named in the report and stays in line.
    ///
    /// # Errors
    /// If the lake is closed, or is while this waits.
    pub async fn compact_now(&self) -> Result<CompactReport, LakeError> {
        let sealed = self.queue.request_roll().ok_or(LakeError::Closed)?;
        sealed.await.map_err(|_| LakeError::Closed)?;
        self.compactor.request().await.map_err(|_| LakeError::Closed)
    }

    fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), LakeError> {
        let ended = Ended(self.ended.clone());
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ended = ended;
                work();
            })
            .map_err(LakeError::Thread)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }
}

/// Counts a thread as ended, also when it panics.
struct Ended(Sender<usize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl BucketSink for Lake {
    fn submit(&self, bucket: ClosedBucket) {
        self.queue.submit(bucket);
    }
}

#[async_trait]
impl Destination for Lake {
    fn name(&self) -> &'static str {
        "lake"
    }

    fn packing(&self) -> Packing {
        self.packing
    }

    fn health(&self) -> Health {
        self.health.get()
    }

    /// What is not yet in Parquet stays in the log and waits for the next start.
    async fn close(&self) {
        // In this order, so that the last segment is not begun only to be left again.
        self.compactor.close();
        self.queue.close();
        // The threads end by themselves; joining those that have ended does not block.
        let _ = self.ended.subscribe().wait_for(|ended| *ended == THREADS).await;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        self.compactor.close();
        self.queue.close();
    }
}
