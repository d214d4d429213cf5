//! Writes events straight into the protobuf wire form of a request, without building messages first.
//!
//! What comes out are [`Batch`]es, ready to be sent.

use std::sync::Arc;

use bytes::BytesMut;
use prost::encoding::encoded_len_varint;

use super::batch::{Batch, HEAD, Mark, room};
use super::hyphenated;
use crate::workload::{Fault, Happening, Pen, Player, World};

/// The request that the events are written for; it decides their field number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `PublishEventsRequest`.
    Unary,
    /// `StreamEventsRequest`.
    Stream,
}

impl Framing {
    fn events_field(self) -> u8 {
        match self {
            Self::Unary => 1,
            Self::Stream => 2,
        }
    }
}

/// Room for all of an event but its payload.
const HEADER: usize = 512;

/// Encodes what happens into batches.
pub(crate) struct Encoder {
    world: Arc<World>,
    /// The key of a request's events.
    key: u8,
    body: BytesMut,
    /// The bytes of the batch before: the next one is likely to take as many.
    bytes_before: usize,
    marks: Vec<Mark>,
    /// The places in `marks` of the events that are to be in the next batch once more.
    twice: Vec<u32>,
    /// Buffers used again for each event.
    header: Box<[u8; HEADER]>,
    payload: Box<[u8]>,
}

impl Encoder {
    pub(crate) fn new(world: Arc<World>, framing: Framing) -> Self {
        let payload = vec![0; world.payload_room()].into_boxed_slice();
        Self {
            world,
            key: framing.events_field() << 3 | LENGTH_DELIMITED,
            body: BytesMut::new(),
            bytes_before: 0,
            marks: Vec::new(),
            twice: Vec::new(),
            header: Box::new([0; HEADER]),
            payload,
        }
    }

    pub(crate) fn events(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len().saturating_sub(HEAD)
    }

    /// Adds an event that happened at `epoch_ns`, in nanoseconds of Unix time, `lead_us` microseconds before the instant
    /// at which its batch is to leave. The timestamp is the one of the player's clock, which may be wrong.
    pub(crate) fn push(&mut self, number: u32, player: &Player, happening: Happening, epoch_ns: u64, lead_us: u32) {
        if self.body.is_empty() {
            self.body = room(self.bytes_before + self.bytes_before / 8);
        }
        let stamp_ns = epoch_ns.saturating_add_signed(self.world.clock_skew_ns(number, player));
        let payload_len = self.world.write_payload(number, player, happening, &mut self.payload);
        match self.world.fault(number, happening.sequence) {
            None => self.write_event(number, player, happening, stamp_ns, payload_len),
            Some(fault) => self.write_bad_event(number, player, happening, stamp_ns, payload_len, fault),
        }
        if self.world.is_sent_twice(number, happening.sequence) {
            self.twice.push(self.marks.len() as u32);
        }
        self.marks.push(Mark::new(number, happening.sequence, self.bytes() as u32, lead_us));
    }

    /// The events pushed since the last call, behind the duplicates of events of the batch before. Duplicates of this
    /// one are in the next batch from the start; those of a run's last batch never leave.
    pub(crate) fn take(&mut self) -> Batch {
        self.bytes_before = self.bytes();
        let mut marks = Vec::with_capacity(self.marks.len());
        std::mem::swap(&mut marks, &mut self.marks);
        // The whole buffer goes along: nobody else holds it, so that the batch can be headed in place.
        let batch = Batch::new(std::mem::take(&mut self.body), marks);
        if !self.twice.is_empty() {
            let again = batch.select(&self.twice);
            self.twice.clear();
            self.body = room(self.bytes_before + self.bytes_before / 8);
            self.body.extend_from_slice(again.events_bytes());
            self.marks.extend(again.marks.iter().map(|mark| mark.again()));
        }
        batch
    }

    #[inline]
    fn write_event(&mut self, number: u32, player: &Player, happening: Happening, stamp_ns: u64, payload_len: usize) {
        let Happening { kind, sequence, .. } = happening;
        let kind = &self.world.phrases().kinds[kind as usize];
        let mut pen = Pen::new(&mut self.header[KEY_AND_LENGTH..]);
        pen.raw(&[field(1), 36]).raw(&hyphenated(self.world.dice().event_id(number, sequence)));
        pen.phrase(&kind.names);
        timestamp(stamp_ns / 1_000_000_000, stamp_ns % 1_000_000_000, &mut pen);
        pen.phrase(&kind.version).phrase(self.world.app_version(player));
        pen.raw(&[field(7)]).varint(payload_len as u64);
        let written = pen.written();
        self.append(written, payload_len);
    }

