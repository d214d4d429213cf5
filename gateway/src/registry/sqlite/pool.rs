//! A few connections to the registry's file, each used by one call at a time on a thread that may block.
//!
//! Before each call the pool looks whether the path still leads to the file that its connections have open. SQLite
//! would go on answering from a file that was moved away or replaced, and take every key it lacks for an unknown one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::Semaphore;

use super::schema;
use crate::registry::RegistryError;

const CONNECTIONS: usize = 4;

/// The connections.
pub(super) struct Pool {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Pooled>>,
}

struct Pooled {
    connection: Connection,
    file: FileId,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// Why a call failed.
pub(super) enum Failure {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// The call can't be done; the registry is well.
    Refused(RegistryError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Refused(error)
    }
}

impl Pool {
    /// Connects once, so that what is wrong with the file is known now.
    pub(super) fn open(path: &Path) -> Result<Arc<Self>, RegistryError> {
        let first = connect(path)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::new(vec![first]),
        }))
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a call on a connection. Whoever waits for a connection is served in order. A call that nobody waits for
    /// any more still comes to its end.
    pub(super) async fn run<T, F>(self: &Arc<Self>, call: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let pool = Arc::clone(self);
        let called = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pool.run_blocking(call)
        });
        called
            .await
            .unwrap_or_else(|error| Err(RegistryError::Unavailable(Arc::from(format!("a call failed: {error}")))))
    }

    fn run_blocking<T>(&self, call: impl FnOnce(&mut Connection) -> Result<T, Failure>) -> Result<T, RegistryError> {
        let mut pooled = self.take()?;
        match call(&mut pooled.connection) {
            Ok(value) => {
                self.give_back(pooled);
                Ok(value)
            }
            Err(Failure::Refused(error)) => {
                self.give_back(pooled);
                Err(error)
            }
            // The connection is closed: the next call starts with a new one.
            Err(Failure::Sql(error)) => Err(explain(&self.path, error)),
        }
    }

    fn take(&self) -> Result<Pooled, RegistryError> {
        let file = file_id(&self.path)?;
        let (pooled, outdated) = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let outdated: Vec<Pooled> = idle.extract_if(.., |pooled| pooled.file != file).collect();
            (idle.pop(), outdated)
        };
        // Closing may write to the disk: not under the lock.
        drop(outdated);
        pooled.map_or_else(|| connect(&self.path), Ok)
    }

    fn give_back(&self, pooled: Pooled) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(pooled);
    }
}

fn connect(path: &Path) -> Result<Pooled, RegistryError> {
    let file = file_id(path)?;
    let connection = schema::connect(path)?;
    Ok(Pooled { connection, file })
}

fn file_id(path: &Path) -> Result<FileId, RegistryError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(FileId { device: metadata.dev(), inode: metadata.ino() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mend = format!("{} is gone: put it back, or restart to begin with an empty registry", path.display());
            Err(RegistryError::Unavailable(Arc::from(mend)))
        }
        Err(error) => Err(RegistryError::Unavailable(Arc::from(format!("{}: {error}", path.display())))),
    }
}

/// Says what an error of SQLite means for whoever runs the gateway.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> RegistryError {
    let damaged = |detail: String| RegistryError::Damaged { path: path.to_owned(), detail: Arc::from(detail) };
    let unavailable = |what: String| RegistryError::Unavailable(Arc::from(format!("{}: {what}", path.display())));
    match (error.sqlite_error_code(), error) {
        (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), error) => damaged(error.to_string()),
        (
            None,
            error @ (rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)),
        ) => damaged(error.to_string()),
        (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => {
            unavailable("another process holds it: try again".to_owned())
        }
        (Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly), error) => {
            unavailable(format!("{error}; check who may read and write the file and its folder"))
        }
        (_, error) => unavailable(error.to_string()),
    }
}
