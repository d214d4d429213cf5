//! Suppressed players and deletions, for people and for programs.

use bytesize::ByteSize;
use serde::Serialize;
use uuid::Uuid;

use crate::admin::Via;
use crate::admin::erasures::Erasure;
use crate::cli::CliError;
use crate::cli::report::{Report, printable, properties, table, time, timestamp};
use crate::delivery::erase::EraseReport;
use crate::registry::{Application, Suppression};

#[derive(Serialize)]
pub(super) struct SuppressionView<'a> {
    application_id: Uuid,
    player_id: &'a str,
    suppressed_at: String,
}

#[derive(Serialize)]
pub(super) struct SuppressionsView<'a> {
    pub(super) players: Vec<SuppressionView<'a>>,
}

impl<'a> SuppressionView<'a> {
    pub(super) fn of(one: &'a Suppression) -> Self {
        let suppressed_at = timestamp(one.since_ms);
        Self { application_id: one.application_id, player_id: &one.player_id, suppressed_at }
    }
}

pub(super) fn suppressions_shown(suppressed: &[Suppression], applications: &[Application]) -> String {
    if suppressed.is_empty() {
        return "every player's events are kept".to_owned();
    }
    let name = |id: Uuid| {
        let application = applications.iter().find(|application| application.application_id == id);
        application.map_or_else(|| id.to_string(), |application| application.name.clone())
    };
    let rows = suppressed.iter().map(|one| [one.player_id.clone(), name(one.application_id), time(one.since_ms)]);
    table(["PLAYER", "APPLICATION", "SINCE"], rows)
}

#[derive(Serialize)]
struct DeletionView<'a> {
    deletion_id: Uuid,
    application_id: Uuid,
    // Masked once it is over.
    player_id: &'a str,
    state: &'a str,
    asked_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    actor: &'a str,
    via: Via,
    // Once it is over.
    report: Option<&'a EraseReport>,
}

#[derive(Serialize)]
struct DeletionsView<'a> {
    deletions: Vec<DeletionView<'a>>,
}

impl<'a> DeletionView<'a> {
    fn of(erasure: &'a Erasure) -> Self {
        Self {
            deletion_id: erasure.id,
            application_id: erasure.application_id,
            player_id: &erasure.player_id,
            state: erasure.state.as_str(),
            asked_at: timestamp(erasure.asked_at_ms),
            started_at: erasure.started_at_ms.map(timestamp),
            finished_at: erasure.finished_at_ms.map(timestamp),
            actor: &erasure.actor,
            via: erasure.via,
            report: erasure.state.is_over().then_some(&erasure.report),
        }
    }
}

pub(super) fn deletions_shown(erasures: &[Erasure]) -> Result<Report, CliError> {
    let view = DeletionsView { deletions: erasures.iter().map(DeletionView::of).collect() };
    if erasures.is_empty() {
        return Report::new("no deletions were asked for", &view);
    }
    let counted = |erasure: &Erasure, count: u64| if erasure.state.is_over() { count.to_string() } else { "".into() };
    let rows = erasures.iter().map(|erasure| {
        [
            erasure.id.to_string(),
            erasure.application_id.to_string(),
            erasure.player_id.clone(),
            erasure.state.as_str().to_owned(),
            time(erasure.asked_at_ms),
            erasure.finished_at_ms.map(time).unwrap_or_default(),
            counted(erasure, erasure.report.rows_removed),
            counted(erasure, erasure.report.bad_rows_removed),
        ]
    });
    let headings = ["ID", "APPLICATION", "PLAYER", "STATE", "ASKED FOR", "OVER", "ROWS", "BAD ROWS"];
    Report::new(table(headings, rows), &view)
}

pub(super) fn deletion_shown(erasure: &Erasure) -> Result<Report, CliError> {
    let mut text = properties([
        ("id", erasure.id.to_string()),
        ("state", erasure.state.as_str().to_owned()),
        ("asked for", time(erasure.asked_at_ms)),
        ("started", erasure.started_at_ms.map(time).unwrap_or_default()),
        ("over", erasure.finished_at_ms.map(time).unwrap_or_default()),
    ]);
    if erasure.state.is_over() {
        text.push_str(&report_shown(&erasure.report));
    } else {
        text.push_str("the gateway does it, also after a restart: see `headgate players deletions`\n");
    }
    Report::new(text, &DeletionView::of(erasure))
}

fn report_shown(report: &EraseReport) -> String {
    let size = |bytes: u64| ByteSize(bytes).display().to_string();
    let mut text = properties([
        ("rows removed", report.rows_removed.to_string()),
        ("bad rows removed", report.bad_rows_removed.to_string()),
        ("files looked at", report.files_looked_at.to_string()),
        ("files rewritten", report.files_rewritten.to_string()),
        ("files removed", report.files_removed.to_string()),
        ("their bytes before", size(report.bytes_before)),
        ("their bytes after", size(report.bytes_after)),
        ("set aside lines removed", report.set_aside_lines_removed.to_string()),
    ]);
    let segments = report.segments_not_covered.iter();
    let segments = segments.map(|failed| [format!("log segment {}", failed.segment), failed.error.clone()]);
    let errors = report.errors.iter().map(|error| [error.what.clone(), error.problem.clone()]);
    let not_covered: Vec<[String; 2]> = segments.chain(errors).collect();
    if !not_covered.is_empty() {
        text.push_str(&format!("\n{}", table(["NOT COVERED", "WHY"], not_covered)));
    }
    if report.more_errors > 0 {
        text.push_str(&format!("and {} more\n", report.more_errors));
    }
    for place in &report.elsewhere {
        text.push_str(&format!("\nnot here: {}\n", printable(place)));
    }
    text
}
