//! Events in protobuf's wire format, written once: into the buffer of their batch. The log keeps these bytes and the stream
//! carries them, so nothing is encoded a second time, however often it is sent.
//!
//! A batch's buffer is the field `events` of `headgate.v1.StreamEventsRequest`, again and again. To send it, its sequence is
//! put in front of it ([`sequence_field`]).

use bytes::Bytes;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::event::Event;

// Tags: field number << 3 | wire type 2 (length-delimited), or 0 (varint).
const SEQUENCE: u8 = 1 << 3;
const EVENTS: u8 = 2 << 3 | 2;
const EVENT_ID: u8 = 1 << 3 | 2;
const EVENT_TYPE: u8 = 2 << 3 | 2;
const EVENT_NAME: u8 = 3 << 3 | 2;
const EVENT_TIMESTAMP: u8 = 4 << 3 | 2;
const EVENT_VERSION: u8 = 5 << 3 | 2;
const APP_VERSION: u8 = 6 << 3 | 2;
const EVENT_DATA: u8 = 7 << 3 | 2;
const PARTITION_KEY: u8 = 8 << 3 | 2;
const SECONDS: u8 = 1 << 3;
const NANOS: u8 = 2 << 3;

const ID_FIELD: usize = 2 + Hyphenated::LENGTH;

/// An event whose lengths are known: it is measured before a lock is taken, and written under it.
#[derive(Clone, Copy)]
pub(crate) struct Measured<'a> {
    event: &'a Event<'a>,
    seconds: i64,
    nanos: u32,
    timestamp_len: usize,
    inner: usize,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(event: &'a Event<'a>, (seconds, nanos): (i64, u32)) -> Self {
        let timestamp_len = varint_field(seconds as u64) + varint_field(u64::from(nanos));
        let texts = [event.event_type, event.event_name, event.event_version, event.app_version, event.partition_key];
        let texts: usize = texts.iter().map(|text| field_len(text.len())).sum();
        let inner = ID_FIELD + texts + 2 + timestamp_len + field_len(event.data.len());
        Self { event, seconds, nanos, timestamp_len, inner }
    }

    /// Bytes that it takes in a batch.
    pub(crate) fn len(&self) -> usize {
        1 + varint_len(self.inner as u64) + self.inner
    }

    pub(crate) fn id(&self) -> Option<Uuid> {
        self.event.id
    }

    /// Appends it.
    pub(crate) fn write(&self, id: Uuid, out: &mut Vec<u8>) {
        out.reserve(self.len());
        out.push(EVENTS);
        push_varint(out, self.inner as u64);
        let mut text = [0; Hyphenated::LENGTH];
        push_field(out, EVENT_ID, id.hyphenated().encode_lower(&mut text).as_bytes());
        push_field(out, EVENT_TYPE, self.event.event_type.as_bytes());
        push_field(out, EVENT_NAME, self.event.event_name.as_bytes());
        out.push(EVENT_TIMESTAMP);
        push_varint(out, self.timestamp_len as u64);
        push_number(out, SECONDS, self.seconds as u64);
        push_number(out, NANOS, u64::from(self.nanos));
        push_field(out, EVENT_VERSION, self.event.event_version.as_bytes());
        push_field(out, APP_VERSION, self.event.app_version.as_bytes());
        push_field(out, EVENT_DATA, self.event.data);
        push_field(out, PARTITION_KEY, self.event.partition_key.as_bytes());
    }
}

/// One event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    /// With its tag and length, as it stands in a batch.
    pub(crate) whole: Bytes,
    /// The `headgate.v1.Event` itself.
    pub(crate) event: Bytes,
}

/// The events of a batch, in order. Ends at the first byte that is none of ours.
pub(crate) fn events(batch: &Bytes) -> impl Iterator<Item = Framed> + use<> {
    let mut rest = batch.clone();
    std::iter::from_fn(move || {
        let (tag, after) = rest.split_first()?;
        let (len, head) = read_varint(after)?;
        let (start, end) = (1 + head, (1 + head).checked_add(usize::try_from(len).ok()?)?);
        if *tag != EVENTS || end > rest.len() {
            return None;
        }
        let whole = rest.split_to(end);
        let event = whole.slice(start..);
        Some(Framed { whole, event })
    })
}

/// The id of an event, which is what [`Measured::write`] writes first.
pub(crate) fn event_id(event: &[u8]) -> Option<Uuid> {
    let text = event.strip_prefix(&[EVENT_ID, Hyphenated::LENGTH as u8])?.get(..Hyphenated::LENGTH)?;
    Uuid::try_parse_ascii(text).ok()
}

