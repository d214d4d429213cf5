//! Encoded events, ready to be sent, and sent again.
//!
//! A batch is the encoded `repeated Event events` of a request, plus where each event ends and whose it is: that is what
//! sending single events of it again needs. Before the events there is room for what a message begins with, so that
//! nothing is copied to send it: the gRPC frame's prefix (a zero for "not compressed" and the length in four bytes), and
//! of a stream's request the sequence, which is another one each time that it is sent.

use bytes::{Bytes, BytesMut};

/// Room for the frame's prefix, the key of the sequence, and the longest varint.
pub(super) const HEAD: usize = PREFIX + 1 + 10;
const PREFIX: usize = 5;
/// Field 1, a varint: `StreamEventsRequest.sequence`.
const SEQUENCE_KEY: u8 = 1 << 3;

/// One event of a batch: whose step it is, where its encoding ends, and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) player: u32,
    pub(crate) sequence: u32,
    pub(crate) end: u32,
    /// The lead in microseconds, and in the top bit whether it is a duplicate.
    lead: u32,
}

const DUPLICATE: u32 = 1 << 31;

impl Mark {
    /// The first copy of an event; see [`Self::lead_us`], which ends at 35 minutes.
    pub(crate) fn new(player: u32, sequence: u32, end: u32, lead_us: u32) -> Self {
        Self { player, sequence, end, lead: lead_us.min(DUPLICATE - 1) }
    }

    /// By how many microseconds the event happened before the instant at which its batch was to leave. Of a duplicate,
    /// it is that of the first copy, whose batch left earlier.
    pub(crate) fn lead_us(self) -> u32 {
        self.lead & !DUPLICATE
    }

    /// The same event once more.
    pub(super) fn again(self) -> Self {
        Self { lead: self.lead | DUPLICATE, ..self }
    }

    /// Whether this is the second copy of an event, byte for byte the first one.
    pub(crate) fn is_duplicate(self) -> bool {
        self.lead & DUPLICATE != 0
    }
}

/// Encoded events.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The events behind [`HEAD`] bytes of room.
    bytes: Bytes,
    pub(crate) marks: Vec<Mark>,
}

/// An empty buffer for a batch of about so many bytes.
pub(super) fn room(bytes: usize) -> BytesMut {
    let mut room = BytesMut::with_capacity(HEAD + bytes);
    room.resize(HEAD, 0);
    room
}

impl Batch {
    /// `bytes` came from [`room`].
    pub(super) fn new(bytes: BytesMut, marks: Vec<Mark>) -> Self {
        Self { bytes: bytes.freeze(), marks }
    }

    /// A batch of these encoded events.
    pub(crate) fn of(events: &[u8], marks: Vec<Mark>) -> Self {
        let mut bytes = room(events.len());
        bytes.extend_from_slice(events);
        Self::new(bytes, marks)
    }

    pub(crate) fn events(&self) -> usize {
        self.marks.len()
    }

    /// The events as they are encoded.
    pub(crate) fn events_bytes(&self) -> &[u8] {
        // A batch of nothing may have no room either.
        self.bytes.get(HEAD..).unwrap_or_default()
    }

    /// The whole gRPC frame of the request: of a stream's with its sequence, of a unary one without. Copies the events
    /// only while a frame of an earlier call is still held by somebody.
    pub(crate) fn frame(&mut self, sequence: Option<u64>) -> Bytes {
        let mut bytes =
            std::mem::take(&mut self.bytes).try_into_mut().unwrap_or_else(|held| BytesMut::from(held.as_ref()));
        let mut start = HEAD;
        let mut write_before = |piece: &[u8]| {
            start -= piece.len();
            bytes[start..start + piece.len()].copy_from_slice(piece);
        };
        if let Some(sequence) = sequence {
            let (varint, len) = varint(sequence);
            write_before(&varint[..len]);
            write_before(&[SEQUENCE_KEY]);
        }
        let message = bytes.len() - start;
        let start = start - PREFIX;
        bytes[start] = 0;
        bytes[start + 1..start + PREFIX].copy_from_slice(&(message as u32).to_be_bytes());
        self.bytes = bytes.freeze();
        self.bytes.slice(start..)
    }

    /// The batch of the events at these ascending places, with their bytes unchanged.
    pub(crate) fn select(&self, places: &[u32]) -> Self {
        let start = |place: usize| if place == 0 { 0 } else { self.marks[place - 1].end as usize };
        let events = self.events_bytes();
        let mut bytes = room(0);
        let mut marks = Vec::with_capacity(places.len());
        for &place in places {
            let place = place as usize;
            let mark = self.marks[place];
            bytes.extend_from_slice(&events[start(place)..mark.end as usize]);
            marks.push(Mark { end: (bytes.len() - HEAD) as u32, ..mark });
        }
        Self::new(bytes, marks)
    }
}

fn varint(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    (bytes, len + 1)
}

#[cfg(test)]
mod tests {
    use headgate_proto::v1::{PublishEventsRequest, StreamEventsRequest};
    use prost::Message;

    use super::*;

    /// Two empty events of the field with this key.
    fn batch(key: u8) -> Batch {
        Batch::of(&[key, 0, key, 0], vec![Mark::new(1, 0, 2, 0), Mark::new(1, 1, 4, 0)])
    }

    fn message(frame: &[u8]) -> &[u8] {
        assert_eq!(frame[0], 0, "not compressed");
        assert_eq!(u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize, frame.len() - PREFIX);
        &frame[PREFIX..]
    }

    #[test]
    fn a_frame_holds_the_sequence_of_each_sending_and_always_the_same_events() {
        let mut batch = batch(0x12);
        let mut held = Vec::new();
        for sequence in [1, 127, 128, 70_000, u64::MAX] {
            let frame = batch.frame(Some(sequence));
            let request = StreamEventsRequest::decode(message(&frame)).expect("a request");
            assert_eq!((request.sequence, request.events.len()), (sequence, 2));
            held.push((frame.to_vec(), frame));
        }
        assert!(held.iter().all(|(then, now)| then == now), "a frame changed under whoever held it");
    }

    #[test]
    fn a_unary_frame_has_no_sequence() {
        let mut batch = batch(0x0a);
        let frame = batch.frame(None);
        assert_eq!(PublishEventsRequest::decode(message(&frame)).expect("a request").events.len(), 2);
        assert_eq!(message(&frame), batch.events_bytes());
    }
}
