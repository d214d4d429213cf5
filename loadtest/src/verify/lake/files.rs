//! The Parquet files of a lake that may hold events of a run, each read once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::super::Expectation;
use super::super::compare::compare_pile;
use super::super::destination::VerifyError;
use super::super::pile::Pile;
use super::parquet::each_id;
use crate::result::Verification;

/// A Parquet file as it was when the folder was listed. A file of the lake does not change once it has its name, but
/// after a crash it may be written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
}

/// What was read of a lake so far.
pub(super) struct Reading {
    raw_events: PathBuf,
    /// Files written before this hold no event of the run.
    horizon: SystemTime,
    pile: Pile,
    files: BTreeMap<PathBuf, Listed>,
    skipped: u64,
    looked: bool,
    /// For whoever shows how far it is.
    read: Arc<AtomicU64>,
}

impl Reading {
    pub(super) fn new(raw_events: PathBuf, horizon: SystemTime, at_once: usize, read: Arc<AtomicU64>) -> Self {
        let pile = Pile::new(at_once);
        Self { raw_events, horizon, pile, files: BTreeMap::new(), skipped: 0, looked: false, read }
    }

    /// Reads what is new; whether there was anything, which at the first look there always is.
    pub(super) fn look(&mut self) -> Result<bool, VerifyError> {
        let first = !std::mem::replace(&mut self.looked, true);
        let all = parquet_files(&self.raw_events)?;
        let listed = all.len() as u64;
        let recent: BTreeMap<PathBuf, Listed> = all
            .into_iter()
            .filter(|file| file.modified >= self.horizon)
            .map(|file| (file.path.clone(), file))
            .collect();
        self.skipped = listed - recent.len() as u64;
        if self.files.iter().any(|(path, file)| recent.get(path) != Some(file)) {
            self.pile.clear();
            self.files.clear();
            self.read.store(0, Ordering::Relaxed);
        }
        let mut new = first;
        for (path, file) in recent {
            if self.files.contains_key(&path) {
                continue;
            }
            let (pile, read) = (&mut self.pile, &self.read);
            let kept = each_id(&path, |id| {
                read.fetch_add(1, Ordering::Relaxed);
                pile.push(id).map_err(VerifyError::Temporary)
            });
            match kept {
                // Removed since the folder was listed; the next look sees what is there instead.
                Err(VerifyError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => continue,
                kept => kept?,
            }
            self.files.insert(path, file);
            new = true;
        }
        Ok(new)
    }

    pub(super) fn compare(&mut self, expectation: &dyn Expectation) -> Result<Verification, VerifyError> {
        compare_pile(&mut self.pile, expectation).map_err(VerifyError::Temporary)
    }

    /// Files too old to hold an event of the run.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// The Parquet files below a folder, by path; temporary ones, which begin with a dot, are none yet.
pub(super) fn parquet_files(folder: &Path) -> Result<Vec<Listed>, VerifyError> {
    let failed = |error: io::Error| VerifyError::File { path: folder.to_path_buf(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            // The gateway has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(VerifyError::File { path, error }),
        };
        if metadata.is_dir() {
            files.extend(parquet_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            let modified = metadata.modified().map_err(|error| VerifyError::File { path: path.clone(), error })?;
            files.push(Listed { path, bytes: metadata.len(), modified });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}
