//! What Firehose hands over. Own types: what is not needed is not asked for, so that nothing in it can fail.

use serde::Deserialize;

/// An invocation's payload.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) records: Vec<SourceRecord>,
}

/// A record of the delivery stream.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceRecord {
    pub(super) record_id: String,
    /// In base64.
    pub(super) data: String,
    /// When Firehose got it, in milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub(super) approximate_arrival_timestamp: Option<i64>,
}
