//! Deleting what is stored of a player: the form, and what became of each deletion.

use maud::{Markup, html};

use crate::admin::erasures::{Erasure, State};
use crate::delivery::erase::EraseReport;
use crate::operate::console::components::{self, Input, badge, form_problem};
use crate::operate::console::fields::{Fields, Misfilled};
use crate::operate::console::layout::form_token;
use crate::operate::console::session::Session;
use crate::operate::console::words;

/// So many are shown, the newest; `headgate players deletions` shows them all.
const SHOWN: usize = 50;

pub(super) fn form(session: &Session, players: &str, problem: Option<&str>) -> Markup {
    let field = |name, label, hint| Input { name, label, value: "", hint, required: true }.show();
    html! {
        section .card .danger aria-labelledby="delete" {
            h2 #delete { "Delete what is stored" }
            p { "Suppresses the player, waits a few seconds until every gateway heeds that, and then deletes their events from \
                 this gateway's lake and its bad rows. What was deleted can't be brought back. What went to Kinesis or \
                 Firehose is not this gateway's to delete, and the report says so." }
            (form_problem(problem))
            form .form method="post" action={ (players) "/delete" } {
                (form_token(session))
                (field("deleted_player_id", "Id of the player to delete", "As it stands in event_data.player_id."))
                (field("confirm", "The same id again", "So that nobody else is deleted by a slip."))
                button .bad { "Delete for good" }
            }
        }
    }
}

/// The player that was typed twice.
pub(super) fn confirmed(fields: &Fields) -> Result<&str, Misfilled> {
    let player = fields.optional("deleted_player_id").ok_or(Misfilled("Player id: give one".to_owned()))?;
    if fields.text("confirm") != player {
        return Err(Misfilled("The two ids are not the same, so nothing was deleted.".to_owned()));
    }
    Ok(player)
}

pub(super) fn table(erasures: &[Erasure]) -> Markup {
    if erasures.is_empty() {
        return html! { p .empty { "Nothing was asked to be deleted." } };
    }
    let rows = html! {
        @for one in erasures.iter().rev().take(SHOWN) {
            tr {
                th scope="row" { code { (one.player_id) } }
                td { (words::moment(one.asked_at_ms)) }
                td { (state(one)) }
                td { (report(one)) }
            }
        }
    };
    components::table("Deletions", &["Player", "Asked for", "State", "Report"], &rows)
}

fn state(one: &Erasure) -> Markup {
    let class = match one.state {
        State::Queued | State::Waiting | State::Running => "none",
        State::Done => "good",
        State::Incomplete => "warn",
    };
    badge(class, one.state.as_str())
}

fn report(one: &Erasure) -> Markup {
    match one.state {
        State::Queued => html! { "Others come first." },
        State::Waiting => html! { "Waits until every gateway heeds the suppression." },
        State::Running => html! {
            (words::count(one.segments_done)) " of " (words::count(one.segments)) " segments looked at."
        },
        State::Done | State::Incomplete => over(one, &one.report),
    }
}

fn over(one: &Erasure, report: &EraseReport) -> Markup {
    html! {
        (words::count(report.rows_removed)) " rows and " (words::count(report.bad_rows_removed)) " bad rows removed. "
        "Files looked at: " (words::count(report.files_looked_at))
        @if report.files_rewritten + report.files_removed > 0 {
            ", rewritten: " (words::count(report.files_rewritten)) ", removed: " (words::count(report.files_removed))
            "; " (words::bytes(report.bytes_before)) " became " (words::bytes(report.bytes_after))
        }
        "."
        @if let Some(at_ms) = one.finished_at_ms { " Over " (words::moment(at_ms)) "." }
        @if one.state == State::Incomplete {
            ul {
                @for failed in &report.segments_not_covered {
                    li { "Not covered: log segment " (failed.segment) ": " (failed.error) }
                }
                @for error in &report.errors { li { "Not covered: " code { (error.what) } ": " (error.problem) } }
                @if report.more_errors > 0 { li { "Not covered: " (words::count(report.more_errors)) " more." } }
                @for place in &report.elsewhere { li { "Not here: " (place) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_is_deleted_only_when_the_id_was_typed_twice() {
        for (sent, expected) in [
            ("deleted_player_id=p-1&confirm=p-1", Some("p-1")),
            ("deleted_player_id=p-1&confirm=p-2", None),
            ("deleted_player_id=p-1", None),
            ("deleted_player_id=&confirm=", None),
        ] {
            assert_eq!(confirmed(&Fields::parse(sent.as_bytes())).ok(), expected, "{sent}");
        }
    }
}
