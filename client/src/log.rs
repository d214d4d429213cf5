//! The write-ahead log: events on disk, so that a crash or a long time offline loses none of them.
//!
//! A folder of segments that are only ever appended to. A frame holds events of a batch, byte for byte as they are sent, or
//! says that a batch is settled. A segment is removed once it and all older ones hold nothing that is unsettled. Opened
//! again, the log gives back every batch that was not settled; what a crash tore off the end of a segment was promised to
//! nobody. Frames that are not whole end their segment's reading and nothing else.
//!
//! All writing and reading is done by one thread, which takes whatever waits for it in one write and, where that was asked
//! for, one fsync. When the disk refuses, events stay in memory and are sent from there, and whoever waits for them to be
//! durable is told.

mod frame;
mod handle;
mod keeper;
mod open;
mod segment;
mod space;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use handle::{Handle, Sink, Written};
pub(crate) use open::{Recovered, open};

/// Where the log is, how large it gets, and when it is forced to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Log {
    pub(crate) folder: PathBuf,
    pub(crate) max_bytes: u64,
    pub(crate) fsync: Fsync,
}

/// When the log is forced to the disk (fsync). Whatever is chosen, a durable event is with the operating system before the
/// caller hears of it: the end of the process loses none. What differs is the end of the machine: power, kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before a durable event is confirmed; those that wait at the same time share one fsync. A durable event survives a
    /// power cut. The default.
    #[default]
    EachBatch,
    /// So often, 1 ms to 1 h. A power cut loses what is younger.
    Every(Duration),
    /// When the operating system sees fit. A power cut may lose some half a minute.
    Never,
}

impl Log {
    /// A log in this folder, which is made where it is missing. One client has it at a time.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), max_bytes: 1 << 30, fsync: Fsync::default() }
    }

    /// The most that it takes on disk, beside 20 bytes for each batch that is settled while it is full. 1 MiB to 1 TiB,
    /// default 1 GiB. What no longer fits stays in memory, up to the memory's limit.
    pub fn max_bytes(self, bytes: u64) -> Self {
        Self { max_bytes: bytes, ..self }
    }

    /// When it is forced to the disk. Default [`Fsync::EachBatch`].
    pub fn fsync(self, fsync: Fsync) -> Self {
        Self { fsync, ..self }
    }
}
