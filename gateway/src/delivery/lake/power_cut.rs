//! Files whose power can be cut, for tests: backed by a real folder, they remember what was made durable, and
//! [`PowerCutFiles::cut`] leaves exactly that, as a machine would that lost its power.
//!
//! Bytes are durable after `sync_data`, names, renames and removals after `sync_dir` of their folder. A failed
//! `sync_data` loses what it was to save, even if a later one of that file succeeds, as on Linux. Files that others write
//! in the same folder are left alone.

mod disk;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::disk::{Disk, FileId};
use super::files::{Entry, FileLayer, OsFiles, WriteFile};

/// What a power cut leaves of what was not made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Some of it, drawn from this seed: a part of the bytes, followed by zeros or not, and the names of some folders.
    Some(u64),
    /// All of it: only the process was killed.
    Everything,
}

/// See the module.
#[derive(Clone)]
pub struct PowerCutFiles {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

struct State {
    disk: Disk,
    survival: Survival,
    powered: bool,
    operations: u64,
    cut_at: Option<u64>,
    syncs: u64,
    failing_sync: Option<u64>,
    syncs_held: bool,
    room: Option<u64>,
    free_space: Option<u64>,
    writes_broken: bool,
}

impl PowerCutFiles {
    /// Files in and below `root`, which must be there.
    ///
    /// # Errors
    /// If the folder for removed files, `root/.power-cut`, can't be made.
    pub fn new(root: &Path, survival: Survival) -> io::Result<Self> {
        let state = State {
            disk: Disk::new(root)?,
            survival,
            powered: true,
            operations: 0,
            cut_at: None,
            syncs: 0,
            failing_sync: None,
            syncs_held: false,
            room: None,
            free_space: None,
            writes_broken: false,
        };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(state), released: Condvar::new() }) })
    }

    /// Cuts the power: the folder holds what was durable, and everything fails from now on.
    ///
    /// # Errors
    /// If the real folder can't be brought into that state.
    pub fn cut(&self) -> io::Result<()> {
        let mut state = self.lock();
        let result = state.cut();
        self.shared.released.notify_all();
        result
    }

    /// Cuts the power just before the `nth` operation from now that changes something; 1 is the next one.
    pub fn cut_at(&self, nth: u64) {
        let mut state = self.lock();
        state.cut_at = Some(state.operations + nth);
    }

    /// What the cut, when it comes, leaves of what was not made durable.
    pub fn set_survival(&self, survival: Survival) {
        self.lock().survival = survival;
    }

    /// Whether there is power.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.lock().powered
    }

    /// Operations so far that change something.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// `sync_data` calls so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Has the `nth` `sync_data` from now fail and lose its bytes; 1 is the next one.
    pub fn fail_sync(&self, nth: u64) {
        let mut state = self.lock();
        state.failing_sync = Some(state.syncs + nth);
    }

    /// Has every `sync_data` hang until this is taken back.
    pub fn hold_syncs(&self, held: bool) {
        self.lock().syncs_held = held;
        self.shared.released.notify_all();
    }

    /// Leaves room for so many more bytes, after which writes fail with "no space left on device"; `None`: there is
    /// room again.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// Has [`FileLayer::free_space`] answer so; `None`: as the real disk does.
    pub fn set_free_space(&self, bytes: Option<u64>) {
        self.lock().free_space = bytes;
    }

    /// Has every write fail with an I/O error until this is taken back.
    pub fn break_writes(&self, broken: bool) {
        self.lock().writes_broken = broken;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation that changes something. Fails without power.
    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        state.check_power()?;
        state.operations += 1;
        if state.cut_at.is_some_and(|cut_at| cut_at <= state.operations) {
            state.cut()?;
            self.shared.released.notify_all();
        }
        state.check_power()?;
        Ok(state)
    }

    fn reading(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.lock();
        state.check_power()?;
        Ok(state)
    }

    fn handle(&self, (id, file): (FileId, File)) -> Box<dyn WriteFile> {
        Box::new(Handle { files: self.clone(), id, file })
    }
}

impl State {
    fn check_power(&self) -> io::Result<()> {
        if self.powered { Ok(()) } else { Err(io::Error::other("the power is cut")) }
    }

    fn cut(&mut self) -> io::Result<()> {
        if !self.powered {
            return Ok(());
        }
        self.powered = false;
        self.disk.keep_durable(self.survival)
    }
}

impl FileLayer for PowerCutFiles {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let created = self.change()?.disk.create(path, true)?;
        Ok(self.handle(created))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let created = self.change()?.disk.create(path, false)?;
        Ok(self.handle(created))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let opened = self.reading()?.disk.open_append(path)?;
        Ok(self.handle(opened))
    }

    fn open_read(&self, path: &Path) -> io::Result<File> {
        let _state = self.reading()?;
        OsFiles.open_read(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let _state = self.reading()?;
        OsFiles.len(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let _state = self.reading()?;
        let mut entries = OsFiles.list(dir)?;
        entries.retain(|entry| entry.name != disk::GRAVEYARD);
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.change()?.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change()?.disk.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?.disk.remove(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let state = self.reading()?;
        match state.room.or(state.free_space) {
            Some(bytes) => Ok(bytes),
            None => OsFiles.free_space(dir),
        }
    }
}

struct Handle {
    files: PowerCutFiles,
    id: FileId,
    file: File,
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.files.change()?;
        if state.writes_broken {
            return Err(io::Error::other("the disk is broken"));
        }
        let fits = state.room.map_or(bytes.len(), |room| bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        if fits == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(&bytes[..fits])?;
        if let Some(room) = &mut state.room {
            *room -= written as u64;
        }
        state.disk.appended(self.id, written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for Handle {
    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.files.change()?;
        while state.syncs_held && state.powered {
            state = self.files.shared.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.check_power()?;
        state.syncs += 1;
        if state.failing_sync == Some(state.syncs) {
            state.disk.sync_failed(self.id);
            return Err(io::Error::other("the disk lost what it was to save"));
        }
        state.disk.synced(self.id);
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.files.change()?;
        state.disk.truncate(self.id, len)?;
        self.file.set_len(len)
    }
}

#[cfg(test)]
mod tests;
