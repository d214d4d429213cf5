//! The thread that writes bad rows: as they come, with an fsync at most once a second, into files that do not grow for
//! ever and of which the oldest go when there are too many. While no file can be opened, rows are dropped and counted, and
//! one is tried once a second: a flood of rejected events must not become a flood of file operations and log lines.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::BadRow;
use super::queue::{Queue, Taken};
use super::row::BadRowLine;
use crate::clock::Clock;
use crate::config::LakeSettings;
use crate::delivery::lake::day::{Day, iso_ms};
use crate::delivery::lake::files::{self, FileLayer, WriteFile, is_temporary};
use crate::metrics::{Counter, CounterHandle, Metrics};

const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// After a file could not be opened.
const OPEN_PAUSE: Duration = Duration::from_secs(1);
/// Between two log lines about rows that can't be written.
const WARN_INTERVAL: Duration = Duration::from_secs(1);
/// A file is closed at this size, so that the oldest rows can go without taking all the others along.
const FILE_BYTES: u64 = 16 << 20;
const FOLDER: &str = "bad_rows";

/// Why bad rows can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum RejectsError {
    /// The folder can't be made or read.
    #[error("{}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread can't be started.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

struct OpenFile {
    path: PathBuf,
    day: Day,
    file: Box<dyn WriteFile>,
    bytes: u64,
    /// Rows that are written and not yet durable.
    unsynced: u64,
}

pub(super) struct Writer {
    files: Arc<dyn FileLayer>,
    data_dir: PathBuf,
    keep: u64,
    clock: Clock,
    queue: Arc<Queue>,
    file: Option<OpenFile>,
    /// No file could be opened; rows are dropped until then.
    next_open: Option<Instant>,
    next_warning: Option<Instant>,
    next_sync: Option<Instant>,
    files_made: u64,
    line: Vec<u8>,
    written: CounterHandle,
    dropped: CounterHandle,
    panics: CounterHandle,
}

