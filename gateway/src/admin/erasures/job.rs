//! One erasure, as it is kept and shown.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::admin::{Actor, Via};
use crate::delivery::erase::EraseReport;

/// How far an erasure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Others come first.
    Queued,
    /// It waits until every gateway heeds the suppression and what was on its way is stored.
    Waiting,
    /// It is looking and deleting.
    Running,
    /// Everything that this gateway keeps was looked at, and what was found is gone.
    Done,
    /// It is over, but something could not be looked at or is not this gateway's to delete; the report says what.
    Incomplete,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Waiting, Self::Running, Self::Done, Self::Incomplete];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Incomplete => "incomplete",
        }
    }

    /// Whether nothing more happens.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Incomplete)
    }
}

/// A job that deletes what is stored of one player.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Erasure {
    /// Its id: a version 7 UUID.
    pub id: Uuid,
    /// The application.
    pub application_id: Uuid,
    /// Whose events, `event_data.player_id`; in masked form once it is over.
    pub player_id: String,
    /// Every id under which the player's events may be stored, as they were known when it was asked for: the secrets that
    /// tell them may be gone by the time it runs. None where they could not be known, and once it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Who asked for it.
    pub actor: String,
    /// Through which door.
    pub via: Via,
    /// How far it is.
    pub state: State,
    /// When it was asked for, milliseconds since 1970-01-01 UTC.
    pub asked_at_ms: i64,
    /// When it began to look, milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub started_at_ms: Option<i64>,
    /// When it was over, milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub finished_at_ms: Option<i64>,
    /// Segments of the lake looked at, while it runs.
    #[serde(skip)]
    pub segments_done: u64,
    /// Segments of the lake in all, while it runs.
    #[serde(skip)]
    pub segments: u64,
    /// What it did; all there is to say once it is over.
    #[serde(default)]
    pub report: EraseReport,
}

impl Erasure {
    pub(super) fn actor(&self) -> Actor {
        Actor { name: self.actor.clone(), via: self.via }
    }

    /// What the audit log says of its end.
    pub(super) fn summary(&self) -> String {
        let EraseReport { files_looked_at, files_rewritten, files_removed, rows_removed, bad_rows_removed, .. } =
            self.report;
        format!(
            "{}, {}: {rows_removed} rows and {bad_rows_removed} bad rows removed; of {files_looked_at} files \
             {files_rewritten} rewritten and {files_removed} removed",
            self.id,
            self.state.as_str(),
        )
    }
}