    /// An event that breaks one rule.
    #[cold]
    fn write_bad_event(
        &mut self,
        number: u32,
        player: &Player,
        happening: Happening,
        stamp_ns: u64,
        mut payload_len: usize,
        fault: Fault,
    ) {
        let Happening { kind, sequence, .. } = happening;
        match fault {
            Fault::DataNotAnObject => {
                let array = b"[\"not\",\"an\",\"object\"]";
                self.payload[..array.len()].copy_from_slice(array);
                payload_len = array.len();
            }
            Fault::DataCutOff => payload_len -= 1,
            _ => {}
        }
        let phrases = &self.world.phrases().kinds[kind as usize];
        let mut pen = Pen::new(&mut self.header[KEY_AND_LENGTH..]);
        let id = hyphenated(self.world.dice().event_id(number, sequence));
        if fault == Fault::IdNotAUuid {
            text(1, &id[..35], &mut pen);
        } else {
            text(1, &id, &mut pen);
        }
        match fault {
            Fault::TypeWithSpace => {
                text(2, b"user knockout", &mut pen);
                text(3, kind.event_name().as_bytes(), &mut pen);
            }
            Fault::NameMissing => text(2, kind.event_type().as_bytes(), &mut pen),
            _ => {
                pen.phrase(&phrases.names);
            }
        }
        let seconds = if fault == Fault::TimestampOutOfRange { 300_000_000_000 } else { stamp_ns / 1_000_000_000 };
        timestamp(seconds, stamp_ns % 1_000_000_000, &mut pen);
        pen.phrase(&phrases.version).phrase(self.world.app_version(player));
        pen.raw(&[field(7)]).varint(payload_len as u64);
        let written = pen.written();
        self.append(written, payload_len);
    }

    /// Puts key and length before what was written, and appends all of it with the payload.
    #[inline]
    fn append(&mut self, written: usize, payload_len: usize) {
        let len = (written + payload_len) as u64;
        let start = KEY_AND_LENGTH - 1 - encoded_len_varint(len);
        // A varint's pieces are bytes, so nothing is written past its end.
        Pen::new(&mut self.header[start..]).raw(&[self.key]).varint(len);
        self.body.extend_from_slice(&self.header[start..KEY_AND_LENGTH + written]);
        self.body.extend_from_slice(&self.payload[..payload_len]);
    }
}

/// Room for the key and the length of an event of up to 256 MiB.
const KEY_AND_LENGTH: usize = 5;
const LENGTH_DELIMITED: u8 = 2;
const VARINT: u8 = 0;

/// The key of a length-delimited field.
const fn field(number: u8) -> u8 {
    number << 3 | LENGTH_DELIMITED
}

fn text(number: u8, value: &[u8], pen: &mut Pen<'_>) {
    pen.raw(&[field(number)]).varint(value.len() as u64).bytes(value);
}

