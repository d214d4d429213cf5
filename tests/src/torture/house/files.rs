//! The disk of a house: one whose power can be cut, with two faults more, renames that fail and a writer that panics. It
//! counts what it refused, so that a run knows whether a fault was met.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use headgate::delivery::lake::FileLayer;
use headgate::delivery::lake::files::{Entry, WriteFile};
use headgate::delivery::lake::power_cut::PowerCutFiles;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TortureFiles {
    pub(crate) disk: PowerCutFiles,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    refused: AtomicU64,
    panics: AtomicU64,
    panic_next: AtomicBool,
    renames_fail: AtomicBool,
}

impl TortureFiles {
    pub(crate) fn on(disk: PowerCutFiles) -> Self {
        Self { disk, shared: Arc::default() }
    }

    /// Operations that failed so far.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Panics so far.
    pub(crate) fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Has whoever writes next panic.
    pub(crate) fn panic_next(&self, armed: bool) {
        self.shared.panic_next.store(armed, Ordering::Relaxed);
    }

    /// Has renames fail.
    pub(crate) fn fail_renames(&self, failing: bool) {
        self.shared.renames_fail.store(failing, Ordering::Relaxed);
    }

    fn count<T>(&self, result: io::Result<T>) -> io::Result<T> {
        self.shared.refused.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
        result
    }

    fn file(&self, opened: io::Result<Box<dyn WriteFile>>, is_log: bool) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(Handle { file: self.count(opened)?, files: self.clone(), is_log }))
    }
}

/// The lake's log: there is one writer of it, and it is to survive a bug.
fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
        && path.parent().is_some_and(|dir| dir.ends_with("log"))
}

impl FileLayer for TortureFiles {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.file(self.disk.create_new(path), is_log(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.file(self.disk.create(path), is_log(path))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.file(self.disk.open_append(path), false)
    }

    fn open_read(&self, path: &Path) -> io::Result<File> {
        self.disk.open_read(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.disk.len(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.shared.renames_fail.load(Ordering::Relaxed) {
            return self.count(Err(io::Error::other("the disk does not rename")));
        }
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_space(dir)
    }
}

struct Handle {
    file: Box<dyn WriteFile>,
    files: TortureFiles,
    is_log: bool,
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_log && self.files.shared.panic_next.swap(false, Ordering::Relaxed) {
            self.files.shared.panics.fetch_add(1, Ordering::Relaxed);
            panic!("the plan has this write panic");
        }
        let written = self.file.write(bytes);
        self.files.count(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl WriteFile for Handle {
    fn sync_data(&mut self) -> io::Result<()> {
        let synced = self.file.sync_data();
        self.files.count(synced)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let cut = self.file.truncate(len);
        self.files.count(cut)
    }
}
