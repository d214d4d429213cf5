//! Reads a stream record, borrowing from its line.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::split::SplitRecord;
use super::timestamp::{TimestampError, parse_timestamp};

/// A stream record, read.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The event as it was sent.
    pub event: RecordEvent<'a>,
    /// Whether the gateway validated it; the gateway itself always writes `true`.
    pub validated: bool,
    /// The id of the request in which it came.
    pub request_id: Cow<'a, str>,
    /// When that request came, milliseconds since 1970-01-01 UTC.
    pub request_time_ms: i64,
    /// The application that sent it.
    pub application_id: Cow<'a, str>,
}

impl<'a> From<&'a Record<'_>> for SplitRecord<'a> {
    fn from(record: &'a Record<'_>) -> Self {
        let event = &record.event;
        Self {
            event_id: &event.event_id,
            event_type: &event.event_type,
            event_name: &event.event_name,
            seconds: event.seconds,
            nanos: event.nanos,
            event_version: event.event_version.as_deref(),
            app_version: event.app_version.as_deref(),
            event_data: event.event_data.map(RawValue::get),
            request_id: &record.request_id,
            request_time_ms: record.request_time_ms,
            application_id: &record.application_id,
        }
    }
}

/// The event of a stream record.
#[derive(Clone, Debug)]
pub struct RecordEvent<'a> {
    /// Its UUID.
    pub event_id: Cow<'a, str>,
    /// What kind of event.
    pub event_type: Cow<'a, str>,
    /// Its name.
    pub event_name: Cow<'a, str>,
    /// When it happened: seconds since 1970-01-01 UTC, rounded down.
    pub seconds: i64,
    /// When it happened: nanoseconds after `seconds`.
    pub nanos: u32,
    /// Version of the event's shape.
    pub event_version: Option<Cow<'a, str>>,
    /// Version of the game.
    pub app_version: Option<Cow<'a, str>>,
    /// The JSON object, byte for byte.
    pub event_data: Option<&'a RawValue>,
}

/// Why a line is no stream record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is not UTF-8.
    #[error("not UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// It is not JSON, or not of the record's shape.
    #[error("not a stream record: {0}")]
    Shape(#[from] serde_json::Error),
    /// `event_timestamp` is no time.
    #[error("event_timestamp {0}")]
    Timestamp(#[from] TimestampError),
    /// `event_data` is not an object.
    #[error("event_data must be a JSON object")]
    EventData,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRecord<'a> {
    #[serde(borrow)]
    event: WireEvent<'a>,
    #[serde(rename = "aws_ga_api_validated_flag")]
    validated: bool,
    #[serde(borrow, rename = "aws_ga_api_requestId")]
    request_id: Cow<'a, str>,
    #[serde(rename = "aws_ga_api_requestTimeEpoch")]
    request_time_ms: i64,
    #[serde(borrow)]
    application_id: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEvent<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    event_timestamp: &'a RawValue,
    #[serde(borrow)]
    event_version: Option<Borrowable<'a>>,
    #[serde(borrow)]
    app_version: Option<Borrowable<'a>>,
    #[serde(borrow)]
    event_data: Option<&'a RawValue>,
}

// serde borrows a `Cow` only where it stands by itself, not inside an `Option`.
#[derive(Deserialize)]
struct Borrowable<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads one line, with or without its newline.
///
/// # Errors
/// If the line is not UTF-8, not JSON, has a key that is not in the shape, lacks one, or a value is of the wrong kind.
pub fn read_record(line: &[u8]) -> Result<Record<'_>, RecordError> {
    // Checked once here, UTF-8 need not be checked again for each string.
    let line = std::str::from_utf8(line)?;
    let wire: WireRecord<'_> = serde_json::from_str(line)?;
    let (seconds, nanos) = parse_timestamp(wire.event.event_timestamp.get())?;
    if wire.event.event_data.is_some_and(|data| !data.get().starts_with('{')) {
        return Err(RecordError::EventData);
    }
    Ok(Record {
        event: RecordEvent {
            event_id: wire.event.event_id,
            event_type: wire.event.event_type,
            event_name: wire.event.event_name,
            seconds,
            nanos,
            event_version: wire.event.event_version.map(|version| version.0),
            app_version: wire.event.app_version.map(|version| version.0),
            event_data: wire.event.event_data,
        },
        validated: wire.validated,
        request_id: wire.request_id,
        request_time_ms: wire.request_time_ms,
        application_id: wire.application_id,
    })
}
