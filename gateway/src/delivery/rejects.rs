//! Rejected events, kept apart as bad rows, so that they can be repaired and sent again (`headgate replay`): in files, or
//! in a Firehose delivery stream of their own.
//!
//! They are a service and not a promise: a bad row was answered as rejected before it gets here. The queue is bounded in
//! bytes, the files in all; when the queue is full, or the disk or Firehose refuses, rows are dropped and counted, and no
//! event that is accepted ever waits for them.

mod erase;
mod firehose;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod queue;
mod row;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch::{Sender, channel};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::firehose::ToFirehose;
use self::queue::Queue;
use self::writer::Writer;
use super::lake::files::FileLayer;
use super::sender::wire::Wire;
use crate::clock::Clock;
use crate::config::{FirehoseSettings, LakeSettings};
use crate::metrics::{Counter, CounterHandle, Metrics};
use crate::operate::tasks::Tasks;

pub use erase::erase_bad_rows;
pub use row::{BadRowEvent, BadRowLine, BadRowTime};
pub use writer::RejectsError;

/// An event that was rejected.
#[derive(Clone, Debug)]
pub struct BadRow {
    /// The application that sent it.
    pub application_id: Uuid,
    /// The request in which it came.
    pub request_id: String,
    /// Its position in the request.
    pub index: u32,
    /// Why, for programs.
    pub reason: &'static str,
    /// The field at fault; empty where no single field is.
    pub field: String,
    /// Why, for people.
    pub message: String,
    /// When the request came, milliseconds since 1970-01-01 UTC.
    pub received_at_ms: i64,
    /// The event as it was sent: an encoded `headgate.v1.Event`, or what should have been one.
    pub event: Vec<u8>,
}

impl BadRow {
    /// What it takes of the queue, bytes.
    fn cost(&self) -> usize {
        size_of::<Self>() + self.request_id.len() + self.message.len() + self.event.len()
    }
}

/// What Firehose has not taken so long after a close is dropped: a drain has little time, and more important things to do.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Takes rejected events.
pub struct Rejects {
    queue: Arc<Queue>,
    dropped: CounterHandle,
    ended: Sender<bool>,
    worker: Worker,
}

/// Who keeps the rows.
enum Worker {
    /// A thread, in files.
    Thread(Mutex<Option<JoinHandle<()>>>),
    /// A task, in Firehose, until stopped.
    Task(CancellationToken),
}

impl Rejects {
    /// Keeps bad rows in `DATA_DIR/bad_rows`, in a file for each start, day and 16 MiB.
    ///
    /// # Errors
    /// If the folder can't be made or the thread can't be started.
    pub fn open(
        files: &Arc<dyn FileLayer>,
        data_dir: &Path,
        settings: &LakeSettings,
        metrics: &Arc<Metrics>,
        clock: &Clock,
    ) -> Result<Arc<Self>, RejectsError> {
        let queue = Arc::new(Queue::new(settings.bad_rows_queue.as_usize()));
        let writer = Writer::open(Arc::clone(files), data_dir, settings, metrics, clock.clone(), Arc::clone(&queue))?;
        let ended = channel(false).0;
        let at_end = Ended(ended.clone());
        let thread = thread::Builder::new()
            .name("bad-rows".to_owned())
            .spawn(move || {
                let _at_end = at_end;
                writer.run();
            })
            .map_err(RejectsError::Thread)?;
        Ok(Arc::new(Self {
            queue,
            dropped: metrics.counter(Counter::BadRowsDropped, &[]),
            ended,
            worker: Worker::Thread(Mutex::new(Some(thread))),
        }))
    }

    /// Sends bad rows to a delivery stream of their own: `wire` leads there, and `settings` say how its records and calls
    /// are made. At most `lake.bad_rows_queue` bytes wait. The work is one of `tasks`.
    #[must_use]
    pub fn to_firehose(
        wire: Arc<dyn Wire>,
        settings: &FirehoseSettings,
        lake: &LakeSettings,
        metrics: &Arc<Metrics>,
        clock: &Clock,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let queue = Arc::new(Queue::new(lake.bad_rows_queue.as_usize()));
        let sender = Arc::new(ToFirehose::new(Arc::clone(&queue), wire, settings, metrics, clock.clone()));
        let (ended, stop) = (channel(false).0, CancellationToken::new());
        let at_end = ended.clone();
        tasks.supervise("bad-rows", &stop, move || {
            let (sender, at_end) = (Arc::clone(&sender), at_end.clone());
            async move {
                sender.run().await;
                at_end.send_replace(true);
            }
        });
        let dropped = metrics.counter(Counter::BadRowsDropped, &[]);
        Arc::new(Self { queue, dropped, ended, worker: Worker::Task(stop) })
    }

    /// Takes a row. Does not block; a row that does not fit into the queue is dropped and counted.
    pub fn submit(&self, row: BadRow) {
        if !self.queue.push(row) {
            self.dropped.inc();
        }
    }

    /// The files that get no more rows, with all that was submitted before. `None` where this keeps no files, or is closed.
    pub async fn settled_files(&self) -> Option<std::io::Result<Vec<PathBuf>>> {
        match &self.worker {
            Worker::Thread(_) => self.queue.settle().await.ok(),
            Worker::Task(_) => None,
        }
    }

    /// Keeps what waits, and takes no more.
    pub async fn close(&self) {
        self.queue.close();
        let mut ended = self.ended.subscribe();
        let ended = ended.wait_for(|ended| *ended);
        match &self.worker {
            Worker::Thread(thread) => {
                let _ = ended.await;
                let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(thread) = thread {
                    let _ = thread.join();
                }
            }
            Worker::Task(stop) => {
                if tokio::time::timeout(CLOSE_PATIENCE, ended).await.is_err() {
                    // What the task has in hand it counts itself.
                    stop.cancel();
                    self.dropped.inc_by(self.queue.take_up_to(usize::MAX).len() as u64);
                }
            }
        }
    }
}

impl Drop for Rejects {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Says that the thread has ended, also when it panics.
struct Ended(Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests;
