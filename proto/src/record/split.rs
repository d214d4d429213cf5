//! Takes a line apart that [`write_record`](super::write_record) wrote, in a tenth of the time that reading JSON takes.

use super::timestamp::parse_timestamp;
use super::write::{
    APP_VERSION, APPLICATION_ID, EVENT_DATA, EVENT_ID, EVENT_NAME, EVENT_TIMESTAMP, EVENT_TYPE, EVENT_VERSION,
    REQUEST_ID, REQUEST_TIME,
};

/// A stream record's values, slices of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitRecord<'a> {
    /// Its UUID.
    pub event_id: &'a str,
    /// What kind of event.
    pub event_type: &'a str,
    /// Its name.
    pub event_name: &'a str,
    /// When it happened: seconds since 1970-01-01 UTC, rounded down.
    pub seconds: i64,
    /// When it happened: nanoseconds after `seconds`.
    pub nanos: u32,
    /// Version of the event's shape.
    pub event_version: Option<&'a str>,
    /// Version of the game.
    pub app_version: Option<&'a str>,
    /// The JSON object. It is not checked: the line must come from where it was.
    pub event_data: Option<&'a str>,
    /// The id of the request in which it came.
    pub request_id: &'a str,
    /// When that request came, milliseconds since 1970-01-01 UTC.
    pub request_time_ms: i64,
    /// The application that sent it.
    pub application_id: &'a str,
}

/// Takes a line, without its newline, apart. `None` if it is not laid out as [`write_record`](super::write_record) does
/// or a value has an escape; it may still be a stream record, which [`read_record`](super::read_record) tells.
#[must_use]
pub fn split_record(line: &str) -> Option<SplitRecord<'_>> {
    // From the end, because event_data may hold anything: an application id holds no quote, so the last quote but one
    // begins it, and so on.
    let (rest, application_id) = last_string(line.strip_suffix('}')?)?;
    let rest = rest.strip_suffix(APPLICATION_ID)?;
    let (rest, request_time_ms) = last_integer(rest)?;
    let (rest, request_id) = last_string(rest.strip_suffix(REQUEST_TIME)?)?;
    let event = rest.strip_suffix(REQUEST_ID)?;

    let (event_id, event) = value(event.strip_prefix(EVENT_ID)?)?;
    let (event_type, event) = value(event.strip_prefix(EVENT_TYPE)?)?;
    let (event_name, event) = value(event.strip_prefix(EVENT_NAME)?)?;
    let event = event.strip_prefix(EVENT_TIMESTAMP)?;
    let (timestamp, event) = event.split_at(event.bytes().position(|byte| byte == b',').unwrap_or(event.len()));
    let (seconds, nanos) = parse_timestamp(timestamp).ok()?;
    let (event_version, event) = optional_string(event, EVENT_VERSION)?;
    let (app_version, event) = optional_string(event, APP_VERSION)?;
    let event_data = match event {
        "" => None,
        event => Some(event.strip_prefix(EVENT_DATA).filter(|data| data.starts_with('{') && data.ends_with('}'))?),
    };
    Some(SplitRecord {
        event_id,
        event_type,
        event_name,
        seconds,
        nanos,
        event_version,
        app_version,
        event_data,
        request_id,
        request_time_ms,
        application_id,
    })
}

/// A string's value, and what follows it, from its closing quote on.
fn value(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    Some(text.split_at(end)).filter(|(_, rest)| rest.starts_with('"'))
}

fn optional_string<'a>(text: &'a str, key: &str) -> Option<(Option<&'a str>, &'a str)> {
    match text.strip_prefix(key) {
        Some(text) => value(text).map(|(value, rest)| (Some(value), &rest[1..])),
        None => Some((None, text)),
    }
}

/// What stands before the string that ends the text, and its value.
fn last_string(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_suffix('"')?;
    let quote = text.bytes().rposition(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    let (rest, value) = text.split_at(quote);
    Some((rest, value.strip_prefix('"')?))
}

/// What stands before the integer that ends the text, and its value.
fn last_integer(text: &str) -> Option<(&str, i64)> {
    let digits = text.bytes().rev().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count();
    let (rest, integer) = text.split_at(text.len() - digits);
    // As JSON writes it, and no other way.
    let value: i64 = integer.parse().ok()?;
    (itoa::Buffer::new().format(value) == integer).then_some((rest, value))
}
