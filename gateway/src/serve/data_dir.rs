//! The data folder: one gateway at a time, and where to find it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ServeError;
use crate::delivery::lake::OsFiles;
use crate::delivery::lake::files::create_dirs;

/// The lock's file, in the data folder.
const LOCK: &str = "lock";

/// What a running gateway says of itself in the lock's file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Running {
    /// Its process.
    pub(super) pid: u32,
    /// Its version, for commands that must not work beside an earlier one.
    #[serde(default)]
    pub(super) version: Option<String>,
    /// Its gRPC door.
    pub(super) grpc: SocketAddr,
    /// Its REST door, where there is one.
    #[serde(default)]
    pub(super) rest: Option<SocketAddr>,
    /// Its operators' listener.
    pub(super) operate: SocketAddr,
}

/// A locked data folder. The system gives the lock back when the process ends, however it ends.
pub(super) struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Makes the folder if need be and locks it.
    pub(super) fn lock(dir: &Path) -> Result<Self, ServeError> {
        // Durably: the names of what the lake makes in it are worth no more than the folder's own.
        create_dirs(&OsFiles, dir, Path::new("")).map_err(|error| cannot(dir, &error))?;
        let path = dir.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| cannot(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = lock.read_to_string(&mut text);
                let who = serde_json::from_str::<Running>(&text).map_or_else(
                    |_| "another gateway uses this folder".to_owned(),
                    |running| format!("a gateway uses this folder already (process {}, {})", running.pid, running.grpc),
                );
                let problem = format!("{who}; stop it or set another data_dir");
                return Err(ServeError::DataDir { path: dir.display().to_string(), problem });
            }
            Err(TryLockError::Error(error)) => return Err(cannot(&path, &error)),
        }
        lock.set_len(0).map_err(|error| cannot(&path, &error))?;
        Ok(Self { path, lock })
    }

    /// Says where this gateway listens.
    pub(super) fn publish(
        &self,
        grpc: SocketAddr,
        rest: Option<SocketAddr>,
        operate: SocketAddr,
    ) -> Result<(), ServeError> {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let running = Running { pid: std::process::id(), version, grpc, rest, operate };
        let text = serde_json::to_string(&running).map_err(|error| ServeError::part("lock", error))?;
        let mut file = &self.lock;
        file.rewind().and_then(|()| file.write_all(text.as_bytes())).map_err(|error| cannot(&self.path, &error))
    }

    /// Takes back what was published; the lock goes with the file.
    pub(super) fn release(self) {
        let _ = self.lock.set_len(0);
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> ServeError {
    ServeError::DataDir { path: path.display().to_string(), problem: error.to_string() }
}
