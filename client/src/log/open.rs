//! Opening a log: what the last process left unsettled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Log;
use super::handle::{Handle, Sink};
use super::keeper;
use super::segment::{self, Frames, Number};
use super::space::{Piece, Space};
use crate::error::LogError;

/// A log that is ready, and what it held.
pub(crate) struct Opened {
    pub(crate) handle: Handle,
    /// Unsettled, oldest first.
    pub(crate) batches: Vec<Recovered>,
    /// Larger than the number of every batch that the log ever saw.
    pub(crate) next_batch: u64,
}

/// A batch that was not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) number: u64,
    pub(crate) events: u32,
    pub(crate) bytes: usize,
}

/// Opens a log and starts its thread, which tells `sink` what it has written.
pub(crate) fn open(log: &Log, sink: Arc<dyn Sink>) -> Result<Opened, LogError> {
    let lock = lock(&log.folder)?;
    let at_folder = |error| LogError::Io { path: log.folder.clone(), error };
    let scan = Scan::of(&log.folder)?;
    let batches = scan.batches();
    let next_segment = scan.segments.last_key_value().map_or(1, |(number, _)| number + 1);
    let space = Space::new(scan.segments, scan.pieces);
    // A new segment each time: behind a torn tail nothing would be found.
    let handle = keeper::start(log, next_segment, space, lock, sink).map_err(at_folder)?;
    Ok(Opened { handle, batches, next_batch: scan.last_batch + 1 })
}

/// The lock is given back when the file is closed, by whatever ends the process.
fn lock(folder: &Path) -> Result<File, LogError> {
    let at_folder = |error| LogError::Io { path: folder.to_owned(), error };
    if !folder.is_dir() {
        fs::create_dir_all(folder).map_err(at_folder)?;
        // The new folders' names have to survive a power cut, too. Those above may be closed to us; then they are not new.
        for parent in folder.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            let _ = segment::sync_folder(parent);
        }
    }
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| LogError::Io { path: path.clone(), error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(LogError::Io { path, error }),
    }
}

#[derive(Default)]
struct Scan {
    /// With the bytes that each takes.
    segments: BTreeMap<Number, u64>,
    /// Of unsettled batches, in the order in which they were written.
    pieces: BTreeMap<u64, Vec<Piece>>,
    last_batch: u64,
}

impl Scan {
    fn of(folder: &Path) -> Result<Self, LogError> {
        let failed = |path: &Path, error: io::Error| LogError::Io { path: path.to_owned(), error };
        let mut scan = Self::default();
        let mut settled = BTreeSet::new();
        for number in segment::list(folder).map_err(|error| failed(folder, error))? {
            let path = segment::path(folder, number);
            scan.read(&path, number, &mut settled).map_err(|error| failed(&path, error))?;
        }
        scan.pieces.retain(|batch, _| !settled.contains(batch));
        Ok(scan)
    }

    fn read(&mut self, path: &Path, number: Number, settled: &mut BTreeSet<u64>) -> io::Result<()> {
        let mut frames = Frames::all(path)?;
        while let Some(found) = frames.next()? {
            let batch = found.header.batch;
            self.last_batch = self.last_batch.max(batch);
            if found.header.events == 0 {
                settled.insert(batch);
            } else {
                let piece = Piece::of_frame(number, found.start, found.data.len(), found.header.events);
                piece.add_to(self.pieces.entry(batch).or_default());
            }
        }
        // With what was torn: it takes its place on the disk as well.
        self.segments.insert(number, fs::metadata(path)?.len());
        Ok(())
    }

    fn batches(&self) -> Vec<Recovered> {
        let batch = |(number, pieces): (&u64, &Vec<Piece>)| Recovered {
            number: *number,
            events: pieces.iter().map(|piece| piece.events).sum(),
            bytes: pieces.iter().map(|piece| piece.bytes).sum(),
        };
        self.pieces.iter().map(batch).collect()
    }
}
