//! Every file operation of the lake and of the bad rows, behind one trait: the operating system's in [`OsFiles`], and
//! one that loses power and runs out of space when a test says so in [`super::power_cut`].
//!
//! A write is durable once [`WriteFile::sync_data`] returned `Ok`, a new name, a rename or a removal once
//! [`FileLayer::sync_dir`] of the folder did. After a failed `sync_data` nothing may be said of that file's unsynced
//! bytes, not even when a later one succeeds: the kernel drops the dirty pages of a failed write-back.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file open for appending.
pub trait WriteFile: Write + Send {
    /// Makes its content durable (`fdatasync`).
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts it to `len` bytes; what is written next goes there.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the folder.
    pub name: OsString,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// The file's length in bytes.
    pub len: u64,
}

/// The file operations that the lake needs.
pub trait FileLayer: Send + Sync {
    /// Makes a file that must not exist yet.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;
    /// Makes a file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;
    /// Opens a file that is there, to append to it or to cut it.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;
    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<File>;
    /// A file's length in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;
    /// What a folder holds, in the order of the names.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Makes a folder; its parent must be there. Succeeds if it exists already.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Bytes that an ordinary user may still write to the disk of this folder.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;
}

/// Makes the folder `base` and the folders of `below` under it, durably. Those of `below` are made durable even where
/// they are there already: a process that was killed may have made them and not come to that.
///
/// # Errors
/// Those of the operations; some of the folders may then have been made.
pub fn create_dirs(files: &dyn FileLayer, base: &Path, below: &Path) -> io::Result<()> {
    if !base.as_os_str().is_empty() && !base.try_exists()? {
        let parent = parent_of(base);
        create_dirs(files, parent, Path::new(""))?;
        files.create_dir(base)?;
        files.sync_dir(parent)?;
    }
    let mut parent = base.to_path_buf();
    for name in below {
        let next = parent.join(name);
        files.create_dir(&next)?;
        files.sync_dir(&parent)?;
        parent = next;
    }
    Ok(())
}

/// The folder that holds this path.
#[must_use]
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a small file as a whole, durably: under its name stands either what stood there before or all of `content`.
///
/// # Errors
/// Those of the operations; the temporary file is then removed if possible.
pub fn write_atomically(files: &dyn FileLayer, path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    let written = files.create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()
    });
    if let Err(error) = written.and_then(|()| files.rename(&temporary, path)) {
        let _ = files.remove(&temporary);
        return Err(error);
    }
    files.sync_dir(parent_of(path))
}

/// The name under which a file is written before it gets its own: `.NAME.tmp` in the same folder. Derived from the name,
/// so that a second try replaces what a crash has left of the first; and with another ending, because DuckDB's
/// `*.parquet` matches names that begin with a point too.
#[must_use]
pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

/// Whether a name is that of a temporary file.
#[must_use]
pub fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(b".tmp")
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFiles;

impl WriteFile for File {
    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        // Opened for appending, so the next write goes to the new end.
        self.set_len(len)
    }
}

impl FileLayer for OsFiles {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(OpenOptions::new().append(true).create_new(true).open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.set_len(0)?;
        Ok(Box::new(file))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = fs::read_dir(dir)?
            .filter_map(|entry| {
                let metadata = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
                match metadata {
                    // It went while the folder was being read, as a temporary file does that gets its name.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    metadata => Some(metadata.map(|(metadata, entry)| Entry {
                        name: entry.file_name(),
                        is_dir: metadata.is_dir(),
                        len: metadata.len(),
                    })),
                }
            })
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort_unstable();
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            result => result,
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(dir)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appending_goes_on_at_the_cut() {
        let dir = tempfile::tempdir().expect("makes a folder");
        let path = dir.path().join("log");
        let mut file = OsFiles.create_new(&path).expect("creates");
        file.write_all(b"0123456789").expect("writes");
        file.truncate(4).expect("cuts");
        file.write_all(b"ab").expect("writes");
        file.sync_data().expect("syncs");
        assert_eq!(fs::read(&path).expect("reads"), b"0123ab");
        assert!(OsFiles.create_new(&path).is_err(), "a second creation must fail");
        assert!(OsFiles.free_space(dir.path()).expect("has a disk") > 0);
    }

    #[test]
    fn a_file_written_atomically_replaces_the_old_one_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("makes a folder");
        let nested = dir.path().join("a/b/c");
        create_dirs(&OsFiles, &dir.path().join("a"), Path::new("b/c")).expect("creates");
        create_dirs(&OsFiles, &nested, Path::new("")).expect("is there already");
        let path = nested.join("manifest.json");
        fs::write(temporary_name(&path), b"left by a crash, and longer than what follows").expect("writes");
        write_atomically(&OsFiles, &path, b"one").expect("writes");
        write_atomically(&OsFiles, &path, b"two").expect("writes");
        assert_eq!(fs::read(&path).expect("reads"), b"two");
        assert_eq!(OsFiles.list(&nested).expect("lists").len(), 1);
    }
}
