//! Asks the gateway's local lake.
//!
//! Acknowledged events are in the lake's log first and in Parquet after compaction, so the gateway is asked to compact,
//! and the lake is looked at until every acknowledged event is there or the time is over. Only new files are read again.

mod files;
mod operate;
mod parquet;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, interval, sleep_until};

use self::files::{Reading, parquet_files};
use self::operate::Operators;
pub use self::parquet::ParquetFault;
#[cfg(feature = "cli")]
pub(crate) use self::parquet::ids_of;
use super::destination::{Options, Progress, Verified, VerifyError};
use super::{AT_ONCE, Expectation, compare};
use crate::result::Verification;

/// Between two looks at the lake.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A gateway may have minutes of events in its log.
const COMPACTED_WITHIN: Duration = Duration::from_secs(120);
/// Between two figures while files are read.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// The folders of a lake.
struct Folders {
    raw_events: PathBuf,
    /// The folder that `headgate --data-dir` names.
    data: PathBuf,
    log: PathBuf,
}

impl Folders {
    /// Finds the lake that a path means.
    fn find(path: &Path) -> Result<Self, VerifyError> {
        let named = path.file_name().is_some_and(|name| name == "raw_events");
        let lakes = [path.to_path_buf(), path.join("lake"), path.join("..")];
        let lake = match lakes {
            [lake, _, _] if lake.join("raw_events").is_dir() => lake,
            [_, lake, _] if lake.join("raw_events").is_dir() => lake,
            [_, _, lake] if named && path.is_dir() => lake,
            _ => return Err(VerifyError::NotALake(path.to_path_buf())),
        };
        Ok(Self { raw_events: lake.join("raw_events"), data: lake.join(".."), log: lake.join("log") })
    }

    /// The log's segments and their bytes; none if it can't be looked at.
    fn log_left(&self) -> Option<(u64, u64)> {
        let entries = std::fs::read_dir(&self.log).ok()?;
        let segments = entries.flatten().filter(|entry| entry.path().extension().is_some_and(|kind| kind == "log"));
        Some(segments.fold((0, 0), |(count, bytes), entry| {
            (count + 1, bytes + entry.metadata().map_or(0, |metadata| metadata.len()))
        }))
    }
}

/// Asks until every acknowledged event is there or the time is over.
pub(super) async fn verify(
    path: &Path,
    expectation: Arc<dyn Expectation>,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verified, VerifyError> {
    let folders = Folders::find(path)?;
    let operators = Operators::find(options.operate.as_deref(), &folders.data)?;
    let expected = expectation.clone();
    let acknowledged = spawn_blocking(move || compare::acknowledged(&*expected)).await?;
    let read = Arc::new(AtomicU64::new(0));
    let mut reading = Reading::new(folders.raw_events.clone(), options.horizon(), AT_ONCE, read.clone());
    let mut found: Option<Verification> = None;
    let mut deadline = None;
    let mut compacted = Err("no gateway is known to run on it".to_owned());
    loop {
        // Once is enough, since nothing of the run is acknowledged any more.
        compacted = match &operators {
            Some(operators) if compacted.is_err() => operators.compact(COMPACTED_WITHIN).await,
            _ => compacted,
        };
        // Before the files are looked at: what leaves the log is in Parquet by then.
        let log = folders.log_left();
        let expected = expectation.clone();
        let mut look = spawn_blocking(move || {
            let compared = reading.look()?.then(|| reading.compare(&*expected)).transpose()?;
            Ok::<_, VerifyError>((reading, compared))
        });
        let mut figures = interval(TELL_EVERY);
        let looked = loop {
            tokio::select! {
                looked = &mut look => break looked,
                _ = figures.tick() => {
                    let found = found.as_ref().map_or(0, |found| found.stored);
                    progress(Progress { acknowledged, read: read.load(Ordering::Relaxed), found });
                }
            }
        };
        let compared;
        (reading, compared) = looked??;
        let now = compared.or(found.take()).unwrap_or_default();
        progress(Progress { acknowledged, read: read.load(Ordering::Relaxed), found: now.stored });
        // Counted from here, since reading what is there may take longer than waiting is worth.
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + options.timeout);
        if now.missing == 0 || deadline <= Instant::now() {
            let conclusive = now.missing == 0 || compacted.is_ok() || matches!(log, Some((0, _)));
            let state = State { log, compacted, operators, skipped: reading.skipped() };
            let notes = state.notes(now.missing, conclusive, &folders);
            return Ok(Verified { verification: now, conclusive, notes });
        }
        found = Some(now);
        sleep_until((Instant::now() + LOOK_EVERY).min(deadline)).await;
    }
}

/// What is known of the lake besides its files.
struct State {
    /// The log's segments and bytes.
    log: Option<(u64, u64)>,
    compacted: Result<(), String>,
    operators: Option<Operators>,
    /// Files that were not read.
    skipped: u64,
}

impl State {
    /// What to do about missing events, and what was not read.
    fn notes(&self, missing: u64, conclusive: bool, folders: &Folders) -> Vec<String> {
        let mut notes = Vec::new();
        if self.skipped > 0 {
            notes.push(format!("{} Parquet files were written before the run and are not read", self.skipped));
        }
        if missing == 0 {
            return notes;
        }
        let shown = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).display().to_string();
        let log = match self.log {
            Some((segments, bytes)) => format!("{} holds {segments} segments, {bytes} bytes", shown(&folders.log)),
            None => format!("{} can't be looked at", shown(&folders.log)),
        };
        let operators = self.operators.as_ref().map_or_else(String::new, |operators| format!(" at {operators}"));
        notes.push(match &self.compacted {
            Ok(()) => format!(
                "the gateway{operators} has turned its log into Parquet and {missing} acknowledged events are not in it: \
                 they are lost, unless that gateway has another lake ({log})"
            ),
            Err(_) if conclusive => format!(
                "all of the lake's log is Parquet and {missing} acknowledged events are not in it: they are lost, unless the \
                 gateway has another lake ({log})"
            ),
            Err(why) => format!(
                "the gateway{operators} could not be asked to turn its log into Parquet ({why}), so missing events may \
                 still be in the log ({log}): give the operators' address, such as 127.0.0.1:9090, or run `headgate lake \
                 compact --data-dir {}`, and verify again",
                shown(&folders.data)
            ),
        });
        notes
    }
}

/// Everything that a small lake holds, in memory.
#[derive(Debug, Default)]
pub struct Contents {
    /// Parquet files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The id of every row, sorted.
    pub ids: Vec<u128>,
    /// Rows by `event_type`.
    pub rows_by_type: BTreeMap<String, u64>,
}

impl Contents {
    /// Reads every Parquet file below `raw_events`.
    ///
    /// # Errors
    /// A file can't be read or is no file of this table.
    pub fn read(raw_events: &Path) -> Result<Self, VerifyError> {
        let mut contents = Self::default();
        for file in parquet_files(raw_events)? {
            contents.files += 1;
            contents.bytes += file.bytes;
            let ids = &mut contents.ids;
            parquet::each_id(&file.path, |id| {
                ids.push(id);
                Ok(())
            })?;
            let rows_by_type = &mut contents.rows_by_type;
            parquet::each_value(&file.path, "event_type", |event_type| {
                let event_type = String::from_utf8_lossy(event_type);
                match rows_by_type.get_mut(&*event_type) {
                    Some(rows) => *rows += 1,
                    None => {
                        rows_by_type.insert(event_type.into_owned(), 1);
                    }
                }
                Ok(())
            })?;
        }
        contents.ids.sort_unstable();
        Ok(contents)
    }
}
