//! Writes a stream record straight from an event's validated fields.

use std::mem::MaybeUninit;

use super::packed::LONGEST_TAIL;
use super::timestamp::TimestampText;

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

/// Of a hyphenated UUID.
const UUID_LEN: usize = 36;

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
pub struct RecordTail {
    text: Vec<u8>,
    // Short and without escapes.
    is_plain: bool,
}

impl RecordTail {
    /// `request_time_ms` counts from 1970-01-01 UTC.
    #[must_use]
    pub fn new(request_id: &str, request_time_ms: i64, application_id: &str) -> Self {
        const FIXED: usize = REQUEST_ID.len() + REQUEST_TIME.len() + APPLICATION_ID.len() + 2 + 2 + 20 + 2;
        let mut tail = Vec::with_capacity(FIXED + request_id.len() + application_id.len());
        tail.extend_from_slice(REQUEST_ID.as_bytes());
        let mut is_plain = push_json_string(&mut tail, request_id);
        tail.extend_from_slice(REQUEST_TIME.as_bytes());
        tail.extend_from_slice(itoa::Buffer::new().format(request_time_ms).as_bytes());
        tail.extend_from_slice(APPLICATION_ID.as_bytes());
        is_plain &= push_json_string(&mut tail, application_id);
        tail.extend_from_slice(b"}\n");
        is_plain &= tail.len() <= LONGEST_TAIL;
        Self { text: tail, is_plain }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Whether the events of its batch can be packed behind it.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }
}

/// One event's record, measured and not yet written: its length is needed before there is a place for it.
#[derive(Debug)]
pub struct MeasuredRecord<'a> {
    pub(super) event: &'a EventFields<'a>,
    pub(super) timestamp: &'a TimestampText,
    pub(super) tail: &'a RecordTail,
    len: usize,
}

impl<'a> MeasuredRecord<'a> {
    /// Measures it. `timestamp` is where its timestamp is printed, and stays: in small pieces, and a copy right behind would
    /// wait for them.
    #[inline]
    #[must_use]
    pub fn new(event: &'a EventFields<'a>, tail: &'a RecordTail, timestamp: &'a mut TimestampText) -> Self {
        timestamp.print(event.seconds, event.nanos);
        let optional =
            |key: &str, value: &[u8], quote: usize| if value.is_empty() { 0 } else { key.len() + value.len() + quote };
        let len = EVENT_ID.len()
            + event.event_id.len()
            + EVENT_TYPE.len()
            + event.event_type.len()
            + EVENT_NAME.len()
            + event.event_name.len()
            + EVENT_TIMESTAMP.len()
            + timestamp.as_bytes().len()
            + optional(EVENT_VERSION, event.event_version, 1)
            + optional(APP_VERSION, event.app_version, 1)
            + optional(EVENT_DATA, event.event_data, 0)
            + tail.text.len();
        Self { event, timestamp, tail, len }
    }

    /// Exactly how many bytes it takes, its newline included.
    #[inline]
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no record is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends it with its newline.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.len);
        let Self { event, timestamp, tail, len } = self;
        let mut place = Place::of(out, *len);
        place.put(EVENT_ID.as_bytes());
        // As long as it should be: a copy of so few bytes needs no call.
        match event.event_id.as_array::<UUID_LEN>() {
            Some(id) => place.put(id),
            None => place.put(event.event_id),
        };
        place.put(EVENT_TYPE.as_bytes());
        place.put_name(event.event_type);
        place.put(EVENT_NAME.as_bytes());
        place.put_name(event.event_name);
        place.put(EVENT_TIMESTAMP.as_bytes());
        place.put_name(timestamp.as_bytes());
        if !event.event_version.is_empty() {
            place.put(EVENT_VERSION.as_bytes());
            place.put_name(event.event_version);
            place.put(b"\"");
        }
        if !event.app_version.is_empty() {
            place.put(APP_VERSION.as_bytes());
            place.put_name(event.app_version);
            place.put(b"\"");
        }
        if !event.event_data.is_empty() {
            place.put(EVENT_DATA.as_bytes());
            place.put_data(event);
        }
        place.put(&tail.text);
        assert!(place.is_full(), "a record is as long as it was measured");
        // SAFETY: `len` bytes behind the vector's are its own, and each of them was written: the place is full.
        unsafe { out.set_len(out.len() + len) }
    }
}

/// The place of a record: as many bytes as it takes.
pub(super) struct Place<'a>(&'a mut [MaybeUninit<u8>]);

impl<'a> Place<'a> {
    /// Behind what the vector holds, where it has room for `len` bytes.
    #[inline(always)]
    pub(super) fn of(out: &'a mut Vec<u8>, len: usize) -> Self {
        Self(&mut out.spare_capacity_mut()[..len])
    }

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.0.is_empty()
    }

    #[inline(always)]
    pub(super) fn put(&mut self, bytes: &[u8]) -> &'a mut [u8] {
        let (here, rest) = std::mem::take(&mut self.0).split_at_mut(bytes.len());
        self.0 = rest;
        here.write_copy_of_slice(bytes)
    }

    /// The same for bytes that are few, and now more, now fewer: without a branch that their number decides, up to 32 of
    /// them in four words, which may overlap.
    #[inline(always)]
    pub(super) fn put_name(&mut self, bytes: &[u8]) {
        match bytes.len() {
            8..=32 => {
                let (here, rest) = std::mem::take(&mut self.0).split_at_mut(bytes.len());
                self.0 = rest;
                let last = bytes.len() - 8;
                // Each within the bytes: none is larger than `last`.
                for at in [0, last.min(8), last.saturating_sub(8), last] {
                    here[at..at + 8].write_copy_of_slice(&bytes[at..at + 8]);
                }
            }
            4..=7 => {
                let (here, rest) = std::mem::take(&mut self.0).split_at_mut(bytes.len());
                self.0 = rest;
                for at in [0, bytes.len() - 4] {
                    here[at..at + 4].write_copy_of_slice(&bytes[at..at + 4]);
                }
            }
            _ => {
                self.put(bytes);
            }
        }
    }

    /// The event's data, in one line.
    #[inline(always)]
    pub(super) fn put_data(&mut self, event: &EventFields<'_>) {
        let data = self.put(event.event_data);
        if event.data_has_line_breaks {
            for byte in data.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
                *byte = b' ';
            }
        }
    }
}

/// Exactly how many bytes [`write_record`] appends.
#[must_use]
pub fn record_len(event: &EventFields<'_>, tail: &RecordTail) -> usize {
    MeasuredRecord::new(event, tail, &mut TimestampText::default()).len()
}

/// Appends one record with its newline.
pub fn write_record(out: &mut Vec<u8>, event: &EventFields<'_>, tail: &RecordTail) {
    MeasuredRecord::new(event, tail, &mut TimestampText::default()).write(out);
}

/// Appends a JSON string; whether it needed no escapes.
fn push_json_string(out: &mut Vec<u8>, text: &str) -> bool {
    out.push(b'"');
    if !text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return true;
    }
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(br#"\""#),
            '\\' => out.extend_from_slice(br"\\"),
            control if control < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
    false
}
