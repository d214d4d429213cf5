//! Reads the protobuf wire format in place: finds a batch's events and an event's fields as slices of the message.
//!
//! Rules of the wire format: <https://protobuf.dev/programming-guides/encoding/>. Unknown fields are skipped, the last of
//! a repeated singular field wins, a timestamp sent in pieces is merged. Groups, which proto3 does not have, are refused.

use std::fmt;

use crate::prefetch;

/// Why bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A varint runs past the end or past ten bytes.
    Varint,
    /// A field's length runs past the end.
    Length,
    /// A wire type that does not exist, a group, or a field number of 0.
    Tag,
    /// A known field with another field's wire type.
    WireType,
}

impl Malformed {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Varint => "a varint runs past the end of the message or is too long",
            Self::Length => "a field's length runs past the end of the message",
            Self::Tag => "a field has an invalid tag",
            Self::WireType => "a field has the wire type of another kind of field",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which message a batch came in; they number their fields differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `PublishEventsRequest`: events = 1.
    Publish,
    /// `StreamEventsRequest`: sequence = 1, events = 2.
    Stream,
}

impl Envelope {
    pub(crate) const fn events_field(self) -> u8 {
        match self {
            Self::Publish => 1,
            Self::Stream => 2,
        }
    }
}

/// `StreamEventsRequest.sequence`, a varint.
const SEQUENCE_TAG: u64 = 1 << 3;
/// `StreamEventsRequest.events`, of a length.
const EVENTS_TAG: u64 = 2 << 3 | 2;

/// What a batch holds, known before its events are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The client's sequence; 0 in a `PublishEventsRequest`.
    pub sequence: u64,
    /// How many events.
    pub events: u32,
}

/// How far ahead of the walk over a message's top level, in bytes, its memory is asked for. The kernel wrote it a moment
/// ago, and not into this core's nearest cache: the walk would wait for each event's first bytes, and so would whatever
/// reads the events after it.
const AHEAD: usize = 1024;
/// Of an event larger than that no more is asked for: the processor sees by itself that it is read from end to end.
const AHEAD_OF_ONE: usize = 512;

/// Walks a message's top level once.
///
/// # Errors
/// [`Malformed`] with what was wrong.
pub fn head(message: &[u8], envelope: Envelope) -> Result<Head, Malformed> {
    let mut head = Head::default();
    let mut fields = Fields { rest: message };
    let events_field = envelope.events_field();
    prefetch::bytes::<AHEAD>(message);
    loop {
        let mut event: &[u8] = &[];
        while fields.take_next(events_field, &mut event) {
            head.events = head.events.saturating_add(1);
            let ahead = fields.rest.get(AHEAD..).unwrap_or_default();
            prefetch::bytes::<AHEAD_OF_ONE>(&ahead[..event.len().min(ahead.len())]);
        }
        let Some((number, value)) = fields.next_field()? else { return Ok(head) };
        match (number, value) {
            // One whose length takes more bytes than most do.
            (number, Value::Bytes(_)) if number == u64::from(events_field) => {
                head.events = head.events.saturating_add(1)
            }
            (number, _) if number == u64::from(events_field) => return Err(Malformed::WireType),
            (1, Value::Varint(sequence)) => head.sequence = sequence,
            (1, _) => return Err(Malformed::WireType),
            _ => {}
        }
    }
}

/// The sequence from the first bytes of a `StreamEventsRequest` of which the rest was not read; `None` where the message
/// does not begin with it.
#[must_use]
pub fn leading_sequence(start: &[u8]) -> Option<u64> {
    let mut fields = Fields { rest: start };
    match fields.varint().ok()? {
        SEQUENCE_TAG => fields.varint().ok(),
        // proto3 does not write a zero: a message that begins with its events has sequence 0.
        EVENTS_TAG => Some(0),
        _ => None,
    }
}

