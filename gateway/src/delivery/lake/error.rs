//! What can go wrong with the lake, and where.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

/// What went wrong with the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A file operation failed.
    #[error("can't {operation} {}: {source}", path.display())]
    File {
        /// Which.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A Parquet file can't be written or read.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// A manifest can't be written or read.
    #[error("manifest {}: {source}", path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A log segment has frames whose checksum does not fit.
    #[error("log segment {} is damaged at byte {offset}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where the first bad frame begins.
        offset: u64,
    },
    /// A part of the lake panicked.
    #[error("a bug in compaction: {0}")]
    Panic(String),
    /// The lake is closed.
    #[error("the lake is closed")]
    Closed,
    /// A thread could not be started.
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
}

impl LakeError {
    pub(crate) fn file(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { operation, path: path.to_owned(), source }
    }

    pub(super) fn parquet(path: &Path, source: ParquetError) -> Self {
        Self::Parquet { path: path.to_owned(), source }
    }
}
