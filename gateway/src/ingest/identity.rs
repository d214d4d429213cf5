//! Hashes the ids of people in a batch, before anything else looks at it: schemas, the lake, streams, bad rows and the live
//! pages only ever see hashes. A batch of an application that has nothing hashed does not come here.
//!
//! The batch is written anew, event by event. An event that breaks a rule keeps its verdict, but of what can't be read
//! nothing is kept but that it was there: where `event_data` is no JSON object, nobody can tell which of its bytes are an id.

use std::collections::HashSet;

use bytes::Bytes;

use crate::event::json::check_object;
use crate::event::member::{members, scalar, unescaped};
use crate::event::scan::{self, Envelope, RawEvent, Timestamp};
use crate::event::validate::{Flaw, Invalid, Limits, validate};
use crate::registry::{Hasher, Identity, IdentityField, generation_of_hash};

/// Of an object in the place of a device, the member that is an id.
const DEVICE_ID: &str = "id";
/// What takes the place of `event_data` that can't be read: no JSON, so that the event is rejected again, and not accepted
/// without its data, when somebody sends it again out of the bad rows.
const UNREADABLE: &[u8] = b"not kept: it could not be read, so no id in it could be hashed";
/// What takes the place of an object or an array where an id belongs: nobody can tell whose it is.
const NO_ID: &[u8] = b"null";

/// How one application's ids are hashed.
#[derive(Debug)]
pub(super) struct Hashing {
    fields: Vec<IdentityField>,
    hasher: Hasher,
}

/// Suppressed players who are known by a hash alone, and what finds them.
#[derive(Debug, Default)]
pub(super) struct Watched(Vec<Hasher>);

/// A batch whose ids are hashed.
pub(super) struct Hashed {
    /// The message.
    pub(super) message: Bytes,
    /// What is wrong with which of its events, by ascending index: as it was before.
    pub(super) flaws: Vec<Flaw>,
}

impl Watched {
    /// What is needed to know those of `suppressed` who are known by a hash of one of these secrets.
    pub(super) fn new(identity: &Identity, suppressed: &HashSet<Box<[u8]>>) -> Self {
        let generations: HashSet<u32> = suppressed.iter().filter_map(|player| generation_of_hash(player)).collect();
        let secrets = identity.secrets.iter().filter(|secret| generations.contains(&secret.generation()));
        Self(secrets.map(|secret| secret.hasher()).collect())
    }

    /// The hash by which this player is suppressed.
    pub(super) fn hash_of(&self, player: &[u8], suppressed: &HashSet<Box<[u8]>>) -> Option<String> {
        self.0.iter().map(|hasher| hasher.hash(player)).find(|hash| suppressed.contains(hash.as_bytes()))
    }
}

impl Hashing {
    /// `None`: nothing is hashed.
    pub(super) fn new(identity: &Identity) -> Option<Self> {
        Some(Self { fields: identity.fields.clone(), hasher: identity.hasher()? })
    }

    /// A batch with hashes in the place of ids. `suppressed_as` knows players who are suppressed by another hash than that
    /// of today: they get that one, so that they are known further on.
    pub(super) fn batch(
        &self,
        message: &[u8],
        envelope: Envelope,
        flaws: &[Flaw],
        limits: &Limits,
        suppressed_as: impl Fn(&[u8]) -> Option<String>,
    ) -> Hashed {
        let mut hashed = Hashed { message: Bytes::new(), flaws: Vec::new() };
        let mut out = Vec::with_capacity(message.len() + message.len() / 4);
        let (mut event_bytes, mut data) = (Vec::new(), Vec::new());
        for (index, bytes) in (0_u32..).zip(scan::events(message, envelope)) {
            event_bytes.clear();
            data.clear();
            let scanned = scan::event(bytes);
            if let Some(invalid) = flaw(index, flaws, scanned.as_ref(), limits) {
                hashed.flaws.push(Flaw { index, invalid });
            }
            if let Ok(event) = scanned {
                let is_readable =
                    event.event_data.is_empty() || check_object(event.event_data, limits.max_depth).is_ok();
                if is_readable {
                    self.data(event.event_data, &suppressed_as, &mut data);
                } else {
                    data.extend_from_slice(UNREADABLE);
                }
                let partition_key = self.partition_key(event.partition_key);
                encode(&RawEvent { event_data: &data, partition_key: &partition_key, ..event }, &mut event_bytes);
            }
            push_bytes(&mut out, envelope.events_field().into(), &event_bytes);
        }
        hashed.message = out.into();
        hashed
    }

