//! Writes events straight into the protobuf wire form of a request, without building messages first.
//!
//! A batch is the encoded `repeated Event events` of a request, plus where each event ends and whose it is: that is what
//! sending single events of it again needs. What stands before the events (the sequence of a stream's request) is
//! written by the codec that sends the batch.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::{event_id, hyphenated};
use crate::workload::{Fault, Happening, Player, World, app_version};

/// The request that the events are written for; it decides their field number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `PublishEventsRequest`.
    Unary,
    /// `StreamEventsRequest`.
    Stream,
}

impl Framing {
    fn events_field(self) -> u32 {
        match self {
            Self::Unary => 1,
            Self::Stream => 2,
        }
    }
}

/// One event of a batch: whose step it is, and where its encoding ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) player: u32,
    pub(crate) sequence: u32,
    pub(crate) end: u32,
}

impl Mark {
    pub(crate) fn event_id(self, seed: u64) -> u128 {
        event_id(seed, self.player, self.sequence)
    }
}

/// Encoded events, ready to be sent, and sent again.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) body: Bytes,
    pub(crate) marks: Vec<Mark>,
}

impl Batch {
    pub(crate) fn events(&self) -> usize {
        self.marks.len()
    }

    /// The batch of the events at these ascending places, with their bytes unchanged.
    pub(crate) fn select(&self, places: &[u32]) -> Self {
        let start = |place: usize| if place == 0 { 0 } else { self.marks[place - 1].end as usize };
        let mut body = BytesMut::new();
        let mut marks = Vec::with_capacity(places.len());
        for &place in places {
            let place = place as usize;
            let mark = self.marks[place];
            body.extend_from_slice(&self.body[start(place)..mark.end as usize]);
            marks.push(Mark { end: body.len() as u32, ..mark });
        }
        Self { body: body.freeze(), marks }
    }
}

/// Encodes what happens into batches.
pub(crate) struct Encoder {
    world: Arc<World>,
    events_field: u32,
    body: BytesMut,
    marks: Vec<Mark>,
    /// Buffers used again for each event.
    event: Vec<u8>,
    payload: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(world: Arc<World>, framing: Framing) -> Self {
        Self {
            world,
            events_field: framing.events_field(),
            body: BytesMut::new(),
            marks: Vec::new(),
            event: Vec::new(),
            payload: Vec::new(),
        }
    }

    pub(crate) fn events(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Adds an event that happened at `epoch_ns`, in nanoseconds of Unix time.
    pub(crate) fn push(&mut self, number: u32, player: &Player, happening: Happening, epoch_ns: u64) {
        self.world.write_payload(number, player, happening, &mut self.payload);
        self.write_event(number, happening, epoch_ns);
        encode_key(self.events_field, WireType::LengthDelimited, &mut self.body);
        encode_varint(self.event.len() as u64, &mut self.body);
        self.body.extend_from_slice(&self.event);
        self.marks.push(Mark { player: number, sequence: happening.sequence, end: self.body.len() as u32 });
    }

    /// The events pushed since the last call.
    pub(crate) fn take(&mut self) -> Batch {
        Batch { body: self.body.split().freeze(), marks: std::mem::take(&mut self.marks) }
    }

    fn write_event(&mut self, number: u32, happening: Happening, epoch_ns: u64) {
        let Happening { kind, sequence, .. } = happening;
        let seed = self.world.seed();
        let fault = self.world.fault(number, sequence);

        let id = hyphenated(event_id(seed, number, sequence));
        let id = if fault == Some(Fault::IdNotAUuid) { &id[..35] } else { &id[..] };
        let event_type = if fault == Some(Fault::TypeWithSpace) { "user knockout" } else { kind.event_type() };
        let event_name = if fault == Some(Fault::NameMissing) { "" } else { kind.event_name() };
        let seconds =
            if fault == Some(Fault::TimestampOutOfRange) { 300_000_000_000 } else { epoch_ns / 1_000_000_000 };
        let data: &[u8] = match fault {
            Some(Fault::DataNotAnObject) => b"[\"not\",\"an\",\"object\"]",
            Some(Fault::DataCutOff) => &self.payload[..self.payload.len() - 1],
            _ => &self.payload,
        };

        let out = &mut self.event;
        out.clear();
        write_bytes(1, id, out);
        write_bytes(2, event_type.as_bytes(), out);
        if !event_name.is_empty() {
            write_bytes(3, event_name.as_bytes(), out);
        }
        write_timestamp(4, seconds, epoch_ns % 1_000_000_000, out);
        write_bytes(5, kind.event_version().as_bytes(), out);
        write_bytes(6, app_version(seed, number).as_bytes(), out);
        write_bytes(7, data, out);
    }
}

fn write_bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.put_slice(value);
}

