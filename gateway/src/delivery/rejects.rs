//! Rejected events, kept apart as bad rows, so that they can be repaired and sent again (`headgate replay`).
//!
//! They are a service and not a promise: a bad row was answered as rejected before it gets here. The queue is bounded in
//! bytes, the files in all; when the queue is full or the disk refuses, rows are dropped and counted, and no event that
//! is accepted ever waits for them.

mod row;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::watch::{Sender, channel};
use uuid::Uuid;

use self::writer::{Queue, Writer};
use super::lake::files::FileLayer;
use crate::clock::Clock;
use crate::config::LakeSettings;
use crate::metrics::{Counter, CounterHandle, Metrics};

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
    pub field: &'static str,
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

/// Takes rejected events.
pub struct Rejects {
    queue: Arc<Queue>,
    dropped: CounterHandle,
    ended: Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let dropped = metrics.counter(Counter::BadRowsDropped, &[]);
        let rejects = Arc::new(Self { queue, dropped, ended: channel(false).0, thread: Mutex::new(None) });
        let ended = Ended(rejects.ended.clone());
        let thread = thread::Builder::new()
            .name("bad-rows".to_owned())
            .spawn(move || {
                let _ended = ended;
                writer.run();
            })
            .map_err(RejectsError::Thread)?;
        *rejects.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(rejects)
    }

    /// Takes a row. Does not block; a row that does not fit into the queue is dropped and counted.
    pub fn submit(&self, row: BadRow) {
        if !self.queue.push(row) {
            self.dropped.inc();
        }
    }

    /// Writes what waits, makes it durable, and takes no more.
    pub async fn close(&self) {
        self.queue.close();
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
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