/// The events of a message whose [`head`] was read, as slices.
pub fn events(message: &[u8], envelope: Envelope) -> impl Iterator<Item = &[u8]> {
    let mut fields = Fields { rest: message };
    let events_field = envelope.events_field();
    std::iter::from_fn(move || {
        let mut event: &[u8] = &[];
        if fields.take_next(events_field, &mut event) {
            return Some(event);
        }
        loop {
            match fields.next_field() {
                Ok(Some((number, Value::Bytes(event)))) if number == u64::from(events_field) => return Some(event),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    })
}

/// An event's fields where they lie in the message. Nothing is checked but the wire format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// Field 1.
    pub event_id: &'a [u8],
    /// Field 2.
    pub event_type: &'a [u8],
    /// Field 3.
    pub event_name: &'a [u8],
    /// Field 4.
    pub timestamp: Option<Timestamp>,
    /// Field 5.
    pub event_version: &'a [u8],
    /// Field 6.
    pub app_version: &'a [u8],
    /// Field 7.
    pub event_data: &'a [u8],
    /// Field 8.
    pub partition_key: &'a [u8],
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Nanoseconds beyond them.
    pub nanos: i32,
}

/// Finds an event's fields.
///
/// # Errors
/// [`Malformed`] with what was wrong.
#[inline]
pub fn event(bytes: &[u8]) -> Result<RawEvent<'_>, Malformed> {
    let mut event = RawEvent::default();
    event_into(bytes, &mut event).map(|()| event)
}

/// The same, into a place of the caller's: an event has too many fields to be moved about.
///
/// # Errors
/// As [`event`]; what was found before the fault is in its place.
#[inline]
pub fn event_into<'a>(bytes: &'a [u8], event: &mut RawEvent<'a>) -> Result<(), Malformed> {
    *event = RawEvent::default();
    let mut fields = Fields { rest: bytes };
    // As every standard serializer writes them: each once, in the order of their numbers.
    for (number, slot) in [(1, &mut event.event_id), (2, &mut event.event_type), (3, &mut event.event_name)] {
        fields.take_next(number, slot);
    }
    let mut timestamp: &[u8] = &[];
    if fields.take_next(4, &mut timestamp) {
        match usual_timestamp(timestamp) {
            Some(usual) => event.timestamp = Some(usual),
            None => merge_timestamp(event.timestamp.get_or_insert_default(), timestamp)?,
        }
    }
    for (number, slot) in [
        (5, &mut event.event_version),
        (6, &mut event.app_version),
        (7, &mut event.event_data),
        (8, &mut event.partition_key),
    ] {
        fields.take_next(number, slot);
    }
    if fields.rest.is_empty() { Ok(()) } else { rest_of(fields, event) }
}

/// Whatever else a message may hold, in whatever order.
fn rest_of<'a>(mut fields: Fields<'a>, event: &mut RawEvent<'a>) -> Result<(), Malformed> {
    while let Some((number, value)) = fields.next_field()? {
        let slot = match number {
            1 => &mut event.event_id,
            2 => &mut event.event_type,
            3 => &mut event.event_name,
            4 => {
                let Value::Bytes(timestamp) = value else { return Err(Malformed::WireType) };
                merge_timestamp(event.timestamp.get_or_insert_default(), timestamp)?;
                continue;
            }
            5 => &mut event.event_version,
            6 => &mut event.app_version,
            7 => &mut event.event_data,
            8 => &mut event.partition_key,
            _ => continue,
        };
        let Value::Bytes(bytes) = value else { return Err(Malformed::WireType) };
        *slot = bytes;
    }
    Ok(())
}

