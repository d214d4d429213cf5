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
    Splitter::default().split(line)
}

/// Takes the lines of one text apart, as [`split_record`] does. Those of one request end alike, and follow each other:
/// that end is taken apart once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Splitter<'a> {
    last: Option<Tail<'a>>,
}

/// What a line says behind its event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail<'a> {
    pub(super) text: &'a str,
    pub(super) request_id: &'a str,
    pub(super) request_time_ms: i64,
    pub(super) application_id: &'a str,
}

impl<'a> Splitter<'a> {
    /// Takes the next line, without its newline, apart.
    #[must_use]
    pub fn split(&mut self, line: &'a str) -> Option<SplitRecord<'a>> {
        // What ends alike is taken apart alike, since that begins at the end.
        let known = self.last.and_then(|last| Some((line.strip_suffix(last.text)?, last)));
        let (event, tail) = match known {
            Some(known) => known,
            None => Tail::split(line)?,
        };
        self.last = Some(tail);
        split_event(event, &tail)
    }
}

impl<'a> Tail<'a> {
    /// What stands before the tail, and the tail.
    pub(super) fn split(line: &'a str) -> Option<(&'a str, Self)> {
        // From the end, because event_data may hold anything: an application id holds no quote, so the last quote but one
        // begins it, and so on.
        let (rest, application_id) = last_string(line.strip_suffix('}')?)?;
        let rest = rest.strip_suffix(APPLICATION_ID)?;
        let (rest, request_time_ms) = last_integer(rest)?;
        let (rest, request_id) = last_string(rest.strip_suffix(REQUEST_TIME)?)?;
        let event = rest.strip_suffix(REQUEST_ID)?;
        Some((event, Self { text: &line[event.len()..], request_id, request_time_ms, application_id }))
    }
}

fn split_event<'a>(event: &'a str, tail: &Tail<'a>) -> Option<SplitRecord<'a>> {
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
        request_id: tail.request_id,
        request_time_ms: tail.request_time_ms,
        application_id: tail.application_id,
    })
}

/// A string's value, and what follows it, from its closing quote on.
fn value(text: &str) -> Option<(&str, &str)> {
    Some(text.split_at(end_of_plain(text.as_bytes())?)).filter(|(_, rest)| rest.starts_with('"'))
}

/// Where the first byte is that may not stand in a JSON string as it is, or ends it.
fn end_of_plain(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    // The top bit of each byte that is less than `n`, which is at most 128; of others only above one that is.
    let less = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & TOPS;
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found =
            less(word, 0x20) | less(word ^ (ONES * u64::from(b'"')), 1) | less(word ^ (ONES * u64::from(b'\\')), 1);
        if found != 0 {
            return Some(8 * index + found.trailing_zeros() as usize / 8);
        }
    }
    let in_rest = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    Some(8 * words.len() + in_rest)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_is_plain_is_found_wherever_it_is_and_whatever_stands_around_it() {
        for byte in 0..=255_u8 {
            let ends = matches!(byte, b'"' | b'\\' | ..b' ');
            for at in 0..20 {
                for around in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                    let mut text = [around; 20];
                    text[at] = byte;
                    assert_eq!(end_of_plain(&text), ends.then_some(at), "{byte:#x} at {at} in {around:#x}");
                    // Behind the first, others change nothing.
                    text[19] = b'"';
                    assert_eq!(end_of_plain(&text), Some(if ends { at } else { 19 }));
                }
            }
        }
    }
}