fn write_timestamp(field: u32, seconds: u64, nanos: u64, out: &mut Vec<u8>) {
    let nanos_len = if nanos == 0 { 0 } else { 1 + encoded_len_varint(nanos) };
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint((1 + encoded_len_varint(seconds) + nanos_len) as u64, out);
    encode_key(1, WireType::Varint, out);
    encode_varint(seconds, out);
    if nanos != 0 {
        encode_key(2, WireType::Varint, out);
        encode_varint(nanos, out);
    }
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::{PublishEventsRequest, StreamEventsRequest};
    use prost::Message;

    use super::*;
    use crate::engine::Engine;

    fn batch(framing: Framing, bad_share: f64) -> Batch {
        let world = Arc::new(World::new(11, bad_share));
        let mut engine = Engine::new(world.clone(), 0..500, 0);
        let mut encoder = Encoder::new(world, framing);
        engine.advance(60_000, |number, player, happening| {
            encoder.push(number, player, happening, 1_750_000_000_123_000_000 + happening.due);
        });
        encoder.take()
    }

    #[test]
    fn batches_decode_as_the_requests_they_are_for() {
        let unary = batch(Framing::Unary, 0.0);
        let stream = batch(Framing::Stream, 0.0);
        let one = PublishEventsRequest::decode(unary.body.clone()).expect("a request").events;
        let other = StreamEventsRequest::decode(stream.body.clone()).expect("a request").events;
        assert_eq!(one, other);
        assert_eq!(one.len(), unary.events());
        assert!(one.len() > 500);
        for (event, mark) in one.iter().zip(&unary.marks) {
            let id = uuid::Uuid::parse_str(&event.event_id).expect("a UUID");
            assert_eq!(id.as_u128(), event_id(11, mark.player, mark.sequence));
            let at = event.event_timestamp.expect("a timestamp");
            assert_eq!(at.seconds, 1_750_000_000);
            assert!(at.nanos >= 123_000_000);
            assert!(!event.event_type.is_empty() && !event.event_name.is_empty());
            assert_eq!(event.app_version, app_version(11, mark.player));
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&event.event_data).expect("an object");
        }
    }

    #[test]
    fn selected_events_keep_their_bytes() {
        let whole = batch(Framing::Stream, 0.0);
        let last = whole.events() as u32 - 1;
        let some = whole.select(&[0, 3, 4, last]);
        let all = StreamEventsRequest::decode(whole.body.clone()).expect("a request").events;
        let chosen = StreamEventsRequest::decode(some.body.clone()).expect("a request").events;
        assert_eq!(chosen, [&all[0], &all[3], &all[4], &all[last as usize]].map(Clone::clone));
        assert_eq!(some.select(&[1]).body, whole.select(&[3]).body);
    }

    #[test]
    fn the_bad_share_is_the_one_asked_for_and_each_bad_event_breaks_a_rule() {
        let bad = batch(Framing::Stream, 0.2);
        let events = StreamEventsRequest::decode(bad.body.clone()).expect("a request").events;
        let broken = events
            .iter()
            .filter(|event| {
                event.event_name.is_empty()
                    || event.event_type.contains(' ')
                    || uuid::Uuid::parse_str(&event.event_id).is_err()
                    || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&event.event_data).is_err()
                    || event.event_timestamp.expect("a timestamp").seconds > 253_402_300_799
            })
            .count();
        let share = broken as f64 / events.len() as f64;
        assert!((0.16..0.24).contains(&share), "{share} of the events are bad");
    }
}
