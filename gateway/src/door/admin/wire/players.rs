//! Suppressed players and deletions of their data.

use headgate_proto::admin::v1 as wire;
use headgate_proto::admin::v1::PlayerDeletionState;

use super::{id, invalid, optional_millis, required_millis, timestamp};
use crate::admin::Via;
use crate::admin::erasures::{Erasure, State};
use crate::delivery::erase::{EraseProblem, EraseReport};
use crate::delivery::lake::FailedSegment;
use crate::registry::{RegistryError, Suppression};

pub(in crate::door::admin) fn suppression_message(suppression: Suppression) -> wire::SuppressedPlayer {
    wire::SuppressedPlayer {
        application_id: suppression.application_id.to_string(),
        player_id: suppression.player_id,
        suppressed_at: Some(timestamp(suppression.since_ms)),
    }
}

/// What a gateway answered with.
///
/// # Errors
/// [`RegistryError::Invalid`] with the field that can't be understood; so of those that follow.
pub(crate) fn suppression(message: wire::SuppressedPlayer) -> Result<Suppression, RegistryError> {
    Ok(Suppression {
        application_id: id("application_id", &message.application_id)?,
        player_id: message.player_id,
        since_ms: required_millis("suppressed_at", message.suppressed_at.as_ref())?,
    })
}

pub(in crate::door::admin) fn erasure_message(erasure: Erasure) -> wire::PlayerDeletion {
    let report = erasure.state.is_over().then(|| report_message(erasure.report));
    wire::PlayerDeletion {
        deletion_id: erasure.id.to_string(),
        application_id: erasure.application_id.to_string(),
        player_id: erasure.player_id,
        state: state_number(erasure.state),
        asked_at: Some(timestamp(erasure.asked_at_ms)),
        started_at: erasure.started_at_ms.map(timestamp),
        finished_at: erasure.finished_at_ms.map(timestamp),
        actor: erasure.actor,
        via: erasure.via.as_str().to_owned(),
        segments_done: erasure.segments_done,
        segments: erasure.segments,
        report,
    }
}

/// See [`suppression`].
pub(crate) fn erasure(message: wire::PlayerDeletion) -> Result<Erasure, RegistryError> {
    Ok(Erasure {
        id: id("deletion_id", &message.deletion_id)?,
        application_id: id("application_id", &message.application_id)?,
        player_id: message.player_id,
        // Not told to anybody.
        ids: Vec::new(),
        actor: message.actor,
        via: via(&message.via)?,
        state: state(message.state)?,
        asked_at_ms: required_millis("asked_at", message.asked_at.as_ref())?,
        started_at_ms: optional_millis("started_at", message.started_at.as_ref())?,
        finished_at_ms: optional_millis("finished_at", message.finished_at.as_ref())?,
        segments_done: message.segments_done,
        segments: message.segments,
        report: message.report.map(report).unwrap_or_default(),
    })
}

fn report_message(report: EraseReport) -> wire::PlayerDeletionReport {
    let segments = report.segments_not_covered.into_iter();
    let problems = report.errors.into_iter();
    wire::PlayerDeletionReport {
        files_looked_at: report.files_looked_at,
        files_rewritten: report.files_rewritten,
        files_removed: report.files_removed,
        rows_removed: report.rows_removed,
        bytes_before: report.bytes_before,
        bytes_after: report.bytes_after,
        set_aside_lines_removed: report.set_aside_lines_removed,
        bad_rows_removed: report.bad_rows_removed,
        segments_not_covered: segments
            .map(|failed| wire::UncoveredSegment { segment: failed.segment, error: failed.error })
            .collect(),
        problems: problems
            .map(|error| wire::PlayerDeletionProblem { what: error.what, problem: error.problem })
            .collect(),
        elsewhere: report.elsewhere,
        more_problems: report.more_errors,
    }
}

fn report(message: wire::PlayerDeletionReport) -> EraseReport {
    let segments = message.segments_not_covered.into_iter();
    let problems = message.problems.into_iter();
    EraseReport {
        files_looked_at: message.files_looked_at,
        files_rewritten: message.files_rewritten,
        files_removed: message.files_removed,
        rows_removed: message.rows_removed,
        bytes_before: message.bytes_before,
        bytes_after: message.bytes_after,
        set_aside_lines_removed: message.set_aside_lines_removed,
        bad_rows_removed: message.bad_rows_removed,
        segments_not_covered: segments
            .map(|failed| FailedSegment { segment: failed.segment, error: failed.error })
            .collect(),
        errors: problems.map(|error| EraseProblem { what: error.what, problem: error.problem }).collect(),
        elsewhere: message.elsewhere,
        more_errors: message.more_problems,
    }
}

fn state_number(state: State) -> i32 {
    let known = match state {
        State::Queued => PlayerDeletionState::Queued,
        State::Waiting => PlayerDeletionState::Waiting,
        State::Running => PlayerDeletionState::Running,
        State::Done => PlayerDeletionState::Done,
        State::Incomplete => PlayerDeletionState::Incomplete,
    };
    known as i32
}

fn state(number: i32) -> Result<State, RegistryError> {
    let known = State::ALL.into_iter().find(|state| state_number(*state) == number);
    known.ok_or_else(|| invalid("state", "must be one of the states"))
}

fn via(name: &str) -> Result<Via, RegistryError> {
    let known = Via::ALL.into_iter().find(|via| via.as_str() == name);
    known.ok_or_else(|| invalid("via", "must be one of the doors"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_suppression_is_read_as_it_was_written() {
        let one = Suppression { application_id: Uuid::from_u128(7), player_id: "p".to_owned(), since_ms: 5 };
        assert_eq!(suppression(suppression_message(one.clone())).expect("is read"), one);
    }

    #[test]
    fn a_deletion_is_read_as_it_was_written_with_its_report_once_it_is_over() {
        let report = EraseReport {
            files_looked_at: 1,
            files_rewritten: 2,
            files_removed: 3,
            rows_removed: 4,
            bytes_before: 5,
            bytes_after: 6,
            set_aside_lines_removed: 7,
            bad_rows_removed: 8,
            segments_not_covered: vec![FailedSegment { segment: 9, error: "why".to_owned() }],
            errors: vec![EraseProblem { what: "x".to_owned(), problem: "y".to_owned() }],
            more_errors: 10,
            elsewhere: vec!["there".to_owned()],
        };
        for (state, via) in State::ALL.into_iter().zip(Via::ALL.into_iter().cycle()) {
            let one = Erasure {
                id: Uuid::from_u128(1),
                application_id: Uuid::from_u128(2),
                player_id: "p".to_owned(),
                ids: Vec::new(),
                actor: "admin-token".to_owned(),
                via,
                state,
                asked_at_ms: 1,
                started_at_ms: Some(2),
                finished_at_ms: state.is_over().then_some(3),
                segments_done: 4,
                segments: 5,
                report: if state.is_over() { report.clone() } else { EraseReport::default() },
            };
            assert_eq!(erasure(erasure_message(one.clone())).expect("is read"), one);
        }
        assert_eq!(self::state(0).map_err(|error| error.to_string().contains("state")), Err(true));
    }
}
