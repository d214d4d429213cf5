//! Batches that are encoded beforehand: a copy of a template with new event ids and its sequence.

use bytes::Bytes;
use headgate_proto::v1::Event;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::{Call, Case, otlp};
use crate::Result;
use crate::events::{Sample, Size};

/// Different events that a connection's templates hold at least.
const VARIETY: u32 = 256;

/// Sequences begin here so that each takes five bytes and a template can hold its place.
const FIRST_SEQUENCE: u64 = 1 << 28;
const SEQUENCE_LEN: usize = 5;

/// The compression flag and the length before each gRPC message.
const PREFIX: usize = 5;

/// The last group of a hyphenated UUID: 12 digits, which count; the others tell connections and runs apart.
const COUNTED: std::ops::Range<usize> = 24..36;

/// Batches of one connection.
pub struct Batches {
    templates: Vec<Template>,
    next: usize,
    sequence: u64,
    event: u64,
}

struct Template {
    // A gRPC message with its prefix.
    framed: Vec<u8>,
    // Where each event's counted digits stand.
    ids: Vec<usize>,
    sequence_at: Option<usize>,
}

impl Batches {
    /// Batches of this kind. The same seed makes the same events, but for their ids.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn new(case: Case, seed: u64) -> Result<Self> {
        Self::sized(case, seed, Size::Usual)
    }

    /// As [`Batches::new`], with events of this size.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn sized(case: Case, seed: u64, size: Size) -> Result<Self> {
        let mut sample = Sample::sized(seed + 1, size);
        let own = own_digits()?;
        let templates =
            (0..VARIETY.div_ceil(case.batch)).map(|_| Template::new(case, &mut sample, &own)).collect::<Result<_>>()?;
        Ok(Self { templates, next: 0, sequence: FIRST_SEQUENCE, event: 0 })
    }

    /// The same events as log records of OTLP.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub(super) fn otlp(case: Case, seed: u64, size: Size) -> Result<Self> {
        let mut sample = Sample::sized(seed + 1, size);
        let own = own_digits()?;
        let template = |_| Template::otlp(case, &mut sample, &own);
        let templates = (0..VARIETY.div_ceil(case.batch)).map(template).collect::<Result<_>>()?;
        Ok(Self { templates, next: 0, sequence: FIRST_SEQUENCE, event: 0 })
    }

    /// The sequence of the next batch, on a stream.
    pub(super) fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// The next batch, as a gRPC message with its prefix. Its events' ids were never sent before.
    pub fn next_framed(&mut self) -> Bytes {
        let template = &self.templates[self.next];
        self.next = (self.next + 1) % self.templates.len();
        let mut framed = template.framed.clone();
        for id in &template.ids {
            write_counted(&mut framed[*id..*id + COUNTED.len()], self.event);
            self.event += 1;
        }
        if let Some(at) = template.sequence_at {
            write_sequence(&mut framed[at..at + SEQUENCE_LEN], self.sequence);
            self.sequence += 1;
        }
        framed.into()
    }
}

impl Template {
    fn new(case: Case, sample: &mut Sample, own: &str) -> Result<Self> {
        let mut framed = vec![0; PREFIX];
        let (events_field, sequence_at) = match case.call {
            Call::Unary => (1, None),
            Call::Stream => {
                encode_key(1, WireType::Varint, &mut framed);
                let at = framed.len();
                framed.extend_from_slice(&[0; SEQUENCE_LEN]);
                write_sequence(&mut framed[at..], FIRST_SEQUENCE);
                (2, Some(at))
            }
        };
        let mut ids = Vec::new();
        for _ in 0..case.batch {
            let mut event = sample.event();
            event.event_id.replace_range(..COUNTED.start, own);
            encode_key(events_field, WireType::LengthDelimited, &mut framed);
            encode_varint(event.encoded_len() as u64, &mut framed);
            ids.push(framed.len() + offset_of_id(&event)? + COUNTED.start);
            event.encode(&mut framed)?;
        }
        Self::framed(framed, ids, sequence_at)
    }

    fn otlp(case: Case, sample: &mut Sample, own: &str) -> Result<Self> {
        let events = (0..case.batch).map(|_| {
            let mut event = sample.event();
            event.event_id.replace_range(..COUNTED.start, own);
            event
        });
        let events: Vec<Event> = events.collect();
        let mut framed = vec![0; PREFIX];
        otlp::export_of(&events).encode(&mut framed)?;
        let mut ids = Vec::new();
        let mut from = PREFIX;
        for event in &events {
            let rest = framed[from..].windows(COUNTED.end);
            let at =
                from + rest.into_iter().position(|text| text == event.event_id.as_bytes()).ok_or("an id is lost")?;
            ids.push(at + COUNTED.start);
            from = at + COUNTED.end;
        }
        Self::framed(framed, ids, None)
    }