/// The field `event_timestamp`.
#[inline]
fn timestamp(seconds: u64, nanos: u64, pen: &mut Pen<'_>) {
    let nanos_len = if nanos == 0 { 0 } else { 1 + encoded_len_varint(nanos) };
    pen.raw(&[field(4), (1 + encoded_len_varint(seconds) + nanos_len) as u8]);
    pen.raw(&[1 << 3 | VARINT]).varint(seconds);
    if nanos != 0 {
        pen.raw(&[2 << 3 | VARINT]).varint(nanos);
    }
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::{Event, PublishEventsRequest, StreamEventsRequest};
    use prost::Message;

    use super::*;
    use crate::engine::event_id;
    use crate::engine::{Engine, Seat};
    use crate::workload::WorldConfig;

    const NOON: u64 = 1_750_000_000;

    /// What happens in a minute, in batches of a second.
    fn batches(framing: Framing, config: &WorldConfig) -> Vec<Batch> {
        let world = Arc::new(World::new(11, config));
        let mut engine = Engine::new(world.clone(), Seat::flat(0, 0..700, 0.7));
        let mut encoder = Encoder::new(world, framing);
        (1..=60)
            .map(|second| {
                engine.advance(second * 1_000, |number, player, happening| {
                    let lead_us = (second * 1_000 - happening.due) * 1_000;
                    let epoch_ns = NOON * 1_000_000_000 + happening.due * 1_000_000;
                    encoder.push(number, player, happening, epoch_ns, lead_us as u32);
                });
                encoder.take()
            })
            .collect()
    }

    fn batch(framing: Framing, bad_share: f64) -> Batch {
        let config = WorldConfig { bad_share, ..WorldConfig::default() };
        let mut whole = Batch::of(&[], Vec::new());
        for batch in batches(framing, &config) {
            let offset = whole.events_bytes().len() as u32;
            whole.marks.extend(
                batch.marks.iter().map(|mark| Mark::new(mark.player, mark.sequence, mark.end + offset, mark.lead_us())),
            );
            whole = Batch::of(&[whole.events_bytes(), batch.events_bytes()].concat(), whole.marks);
        }
        whole
    }

    fn decode(batch: &Batch) -> Vec<Event> {
        StreamEventsRequest::decode(batch.events_bytes()).expect("a request").events
    }

    #[test]
    fn batches_decode_as_the_requests_they_are_for() {
        let unary = batch(Framing::Unary, 0.0);
        let stream = batch(Framing::Stream, 0.0);
        let one = PublishEventsRequest::decode(unary.events_bytes()).expect("a request").events;
        let other = StreamEventsRequest::decode(stream.events_bytes()).expect("a request").events;
        assert_eq!(one, other);
        assert_eq!(one.len(), unary.events());
        assert!(one.len() > 500);
        for (event, mark) in one.iter().zip(&unary.marks) {
            let id = uuid::Uuid::parse_str(&event.event_id).expect("a UUID");
            assert_eq!(id.as_u128(), event_id(11, mark.player, mark.sequence));
            let at = event.event_timestamp.expect("a timestamp").seconds;
            assert!((NOON as i64 - 2..NOON as i64 + 62).contains(&at));
            assert!(!event.event_type.is_empty() && !event.event_name.is_empty());
            assert!(["4.12.1", "4.12.0", "4.11.3", "4.9.0"].contains(&event.app_version.as_str()));
            assert!(["1.0.0", "1.2.0", "2.1.0"].contains(&event.event_version.as_str()));
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&event.event_data).expect("an object");
        }
    }

    #[test]
    fn selected_events_keep_their_bytes() {
        let whole = batch(Framing::Stream, 0.0);
        let last = whole.events() as u32 - 1;
        let some = whole.select(&[0, 3, 4, last]);
        let all = StreamEventsRequest::decode(whole.events_bytes()).expect("a request").events;
        let chosen = StreamEventsRequest::decode(some.events_bytes()).expect("a request").events;
        assert_eq!(chosen, [&all[0], &all[3], &all[4], &all[last as usize]].map(Clone::clone));
        assert_eq!(some.select(&[1]).events_bytes(), whole.select(&[3]).events_bytes());
    }

    #[test]
    fn the_bad_share_is_the_one_asked_for_and_each_bad_event_breaks_a_rule() {
        let bad = batch(Framing::Stream, 0.2);
        let events = StreamEventsRequest::decode(bad.events_bytes()).expect("a request").events;
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

    #[test]
    fn events_of_wrong_clocks_are_off_by_up_to_the_models_seconds_and_others_exact() {
        let mut config = WorldConfig::default();
        config.model.clocks.skewed = 0.2;
        let mut off = std::collections::BTreeMap::new();
        for (second, batch) in (1..).zip(batches(Framing::Stream, &config)) {
            for (event, mark) in decode(&batch).iter().zip(&batch.marks) {
                let at = event.event_timestamp.expect("a timestamp");
                let stamp_us = at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000;
                let happened_us = (NOON as i64 + second) * 1_000_000 - i64::from(mark.lead_us());
                let skew_us = stamp_us - happened_us;
                assert!(skew_us.abs() <= 2_000_000, "off by {skew_us} µs");
                let known = *off.entry(mark.player).or_insert(skew_us);
                assert!((known - skew_us).abs() <= 1, "a client's clock stays as wrong as it is");
            }
        }
        let share = off.values().filter(|skew_us| **skew_us != 0).count() as f64 / off.len() as f64;
        assert!((0.14..0.26).contains(&share), "{share} of the clocks are wrong");
        assert!(off.values().any(|skew| *skew > 500_000) && off.values().any(|skew| *skew < -500_000));
    }

    #[test]
    fn duplicates_are_in_the_next_batch_byte_for_byte() {
        let config = WorldConfig { duplicate_share: 0.1, bad_share: 0.01, ..WorldConfig::default() };
        let batches = batches(Framing::Stream, &config);
        let (mut duplicates, mut firsts) = (0, 0);
        for pair in batches.windows(2) {
            let (before, after) = (decode(&pair[0]), decode(&pair[1]));
            for (event, mark) in after.iter().zip(&pair[1].marks) {
                firsts += usize::from(!mark.is_duplicate());
                if mark.is_duplicate() {
                    let of = |one: &&Mark| (one.player, one.sequence) == (mark.player, mark.sequence);
                    let first = pair[0].marks.iter().position(|one| of(&one)).expect("the first copy");
                    assert!(!pair[0].marks[first].is_duplicate(), "no third copy");
                    assert_eq!(event, &before[first]);
                    assert_eq!(mark.lead_us(), pair[0].marks[first].lead_us());
                    duplicates += 1;
                }
            }
        }
        let share = f64::from(duplicates) / firsts as f64;
        assert!((0.07..0.13).contains(&share), "{share} of the events came twice");
    }
}