/// A timestamp as serializers write it: seconds, then nanoseconds, and together more than eight bytes.
#[inline(always)]
fn usual_timestamp(bytes: &[u8]) -> Option<Timestamp> {
    const SECONDS_TAG: u8 = 1 << 3;
    const NANOS_TAG: u8 = 2 << 3;
    let [SECONDS_TAG, rest @ ..] = bytes else { return None };
    let (seconds, length) = short_varint(u64::from_le_bytes(*rest.first_chunk()?))?;
    let [NANOS_TAG, rest @ ..] = rest.get(length..)? else { return None };
    // The last eight bytes, without those that are before the nanoseconds.
    let before = 8_usize.checked_sub(rest.len()).filter(|before| *before < 8)?;
    let word = u64::from_le_bytes(*bytes.last_chunk()?) >> (8 * before);
    let (nanos, length) = short_varint(word)?;
    // As of an int32 that is sent as a varint of 64 bits, the low 32 count.
    #[allow(clippy::cast_possible_truncation)]
    let nanos = nanos as i32;
    (length == rest.len()).then_some(Timestamp { seconds: seconds.cast_signed(), nanos })
}

/// The varint that a word begins with, and how many bytes it has; `None`: more than eight.
#[inline(always)]
fn short_varint(word: u64) -> Option<(u64, usize)> {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let ends = !word & !LOW;
    if ends == 0 {
        return None;
    }
    let bits = ends.trailing_zeros() + 1;
    // The low seven bits of each byte are moved together: pairs, then fours, then all.
    let word = word & LOW & (u64::MAX >> (64 - bits));
    let word = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let word = (word & 0x0000_3fff_0000_3fff) | (word & 0x3fff_0000_3fff_0000) >> 2;
    let word = (word & 0x0000_0000_0fff_ffff) | (word & 0x0fff_ffff_0000_0000) >> 4;
    Some((word, (bits / 8) as usize))
}

fn merge_timestamp(timestamp: &mut Timestamp, bytes: &[u8]) -> Result<(), Malformed> {
    let mut fields = Fields { rest: bytes };
    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Varint(seconds)) => timestamp.seconds = seconds.cast_signed(),
            // An int32 is sent as a sign-extended 64-bit varint; decoders keep the low 32 bits.
            #[allow(clippy::cast_possible_truncation)]
            (2, Value::Varint(nanos)) => timestamp.nanos = nanos as i32,
            (1 | 2, _) => return Err(Malformed::WireType),
            _ => {}
        }
    }
    Ok(())
}

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn next_field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        // Field numbers have 29 bits.
        if number == 0 || number >= 1 << 29 {
            return Err(Malformed::Tag);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Length)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => self.skip(4)?,
            _ => return Err(Malformed::Tag),
        };
        Ok(Some((number, value)))
    }

    fn skip(&mut self, length: usize) -> Result<Value<'a>, Malformed> {
        self.rest = self.rest.get(length..).ok_or(Malformed::Length)?;
        Ok(Value::Fixed)
    }

    /// Takes the field of this number, below 16, if it comes next, is one of bytes, and its length is no longer than two
    /// bytes. Whether it did.
    #[inline(always)]
    fn take_next(&mut self, number: u8, slot: &mut &'a [u8]) -> bool {
        let [tag, low, rest @ ..] = self.rest else { return false };
        if *tag != number << 3 | 2 {
            return false;
        }
        let (length, rest) = match rest {
            rest if *low < 0x80 => (usize::from(*low), rest),
            [high, rest @ ..] if *high < 0x80 => (usize::from(*low & 0x7f) | usize::from(*high) << 7, rest),
            _ => return false,
        };
        let Some((bytes, rest)) = rest.split_at_checked(length) else { return false };
        (*slot, self.rest) = (bytes, rest);
        true
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        if let Some(chunk) = self.rest.first_chunk()
            && let Some((value, length)) = short_varint(u64::from_le_bytes(*chunk))
        {
            self.rest = &self.rest[length..];
            return Ok(value);
        }
        let mut value = 0_u64;
        for (position, byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte holds one bit of 64; more would be lost.
            if position == 9 && *byte > 1 {
                return Err(Malformed::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::Varint)
    }
}

#[cfg(test)]
mod tests;
