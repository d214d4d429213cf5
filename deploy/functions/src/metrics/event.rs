//! What Lambda hands over for a Kinesis stream with tumbling windows, and what it wants back. Own types: those of
//! `aws_lambda_events` have no `batchItemFailures` beside the state, and take nothing but strings in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An invocation's payload.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    /// Mostly empty in the last invocation of a window.
    #[serde(rename = "Records", default)]
    pub(super) records: Vec<StreamRecord>,
    /// Missing if the mapping has no windows.
    #[serde(default)]
    pub(super) window: Option<TimeWindow>,
    /// What the invocation before answered; empty in a window's first one.
    #[serde(default)]
    pub(super) state: Value,
    #[serde(default)]
    pub(super) shard_id: Option<String>,
    #[serde(default)]
    pub(super) is_final_invoke_for_window: bool,
    /// The state grew past 1 MB.
    #[serde(default)]
    pub(super) is_window_terminated_early: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct TimeWindow {
    start: String,
}

impl TimeWindow {
    pub(super) fn start_ms(&self) -> Option<i64> {
        let start = humantime::parse_rfc3339(&self.start).ok()?;
        i64::try_from(start.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis()).ok()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamRecord {
    pub(super) kinesis: Kinesis,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kinesis {
    pub(super) sequence_number: String,
    /// In base64.
    pub(super) data: String,
    /// Seconds since 1970-01-01 UTC, with a fraction.
    #[serde(default)]
    approximate_arrival_timestamp: Option<f64>,
}

impl Kinesis {
    #[allow(clippy::cast_possible_truncation, reason = "a time in milliseconds; the cast saturates")]
    pub(super) fn arrival_ms(&self) -> Option<i64> {
        self.approximate_arrival_timestamp.map(|seconds| (seconds * 1_000.0) as i64)
    }
}

/// The answer. Without a state Lambda takes the invocation for failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) state: Value,
    pub(super) batch_item_failures: Vec<ItemFailure>,
}

/// A record from which on records come again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemFailure {
    pub(super) item_identifier: String,
}