    /// `framed`: room for the prefix, and a message.
    fn framed(mut framed: Vec<u8>, ids: Vec<usize>, sequence_at: Option<usize>) -> Result<Self> {
        let length = u32::try_from(framed.len() - PREFIX)?;
        framed[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        Ok(Self { framed, ids, sequence_at })
    }
}

fn offset_of_id(event: &Event) -> Result<usize> {
    // The id is the first field: a byte for its tag, a byte for its length.
    let encoded = event.encode_to_vec();
    if encoded.get(2..2 + COUNTED.end) == Some(event.event_id.as_bytes()) {
        Ok(2)
    } else {
        Err("an event's id does not stand where it is looked for".into())
    }
}

/// The groups of an id that do not count, of a version 7 UUID, drawn anew for every connection.
fn own_digits() -> Result<String> {
    let drawn = getrandom::u64()?;
    let [a, b, c, d] = [drawn >> 32, drawn >> 16 & 0xffff, drawn >> 4 & 0xfff, drawn & 0xfff];
    Ok(format!("{a:08x}-{b:04x}-7{c:03x}-8{d:03x}-"))
}

fn write_counted(digits: &mut [u8], number: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let [_, _, bytes @ ..] = number.to_be_bytes();
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn write_sequence(place: &mut [u8], sequence: u64) {
    let mut rest = sequence;
    let last = place.len() - 1;
    for byte in &mut place[..last] {
        *byte = (rest & 0x7f) as u8 | 0x80;
        rest >>= 7;
    }
    place[last] = (rest & 0x7f) as u8;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use headgate_proto::v1::{PublishEventsRequest, StreamEventsRequest};

    use super::*;

    fn events(case: Case, framed: &Bytes) -> (Option<u64>, Vec<Event>) {
        assert_eq!(framed[0], 0, "not compressed");
        assert_eq!(framed[1..PREFIX], u32::try_from(framed.len() - PREFIX).expect("fits").to_be_bytes());
        let message = framed.slice(PREFIX..);
        match case.call {
            Call::Stream => {
                let request = StreamEventsRequest::decode(message).expect("a request");
                (Some(request.sequence), request.events)
            }
            Call::Unary => (None, PublishEventsRequest::decode(message).expect("a request").events),
        }
    }

    #[test]
    fn every_batch_decodes_and_no_id_or_sequence_comes_twice() {
        for case in Case::ALL {
            let mut seen = HashSet::new();
            let mut sequences = HashSet::new();
            for connection in 0..2 {
                let mut batches = Batches::new(case, connection).expect("batches");
                for _ in 0..600 / case.batch + 3 {
                    let (sequence, events) = events(case, &batches.next_framed());
                    assert_eq!(events.len(), case.batch as usize);
                    assert!(sequence.is_none_or(|sequence| sequences.insert((connection, sequence))));
                    for event in events {
                        assert!(seen.insert(uuid::Uuid::try_parse(&event.event_id).expect("a UUID")));
                    }
                }
            }
        }
    }

    #[test]
    fn log_records_carry_the_same_events_and_no_id_comes_twice() {
        let case = Case { call: Call::Unary, batch: 100 };
        let mut batches = Batches::otlp(case, 0, Size::Usual).expect("batches");
        let mut seen = HashSet::new();
        for _ in 0..7 {
            let export = otlp::ExportLogsServiceRequest::decode(batches.next_framed().slice(PREFIX..)).expect("OTLP");
            let records = &export.resource_logs[0].scope_logs[0].log_records;
            assert_eq!(records.len(), 100);
            for record in records {
                let id = record.attribute("event_id").expect("it has an id");
                assert!(seen.insert(uuid::Uuid::try_parse(id).expect("a UUID")));
                assert!(record.attribute("event_type").is_some() && record.time_unix_nano > 0);
                serde_json::from_str::<serde_json::Value>(record.body()).expect("its data");
            }
        }
    }

    #[test]
    fn events_of_templates_differ() {
        let case = Case { call: Call::Unary, batch: 1 };
        let mut batches = Batches::new(case, 0).expect("batches");
        let payloads: HashSet<_> =
            (0..VARIETY).map(|_| events(case, &batches.next_framed()).1[0].event_data.clone()).collect();
        assert_eq!(payloads.len(), VARIETY as usize);
    }
}
