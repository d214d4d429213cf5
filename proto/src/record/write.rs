//! Writes a stream record straight from an event's validated fields.

use super::timestamp::Timestamp;

// What stands between the values, quotes included. `split` takes lines apart at the same places.
pub(super) const EVENT_ID: &str = r#"{"event":{"event_id":""#;
pub(super) const EVENT_TYPE: &str = r#"","event_type":""#;
pub(super) const EVENT_NAME: &str = r#"","event_name":""#;
pub(super) const EVENT_TIMESTAMP: &str = r#"","event_timestamp":"#;
pub(super) const EVENT_VERSION: &str = r#","event_version":""#;
pub(super) const APP_VERSION: &str = r#","app_version":""#;
pub(super) const EVENT_DATA: &str = r#","event_data":"#;
pub(super) const REQUEST_ID: &str = r#"},"aws_ga_api_validated_flag":true,"aws_ga_api_requestId":"#;
pub(super) const REQUEST_TIME: &str = r#","aws_ga_api_requestTimeEpoch":"#;
pub(super) const APPLICATION_ID: &str = r#","application_id":"#;

/// One event, validated: the names hold only characters that JSON takes as they are, `event_data` is a JSON object.
#[derive(Clone, Copy, Debug)]
pub struct EventFields<'a> {
    /// The hyphenated UUID in lower case.
    pub event_id: &'a [u8],
    /// What kind of event.
    pub event_type: &'a [u8],
    /// Its name.
    pub event_name: &'a [u8],
    /// Seconds since 1970-01-01 UTC, rounded down.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanos: u32,
    /// Version of the event's shape; empty: absent.
    pub event_version: &'a [u8],
    /// Version of the game; empty: absent.
    pub app_version: &'a [u8],
    /// One JSON object; empty: absent.
    pub event_data: &'a [u8],
    /// Whether `event_data` holds line feeds or carriage returns. In valid JSON they can only stand between tokens, and
    /// are written as spaces, so that a record stays one line.
    pub data_has_line_breaks: bool,
}

/// The end of every record of a batch. Built once a batch.
#[derive(Clone, Debug)]
pub struct RecordTail(Vec<u8>);

impl RecordTail {
    /// `request_time_ms` counts from 1970-01-01 UTC.
    #[must_use]
    pub fn new(request_id: &str, request_time_ms: i64, application_id: &str) -> Self {
        let mut tail = REQUEST_ID.as_bytes().to_vec();
        push_json_string(&mut tail, request_id);
        tail.extend_from_slice(REQUEST_TIME.as_bytes());
        tail.extend_from_slice(itoa::Buffer::new().format(request_time_ms).as_bytes());
        tail.extend_from_slice(APPLICATION_ID.as_bytes());
        push_json_string(&mut tail, application_id);
        tail.extend_from_slice(b"}\n");
        Self(tail)
    }
}

/// Exactly how many bytes [`write_record`] appends.
#[must_use]
pub fn record_len(event: &EventFields<'_>, tail: &RecordTail) -> usize {
    let optional =
        |key: &str, value: &[u8], quote: usize| if value.is_empty() { 0 } else { key.len() + value.len() + quote };
    EVENT_ID.len()
        + event.event_id.len()
        + EVENT_TYPE.len()
        + event.event_type.len()
        + EVENT_NAME.len()
        + event.event_name.len()
        + EVENT_TIMESTAMP.len()
        + Timestamp::new(event.seconds, event.nanos).len()
        + optional(EVENT_VERSION, event.event_version, 1)
        + optional(APP_VERSION, event.app_version, 1)
        + optional(EVENT_DATA, event.event_data, 0)
        + tail.0.len()
}

/// Appends one record with its newline.
pub fn write_record(out: &mut Vec<u8>, event: &EventFields<'_>, tail: &RecordTail) {
    out.reserve(record_len(event, tail));
    out.extend_from_slice(EVENT_ID.as_bytes());
    out.extend_from_slice(event.event_id);
    out.extend_from_slice(EVENT_TYPE.as_bytes());
    out.extend_from_slice(event.event_type);
    out.extend_from_slice(EVENT_NAME.as_bytes());
    out.extend_from_slice(event.event_name);
    out.extend_from_slice(EVENT_TIMESTAMP.as_bytes());
    Timestamp::new(event.seconds, event.nanos).write(out);
    if !event.event_version.is_empty() {
        out.extend_from_slice(EVENT_VERSION.as_bytes());
        out.extend_from_slice(event.event_version);
        out.push(b'"');
    }
    if !event.app_version.is_empty() {
        out.extend_from_slice(APP_VERSION.as_bytes());
        out.extend_from_slice(event.app_version);
        out.push(b'"');
    }
    if !event.event_data.is_empty() {
        out.extend_from_slice(EVENT_DATA.as_bytes());
        let start = out.len();
        out.extend_from_slice(event.event_data);
        if event.data_has_line_breaks {
            for byte in out[start..].iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
                *byte = b' ';
            }
        }
    }
    out.extend_from_slice(&tail.0);
}

/// Appends a JSON string. Once a batch, so it may take the long way.
fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(br#"\""#),
            '\\' => out.extend_from_slice(br"\\"),
            control if control < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