/// The field `sequence` of `headgate.v1.StreamEventsRequest`, and its length.
pub(crate) fn sequence_field(sequence: u64) -> ([u8; 11], usize) {
    let mut field = [0; 11];
    field[0] = SEQUENCE;
    let (mut rest, mut len) = (sequence, 1);
    while rest >= 0x80 {
        field[len] = rest as u8 | 0x80;
        rest >>= 7;
        len += 1;
    }
    field[len] = rest as u8;
    (field, len + 1)
}

fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((number, index + 1));
        }
    }
    None
}

/// What a length-delimited field takes; a field without content is left out.
fn field_len(content: usize) -> usize {
    if content == 0 { 0 } else { 1 + varint_len(content as u64) + content }
}

/// What a number takes; 0 is left out.
fn varint_field(number: u64) -> usize {
    if number == 0 { 0 } else { 1 + varint_len(number) }
}

fn push_field(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    if !content.is_empty() {
        out.push(tag);
        push_varint(out, content.len() as u64);
        out.extend_from_slice(content);
    }
}

fn push_number(out: &mut Vec<u8>, tag: u8, number: u64) {
    if number != 0 {
        out.push(tag);
        push_varint(out, number);
    }
}

fn varint_len(number: u64) -> usize {
    // Seven bits a byte.
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1;
    use prost::Message;

    use super::*;

    fn written(event: &Event<'_>, at: (i64, u32), id: Uuid) -> Vec<u8> {
        let measured = Measured::new(event, at);
        let mut out = Vec::new();
        measured.write(id, &mut out);
        assert_eq!(out.len(), measured.len(), "measured as it is written");
        out
    }

    #[test]
    fn what_is_written_is_what_prost_writes() {
        let id = Uuid::from_u128(0x1234_5678_9abc_7def_8123_4567_89ab_cdef);
        let data = vec![b' '; 70_000];
        let bare = Event::new("a", "b");
        let full = bare.event_version("1").app_version("2.0").data(&data).partition_key("ü");
        let times = [(0, 0), (1_700_000_000, 999_999_999), (-1, 1), (-62_135_596_800, 0), (127, 128)];
        for (event, (seconds, nanos)) in [bare, full].iter().flat_map(|event| times.map(|time| (event, time))) {
            let expected = v1::StreamEventsRequest {
                sequence: 0,
                events: vec![v1::Event {
                    event_id: id.to_string(),
                    event_type: event.event_type.to_owned(),
                    event_name: event.event_name.to_owned(),
                    event_timestamp: Some(prost_types::Timestamp { seconds, nanos: nanos as i32 }),
                    event_version: event.event_version.to_owned(),
                    app_version: event.app_version.to_owned(),
                    event_data: event.data.to_vec().into(),
                    partition_key: event.partition_key.to_owned(),
                }],
            };
            assert_eq!(written(event, (seconds, nanos), id), expected.encode_to_vec());
        }
    }

    #[test]
    fn sequences_are_as_prost_writes_them() {
        for sequence in [1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let (field, len) = sequence_field(sequence);
            let expected = v1::StreamEventsRequest { sequence, events: Vec::new() }.encode_to_vec();
            assert_eq!(field[..len], expected);
        }
    }

    #[test]
    fn a_batch_is_taken_apart_into_its_events_and_never_past_its_end() {
        let ids = [1_u128, 2, 3].map(Uuid::from_u128);
        let data = vec![b'x'; 300];
        let event = Event::new("a", "b").data(&data);
        let pieces = ids.map(|id| written(&event, (5, 0), id));
        let batch = Bytes::from(pieces.concat());
        let found: Vec<Framed> = events(&batch).collect();
        assert_eq!(found.len(), 3);
        for (framed, (piece, id)) in found.iter().zip(pieces.iter().zip(ids)) {
            assert_eq!(framed.whole, *piece);
            assert_eq!(v1::Event::decode(framed.event.clone()).expect("an event").event_id, id.to_string());
            assert_eq!(event_id(&framed.event), Some(id));
        }
        for end in 0..batch.len() {
            let whole = pieces.iter().scan(0, |sum, piece| {
                *sum += piece.len();
                Some(*sum)
            });
            assert_eq!(events(&batch.slice(..end)).count(), whole.filter(|sum| *sum <= end).count());
        }
        assert_eq!(
            events(&Bytes::from_static(&[EVENTS, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])).count(),
            0
        );
    }
}
