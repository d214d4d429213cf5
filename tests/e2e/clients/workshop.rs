//! A folder under cargo's target folder in which one language's program is made, once at a time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use headgate_tests::{binary, python};

pub(super) struct Workshop {
    folder: PathBuf,
    // What is missing is likely one of these.
    needs: &'static str,
    // Given back when the file is closed. Another test process may be at work here.
    _lock: File,
}

impl Workshop {
    /// `needs` says what to install, for those who miss it.
    pub(super) fn enter(name: &str, needs: &'static str) -> Self {
        let folder = binary::target_dir().0.join("clients").join(name);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let lock = File::create(folder.with_extension("lock")).expect("it can be written");
        lock.lock().expect("it can be locked");
        Self { folder, needs, _lock: lock }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// An empty folder.
    pub(super) fn emptied(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Copies files of `docs/clients` into a folder, and leaves alone those that have not changed.
    pub(super) fn copy(&self, from: &str, names: &[&str], to: &Path) {
        for name in names {
            let text = fs::read(super::source(from).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let copy = to.join(name);
            if fs::read(&copy).ok().as_ref() != Some(&text) {
                fs::write(&copy, text).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
            }
        }
    }

    /// Runs a tool that must succeed.
    ///
    /// # Panics
    /// If it does not: shows what it said, and says what is needed.
    pub(super) fn run(&self, tool: &mut Command) {
        if let Err(problem) = python::run(tool) {
            panic!("the client can't be made: {problem}\nneeded: {}", self.needs);
        }
    }
}