    /// Often the player's id, or the session's: nobody can tell, so it is hashed whatever else is. It is not stored, but a
    /// bad row has it; equal keys stay equal.
    fn partition_key(&self, key: &[u8]) -> Vec<u8> {
        if key.is_empty() || generation_of_hash(key).is_some() {
            return key.to_vec();
        }
        self.hasher.hash(key).into_bytes()
    }

    /// Appends `object`, which is one or empty, with hashes in the place of ids.
    fn data(&self, object: &[u8], suppressed_as: &impl Fn(&[u8]) -> Option<String>, out: &mut Vec<u8>) {
        let replaced = members(object).filter_map(|(key, value)| {
            let name = unescaped(key);
            let covers = |field: &IdentityField| field.members().iter().any(|member| member.as_bytes() == name);
            let field = *self.fields.iter().find(|field| covers(field))?;
            let in_its_place = match field {
                IdentityField::PlayerId => self.in_place_of(value, suppressed_as),
                IdentityField::SessionId => self.in_place_of(value, &|_: &[u8]| None),
                IdentityField::Device if value.starts_with(b"{") => Some(self.device(value)),
                IdentityField::Device => self.in_place_of(value, &|_: &[u8]| None),
            };
            Some((value, in_its_place?))
        });
        splice(object, replaced, out);
    }

    fn device(&self, object: &[u8]) -> Vec<u8> {
        let ids = members(object).filter(|(key, _)| unescaped(key) == DEVICE_ID.as_bytes());
        let mut out = Vec::with_capacity(object.len() + 32);
        splice(object, ids.filter_map(|(_, value)| Some((value, self.in_place_of(value, &|_| None)?))), &mut out);
        out
    }

    /// `None`: it stays, since it tells of nobody, or is a hash already.
    fn in_place_of(&self, value: &[u8], suppressed_as: &impl Fn(&[u8]) -> Option<String>) -> Option<Vec<u8>> {
        if value.starts_with(b"{") || value.starts_with(b"[") {
            return Some(NO_ID.to_vec());
        }
        let is_id =
            value.starts_with(b"\"") || value.starts_with(b"-") || value.first().is_some_and(u8::is_ascii_digit);
        let id = unescaped(scalar(value).filter(|text| is_id && !text.is_empty())?);
        if generation_of_hash(&id).is_some() {
            return None;
        }
        let hash = suppressed_as(&id).unwrap_or_else(|| self.hasher.hash(&id));
        Some(format!("\"{hash}\"").into_bytes())
    }
}

/// What is wrong with an event, as it would have been found in the batch as it came.
fn flaw(
    index: u32,
    flaws: &[Flaw],
    scanned: Result<&RawEvent<'_>, &scan::Malformed>,
    limits: &Limits,
) -> Option<Invalid> {
    if let Ok(place) = flaws.binary_search_by_key(&index, |flaw| flaw.index) {
        return Some(flaws[place].invalid.clone());
    }
    match scanned {
        Ok(event) => validate(event, limits).err(),
        Err(malformed) => Some((*malformed).into()),
    }
}

/// Appends `text` with something else in the place of some of its pieces, which come in their order.
fn splice<'a>(text: &'a [u8], replaced: impl Iterator<Item = (&'a [u8], Vec<u8>)>, out: &mut Vec<u8>) {
    let mut done = 0;
    for (piece, in_its_place) in replaced {
        let start = piece.as_ptr() as usize - text.as_ptr() as usize;
        out.extend_from_slice(&text[done..start]);
        out.extend_from_slice(&in_its_place);
        done = start + piece.len();
    }
    out.extend_from_slice(&text[done..]);
}

/// `headgate.v1.Event`, its id first as every standard serializer has it.
fn encode(event: &RawEvent<'_>, out: &mut Vec<u8>) {
    for (number, bytes) in [(1, event.event_id), (2, event.event_type), (3, event.event_name)] {
        push_field(out, number, bytes);
    }
    if let Some(Timestamp { seconds, nanos }) = event.timestamp {
        let mut timestamp = Vec::with_capacity(22);
        // A negative number takes ten bytes, also one of 32 bits.
        for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
            push_varint(&mut timestamp, number << 3);
            push_varint(&mut timestamp, value.cast_unsigned());
        }
        push_bytes(out, 4, &timestamp);
    }
    for (number, bytes) in
        [(5, event.event_version), (6, event.app_version), (7, event.event_data), (8, event.partition_key)]
    {
        push_field(out, number, bytes);
    }
}

/// Nothing where there is nothing, as proto3 has it.
fn push_field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    if !bytes.is_empty() {
        push_bytes(out, number, bytes);
    }
}

fn push_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    push_varint(out, number << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the lowest seven bits")]
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 128")]
    out.push(number as u8);
}

#[cfg(test)]
mod tests;
