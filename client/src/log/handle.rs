//! What the log's thread is told, and what it tells.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::LogProblem;

/// Is told what has been written, or could not be. In the order in which it was handed over.
pub(crate) trait Sink: Send + Sync {
    fn written(&self, written: &[Written]);
}

/// What became of a chunk of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) batch: u64,
    pub(crate) events: u32,
    pub(crate) bytes: usize,
    pub(crate) result: Result<(), LogProblem>,
}

/// The thread's work, in the order in which it is done.
pub(super) enum Command {
    Append { batch: u64, events: u32, data: Bytes },
    Settled(Vec<u64>),
    Read { batch: u64, reply: oneshot::Sender<io::Result<Bytes>> },
    Close,
}

/// Gives the thread its work; never waits.
pub(crate) struct Handle {
    pub(super) commands: Sender<Command>,
    pub(super) bytes: Arc<AtomicU64>,
    pub(super) problems: Arc<AtomicU64>,
    pub(super) thread: Option<JoinHandle<()>>,
    /// Settled, and not told yet: nothing is urgent about it, and waking the thread costs more than what it has to do.
    pub(super) settled: Vec<u64>,
}

/// So many settled batches are told of, whether or not there is something else to tell.
const SETTLED_MAX: usize = 64;

impl Handle {
    /// Appends events of a batch; the sink will hear.
    pub(crate) fn append(&mut self, batch: u64, events: u32, data: Bytes) {
        self.tell_settled();
        self.give(Command::Append { batch, events, data });
    }

    /// The batch need not be kept any longer. The thread is told with the next that there is to tell, or after some.
    pub(crate) fn settled(&mut self, batch: u64) {
        self.settled.push(batch);
        if self.settled.len() >= SETTLED_MAX {
            self.tell_settled();
        }
    }

    /// All that the log has of a batch.
    pub(crate) fn read(&mut self, batch: u64) -> oneshot::Receiver<io::Result<Bytes>> {
        self.tell_settled();
        let (reply, receiver) = oneshot::channel();
        self.give(Command::Read { batch, reply });
        receiver
    }

    /// What the log takes on disk, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How often the disk refused something.
    pub(crate) fn problems(&self) -> u64 {
        self.problems.load(Ordering::Relaxed)
    }

    /// Has everything written that was handed over, and the log closed. The thread is to be waited for.
    pub(crate) fn close(&mut self) -> Option<JoinHandle<()>> {
        self.tell_settled();
        self.give(Command::Close);
        self.thread.take()
    }

    /// Tells the thread now.
    pub(crate) fn tell_settled(&mut self) {
        if !self.settled.is_empty() {
            let settled = std::mem::take(&mut self.settled);
            self.give(Command::Settled(settled));
        }
    }

    fn give(&self, command: Command) {
        // The thread ends when it is told to, and nothing is given after that.
        let _ = self.commands.send(command);
    }
}
