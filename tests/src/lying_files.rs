//! Files on a disk that says it has saved what it has not. No gateway can keep its promise on it: what a test does with
//! it shows that the test would notice a gateway that acknowledges too early.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use headgate::delivery::lake::FileLayer;
use headgate::delivery::lake::files::{Entry, WriteFile};
use headgate::delivery::lake::power_cut::PowerCutFiles;

/// See the module. Names are saved as they should be; the content of files is not.
#[derive(Clone)]
pub struct LyingFiles(pub PowerCutFiles);

impl FileLayer for LyingFiles {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(Liar(self.0.create_new(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(Liar(self.0.create(path)?)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(Liar(self.0.open_append(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<File> {
        self.0.open_read(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.0.len(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.0.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_space(dir)
    }
}

struct Liar(Box<dyn WriteFile>);

impl Write for Liar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl WriteFile for Liar {
    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
}