impl Writer {
    pub(super) fn open(
        files: Arc<dyn FileLayer>,
        data_dir: &Path,
        settings: &LakeSettings,
        metrics: &Metrics,
        clock: Clock,
        queue: Arc<Queue>,
    ) -> Result<Self, RejectsError> {
        let writer = Self {
            files,
            data_dir: data_dir.to_owned(),
            keep: settings.bad_rows_keep.0,
            clock,
            queue,
            file: None,
            next_open: None,
            next_warning: None,
            next_sync: None,
            files_made: 0,
            line: Vec::new(),
            written: metrics.counter(Counter::BadRowsWritten, &[]),
            dropped: metrics.counter(Counter::BadRowsDropped, &[]),
            panics: metrics.counter(Counter::Panics, &["bad-rows"]),
        };
        let folder = data_dir.join(FOLDER);
        files::create_dirs(&*writer.files, data_dir, Path::new(FOLDER))
            .and_then(|()| writer.remove_oldest())
            .map_err(|source| RejectsError::Folder { path: folder, source })?;
        Ok(writer)
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.work())) {
                Ok(()) => break,
                Err(_) => {
                    self.panics.inc();
                    self.file = None;
                }
            }
        }
    }

    fn work(&mut self) {
        loop {
            match self.queue.take(self.next_sync, &self.clock) {
                Taken::Rows(rows) => {
                    for row in &rows {
                        self.write(row);
                    }
                    if self.next_sync.is_none() {
                        self.next_sync = Some(self.clock.now() + SYNC_INTERVAL);
                    }
                }
                Taken::Settle(settling) => {
                    self.sync();
                    self.file = None;
                    // Whoever asked may have gone.
                    let _ = settling.send(kept_files(&*self.files, &self.data_dir).map(paths));
                }
                Taken::Nothing => {}
                Taken::Closed => {
                    self.sync();
                    return;
                }
            }
            if self.next_sync.is_some_and(|next| next <= self.clock.now()) {
                self.sync();
            }
        }
    }

    fn write(&mut self, row: &BadRow) {
        if self.next_open.is_some_and(|next| self.clock.now() < next) {
            self.dropped.inc();
            return;
        }
        self.line.clear();
        let encoded = serde_json::to_writer(&mut self.line, &BadRowLine::new(row)).map_err(io::Error::from);
        self.line.push(b'\n');
        if let Err(error) = encoded.and_then(|()| self.append()) {
            self.dropped.inc();
            let now = self.clock.now();
            if self.next_warning.is_none_or(|next| next <= now) {
                self.next_warning = Some(now + WARN_INTERVAL);
                warn!(%error, dropped = self.dropped.get(), "bad rows can't be written; they are dropped");
            }
        }
    }

    fn append(&mut self) -> io::Result<()> {
        let day = Day::of_ms(self.clock.wall_ms());
        if self.file.as_ref().is_some_and(|file| file.day != day || file.bytes >= FILE_BYTES) {
            self.sync();
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened = self.open_file(day);
                self.next_open = opened.is_err().then(|| self.clock.now() + OPEN_PAUSE);
                self.file.insert(opened?)
            }
        };
        if let Err(error) = file.file.write_all(&self.line) {
            // A torn line would spoil the one after it.
            if file.file.truncate(file.bytes).is_err() {
                self.sync();
                self.file = None;
            }
            return Err(error);
        }
        file.bytes += self.line.len() as u64;
        file.unsynced += 1;
        Ok(())
    }

    fn open_file(&mut self, day: Day) -> io::Result<OpenFile> {
        self.remove_oldest()?;
        let below = Path::new(FOLDER).join(day.to_string());
        files::create_dirs(&*self.files, &self.data_dir, &below)?;
        let dir = self.data_dir.join(below);
        // 12:34:56.789 as it may stand in a name everywhere, so that names sort by time.
        let time: String = iso_ms(self.clock.wall_ms()).chars().skip(11).filter(char::is_ascii_digit).collect();
        loop {
            let path = dir.join(format!("{time}-{:06}.jsonl", self.files_made));
            self.files_made += 1;
            match self.files.create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => {
                    let file = created?;
                    if let Err(error) = self.files.sync_dir(&dir) {
                        drop(file);
                        // The next try makes another one.
                        let _ = self.files.remove(&path);
                        return Err(error);
                    }
                    return Ok(OpenFile { path, day, file, bytes: 0, unsynced: 0 });
                }
            }
        }
    }

    fn sync(&mut self) {
        self.next_sync = None;
        let Some(file) = &mut self.file else { return };
        if file.unsynced == 0 {
            return;
        }
        match file.file.sync_data() {
            Ok(()) => {
                self.written.inc_by(file.unsynced);
                file.unsynced = 0;
            }
            Err(error) => {
                warn!(%error, rows = file.unsynced, "bad rows may be lost");
                self.dropped.inc_by(file.unsynced);
                // What a file holds after a failed fsync is not known; the next rows go to another one.
                self.file = None;
            }
        }
    }

    /// Removes the oldest files until there is room for another one.
    fn remove_oldest(&self) -> io::Result<()> {
        let kept = kept_files(&*self.files, &self.data_dir)?;
        let mut bytes: u64 = kept.iter().map(|(_, len)| len).sum();
        for (path, len) in kept {
            if bytes + FILE_BYTES <= self.keep.max(FILE_BYTES) {
                break;
            }
            // One that is being written again becomes another in a moment.
            let is_being_written = path.file_name().is_some_and(is_temporary);
            if is_being_written || self.file.as_ref().is_some_and(|open| open.path == path) {
                continue;
            }
            self.files.remove(&path)?;
            info!(path = %path.display(), "removed the oldest bad rows (lake.bad_rows_keep)");
            bytes -= len;
        }
        Ok(())
    }
}

/// Every file of bad rows, oldest first, with its length in bytes.
pub(super) fn kept_files(files: &dyn FileLayer, data_dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let folder = data_dir.join(FOLDER);
    let mut kept = Vec::new();
    for day in files.list(&folder)?.iter().filter(|day| day.is_dir && is_day(&day.name)) {
        let dir = folder.join(&day.name);
        let rows = files.list(&dir)?.into_iter().filter(|file| !file.is_dir);
        kept.extend(rows.map(|file| (dir.join(file.name), file.len)));
    }
    Ok(kept)
}

pub(super) fn paths(kept: Vec<(PathBuf, u64)>) -> Vec<PathBuf> {
    kept.into_iter().map(|(path, _)| path).collect()
}

fn is_day(name: &OsStr) -> bool {
    name.to_str().and_then(Day::parse).is_some()
}
