//! Whose rows are to go from what the gateway keeps on its disk, and what came of it.
//!
//! The places where rows lie (the lake, bad rows) know nothing of players: an application's id and a test of an event's
//! `event_data` are all they are given. Whoever asks knows what makes a row somebody's.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lake::{Erased, FailedSegment};

/// So many errors are named; a lake of nothing else would bury the report.
const NAMED: usize = 100;

/// Says of an event's `event_data` whether the event is one of those that are to go.
pub type IsTheirs = dyn Fn(&[u8]) -> bool + Send + Sync;

/// Is told how far an erasure is: so many of so many segments.
pub type Progressing = dyn Fn(u64, u64) + Send + Sync;

/// Whose rows go.
#[derive(Clone)]
pub struct Subject {
    erasure: Uuid,
    application_id: String,
    texts: Arc<[Vec<u8>]>,
    is_theirs: Arc<IsTheirs>,
}

impl Subject {
    /// Of `application`, the events that `is_theirs` picks. One of `texts` would stand somewhere in them, for bytes that
    /// can't be read as events. `erasure` is the id under which what is done is counted.
    pub fn new(
        erasure: Uuid,
        application: Uuid,
        texts: &[impl AsRef<str>],
        is_theirs: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let application_id = application.hyphenated().to_string();
        let texts = texts.iter().map(|text| text.as_ref().as_bytes().to_vec()).collect();
        Self { erasure, application_id, texts, is_theirs: Arc::new(is_theirs) }
    }

    /// The erasure's id.
    #[must_use]
    pub fn erasure(&self) -> Uuid {
        self.erasure
    }

    /// The application's id as rows hold it: hyphenated, in lower case.
    #[must_use]
    pub fn application_id(&self) -> &str {
        &self.application_id
    }

    /// Whether this is the application's id.
    #[must_use]
    pub fn is_application(&self, id: &[u8]) -> bool {
        self.application_id.as_bytes().eq_ignore_ascii_case(id)
    }

    /// Whether an event of the application with this `event_data` is one of those that are to go.
    #[must_use]
    pub fn owns(&self, event_data: &[u8]) -> bool {
        (self.is_theirs)(event_data)
    }

    /// What would stand in bytes of theirs: one of these.
    #[must_use]
    pub fn texts(&self) -> &[Vec<u8>] {
        &self.texts
    }

    /// Whether bytes that can't be read as events may be theirs.
    #[must_use]
    pub fn is_mentioned(&self, bytes: &[u8]) -> bool {
        self.texts.iter().any(|text| memchr::memmem::find(bytes, text).is_some())
    }
}

impl fmt::Debug for Subject {
    /// Not who it is: whoever is forgotten is not to be found in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("erasure", &self.erasure).finish_non_exhaustive()
    }
}

/// What an erasure did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct EraseReport {
    /// Parquet files looked at.
    pub files_looked_at: u64,
    /// Of these, written again without the rows.
    pub files_rewritten: u64,
    /// Of these, removed: nothing was left.
    pub files_removed: u64,
    /// Rows removed from the lake.
    pub rows_removed: u64,
    /// The length of the files that were rewritten or removed, before, bytes.
    pub bytes_before: u64,
    /// Their length after, bytes.
    pub bytes_after: u64,
    /// Lines removed of those that the lake had set aside because they are no stream records.
    pub set_aside_lines_removed: u64,
    /// Bad rows (rejected events) removed.
    pub bad_rows_removed: u64,
    /// Log segments that could not be turned into Parquet, so that nothing was removed from them.
    pub segments_not_covered: Vec<FailedSegment>,
    /// What could not be looked at or not be changed, the first hundred.
    pub errors: Vec<EraseProblem>,
    /// How many more there are of these.
    pub more_errors: u64,
    /// What is not this gateway's to delete, and what to do about it.
    pub elsewhere: Vec<String>,
}

/// Something that could not be looked at or not be changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct EraseProblem {
    /// What, relative to the data folder where it is a file.
    pub what: String,
    /// Why, and where there is something to do about it, what.
    pub problem: String,
}

impl EraseReport {
    /// Whether everything that may hold the rows was looked at, and what was found is gone.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let nothing_failed = self.segments_not_covered.is_empty() && self.errors.is_empty() && self.more_errors == 0;
        nothing_failed && self.elsewhere.is_empty()
    }

    pub(super) fn add(&mut self, erased: &Erased) {
        self.files_rewritten += erased.files_rewritten;
        self.files_removed += erased.files_removed;
        self.rows_removed += erased.rows;
        self.bytes_before += erased.bytes_before;
        self.bytes_after += erased.bytes_after;
        self.set_aside_lines_removed += erased.set_aside_lines;
    }

    pub(super) fn problem(&mut self, what: &Path, problem: impl fmt::Display) {
        if self.errors.len() < NAMED {
            self.errors.push(EraseProblem { what: what.display().to_string(), problem: problem.to_string() });
        } else {
            self.more_errors += 1;
        }
    }
}
