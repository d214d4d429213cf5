//! What an exporter is answered. OTLP has no verdict for each record: a request is settled, with how many of it were
//! rejected for good, or it is to be sent again whole.

use std::fmt::Write;
use std::time::Duration;

use headgate_proto::v1::{BatchVerdict, VerdictCode};
use serde_json::json;

use crate::admission::refusal::Refusal;

/// When to send again what the destination gave no answer for.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Of so many records is said what is wrong with them.
const MAX_SHOWN: usize = 3;

/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `opentelemetry.proto.collector.logs.v1.ExportLogsPartialSuccess`
#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl Response {
    /// What a batch's verdict means to an exporter.
    ///
    /// # Errors
    /// [`Refusal::PartlyStored`] where the batch is to be sent again.
    pub(super) fn of(verdict: &BatchVerdict) -> Result<Self, Refusal> {
        let unsettled = verdict.retry.saturating_add(verdict.unknown);
        if unsettled > 0 {
            return Err(Refusal::PartlyStored {
                unsettled,
                stored: verdict.accepted,
                retry_after: retry_after(verdict),
            });
        }
        let error_message = said_of(verdict);
        let partial_success = (!error_message.is_empty())
            .then(|| PartialSuccess { rejected_log_records: verdict.rejected.into(), error_message });
        Ok(Self { partial_success })
    }

    /// In JSON, as protobuf has it: a number of 64 bits is a text.
    #[must_use]
    pub(crate) fn to_json(&self) -> String {
        let Some(PartialSuccess { rejected_log_records, error_message }) = &self.partial_success else {
            return "{}".to_owned();
        };
        let rejected = rejected_log_records.to_string();
        json!({"partialSuccess": {"rejectedLogRecords": rejected, "errorMessage": error_message}}).to_string()
    }
}

/// The longest of the hints.
fn retry_after(verdict: &BatchVerdict) -> Duration {
    let hints = verdict.not_accepted.iter().filter_map(|event| Duration::try_from(event.retry_delay?).ok());
    hints.max().unwrap_or(RETRY_AFTER)
}

/// Empty where every record was taken as it is.
fn said_of(verdict: &BatchVerdict) -> String {
    let mut said = String::new();
    // A string takes all.
    if verdict.rejected > 0 {
        let _ = write!(said, "{} log records were rejected", verdict.rejected);
        let rejected = verdict.not_accepted.iter().filter(|event| event.code() == VerdictCode::Rejected);
        for event in rejected.take(MAX_SHOWN) {
            let _ = write!(said, "; record {}: {}", event.index, event.message);
        }
    }
    if verdict.warned > 0 {
        let _ = write!(said, "{}{} do not fit their schema", if said.is_empty() { "" } else { "; " }, verdict.warned);
        for event in verdict.warnings.iter().take(MAX_SHOWN) {
            let _ = write!(said, "; record {}: {} {}", event.index, event.field, event.message);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::{EventVerdict, EventWarning};
    use prost::Message;

    use super::*;

    fn rejected(index: u32) -> EventVerdict {
        let message = "event_name is required".to_owned();
        EventVerdict { index, code: VerdictCode::Rejected.into(), message, ..EventVerdict::default() }
    }

    #[test]
    fn all_stored_is_an_empty_answer() {
        let response = Response::of(&BatchVerdict { accepted: 3, ..BatchVerdict::default() }).expect("settled");
        assert!(response.encode_to_vec().is_empty());
        assert_eq!(response.to_json(), "{}");
    }

    #[test]
    fn rejected_records_are_counted_and_the_first_ones_explained() {
        let not_accepted = (0..5).map(rejected).collect();
        let verdict = BatchVerdict { accepted: 1, rejected: 5, not_accepted, ..BatchVerdict::default() };
        let partial = Response::of(&verdict).expect("settled").partial_success.expect("some were rejected");
        assert_eq!(partial.rejected_log_records, 5);
        let expected = "5 log records were rejected; record 0: event_name is required; record 1: event_name is \
                        required; record 2: event_name is required";
        assert_eq!(partial.error_message, expected);
        let json = Response { partial_success: Some(partial) }.to_json();
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["partialSuccess"]["rejectedLogRecords"], "5");
    }

    #[test]
    fn a_warning_rejects_nothing() {
        let warnings = vec![EventWarning { index: 1, field: "event_data/a".into(), message: "is no number".into() }];
        let verdict = BatchVerdict { accepted: 2, warned: 1, warnings, ..BatchVerdict::default() };
        let partial = Response::of(&verdict).expect("settled").partial_success.expect("a warning");
        assert_eq!(partial.rejected_log_records, 0);
        assert_eq!(partial.error_message, "1 do not fit their schema; record 1: event_data/a is no number");
    }

    #[test]
    fn what_is_not_stored_is_to_be_sent_again_whatever_else_was() {
        let delay = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let retry = |seconds| EventVerdict { retry_delay: delay(seconds), ..EventVerdict::default() };
        let verdict = BatchVerdict {
            accepted: 7,
            rejected: 1,
            retry: 2,
            unknown: 1,
            not_accepted: vec![rejected(0), retry(2), retry(5), EventVerdict::default()],
            ..BatchVerdict::default()
        };
        let refused = Response::of(&verdict).expect_err("to be sent again");
        let retry_after = Duration::from_secs(5);
        assert_eq!(refused, Refusal::PartlyStored { unsettled: 3, stored: 7, retry_after });
        let unknown = BatchVerdict { unknown: 1, ..BatchVerdict::default() };
        assert_eq!(Response::of(&unknown).expect_err("to be sent again").retry_after(), Some(RETRY_AFTER));
    }
}
