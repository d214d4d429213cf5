//! A row of the lake's table, as a line of JSON for Firehose's format conversion: the columns and values of the lake that the
//! gateway writes itself, and of the AWS solution.
//!
//! What is not of its column's type is written as text, as the AWS solution does; what can't be (a time that is no number) is
//! left out, which makes it null.

use std::borrow::Cow;
use std::sync::Arc;

use headgate_proto::record::parse_timestamp;
use headgate_proto::request_id::clock_skew_ms;
use serde::Serialize;
use serde_json::value::RawValue;

use super::registry::Standing;
use super::rules::{self, Mismatch, REQUEST_ID, REQUEST_TIME, VALIDATED};
use crate::record::{self, Record};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    /// Of an application that the registry does not know. Its rules are not looked at.
    Unregistered,
    SchemaMismatch,
}

/// What the gateway said about an event's request.
pub(super) struct Origin<'a> {
    validated: bool,
    request_id: Option<Cow<'a, str>>,
    pub(super) request_time_ms: Option<i64>,
}

impl<'a> Origin<'a> {
    /// Nothing is believed without the flag, as in the AWS solution.
    pub(super) fn of(record: &Record<'a>) -> Self {
        let validated = record.all.get(VALIDATED).is_some_and(|flag| flag.get() == "true");
        let member = |name| record.all.get(name).filter(|_| validated);
        let request_time_ms = member(REQUEST_TIME).and_then(|value| value.get().parse().ok());
        Self { validated, request_id: member(REQUEST_ID).map(record::text), request_time_ms }
    }
}

#[derive(Serialize)]
struct Metadata<'a> {
    ingestion_id: &'a str,
    processing_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api<'a>>,
    processing_result: ProcessingResult<'a>,
}

#[derive(Serialize)]
struct Api<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_time_epoch: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew_ms: Option<i64>,
}

#[derive(Serialize)]
struct ProcessingResult<'a> {
    status: Status,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    validation_errors: &'a [Mismatch],
}

/// A row.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_version: Option<Cow<'a, str>>,
    application_id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_name: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_data: Option<Cow<'a, str>>,
    metadata: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time_ms: Option<i64>,
    #[serde(skip)]
    status: Status,
}

impl<'a> Row<'a> {
    pub(super) fn new(
        record: &Record<'a>,
        origin: &Origin<'a>,
        standing: &Standing,
        ingestion_id: &str,
        processing_timestamp: i64,
    ) -> Self {
        let (application_name, mismatches) = match standing {
            Standing::Registered(name) => (name.clone(), rules::mismatches(record, origin.validated)),
            Standing::Unregistered => (None, Vec::new()),
        };
        let status = match standing {
            Standing::Unregistered => Status::Unregistered,
            Standing::Registered(_) if mismatches.is_empty() => Status::Ok,
            Standing::Registered(_) => Status::SchemaMismatch,
        };
        let metadata = Metadata {
            ingestion_id,
            processing_timestamp,
            api: origin.validated.then_some(Api {
                request_id: origin.request_id.as_deref(),
                request_time_epoch: origin.request_time_ms,
                clock_skew_ms: origin.request_id.as_deref().and_then(clock_skew_ms),
            }),
            processing_result: ProcessingResult { status, validation_errors: &mismatches },
        };
        let text = |name| record.event.get(name).filter(|value| !is_null(value)).map(record::text);
        let time = record.event.get("event_timestamp").and_then(time);
        Self {
            event_id: text("event_id"),
            event_type: text("event_type"),
            event_name: text("event_name"),
            event_version: text("event_version"),
            event_timestamp: time.map(|(seconds, _)| seconds),
            app_version: text("app_version"),
            application_id: record::text(record.application_id),
            application_name,
            event_data: text("event_data"),
            metadata: super::raw(&metadata).get().to_owned(),
            event_time_ms: time
                .map(|(seconds, nanos)| seconds.saturating_mul(1_000).saturating_add(i64::from(nanos / 1_000_000))),
            status,
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    pub(super) fn event_time_ms(&self) -> Option<i64> {
        self.event_time_ms
    }

    /// Appends the line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(super::raw(self).get().as_bytes());
        out.push(b'\n');
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Seconds and nanoseconds; of a string its number, which the rules don't take, but the column does.
fn time(value: &RawValue) -> Option<(i64, u32)> {
    match record::string(value) {
        Some(text) => parse_timestamp(text.trim()).ok(),
        None => parse_timestamp(value.get()).ok(),
    }
}
