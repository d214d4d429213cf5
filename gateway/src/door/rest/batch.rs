//! A REST batch, `{"events":[…]}`, as the protobuf message that every batch travels in from there on.
//!
//! One pass over the body. It costs a copy, for which REST has one way of being read, checked and written with gRPC.
//! `event_data` is copied byte for byte. What protobuf can't show of an event (a field of the wrong type, one that events
//! do not have) is noted beside it as a [`Flaw`]; everything else is the validator's to find.

mod event;

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::event::RestEvent;
use crate::door::event_message::begin_event;
use crate::event::validate::Flaw;

/// A batch that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// A `PublishEventsRequest`: every event that the body holds, in its order, as far as it goes.
    pub message: Vec<u8>,
    /// How many events the body holds. Those past the limit are counted and not written.
    pub events: u32,
    /// Events that can't be taken as they are, by ascending index.
    pub flaws: Vec<Flaw>,
    /// The name of the field that the first event with such a one should not have.
    pub unknown_field: Option<(u32, String)>,
}

/// Reads a body. At most `max_events` are written.
///
/// # Errors
/// If it is no JSON (RFC 8259) or not of this shape; the error says where.
pub fn read(body: &str, max_events: u32) -> Result<Batch, serde_json::Error> {
    // Telemetry in JSON is a little longer than in protobuf.
    let mut batch = Batch { message: Vec::with_capacity(body.len()), ..Batch::default() };
    let mut json = serde_json::Deserializer::from_str(body);
    Body { batch: &mut batch, max_events }.deserialize(&mut json)?;
    json.end()?;
    Ok(batch)
}

/// What is said of a string in a wrong place: not what it holds, which may be as long as the body.
const A_STRING: de::Unexpected<'static> = de::Unexpected::Other("a string");

/// The body's one object. Other members than `events` are passed over, as AWS's own schema does.
struct Body<'a> {
    batch: &'a mut Batch,
    max_events: u32,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an array `events`")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(A_STRING, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(member) = map.next_key::<Member>()? {
            match member {
                Member::Events => {
                    found = true;
                    // Of a member that is sent twice the last counts.
                    let message = std::mem::take(&mut self.batch.message);
                    *self.batch = Batch { message, ..Batch::default() };
                    self.batch.message.clear();
                    map.next_value_seed(Events { batch: self.batch, max_events: self.max_events })?;
                }
                Member::Other => {
                    let _ = map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if found { Ok(()) } else { Err(de::Error::missing_field("events")) }
    }
}

enum Member {
    Events,
    Other,
}

impl<'de> de::Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Member, E> {
                Ok(if name == "events" { Member::Events } else { Member::Other })
            }
        }

        deserializer.deserialize_identifier(Name)
    }
}

struct Events<'a> {
    batch: &'a mut Batch,
    max_events: u32,
}

impl<'de> DeserializeSeed<'de> for Events<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Events<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(A_STRING, &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        while self.batch.events < self.max_events {
            let Some(event) = events.next_element::<RestEvent<'de>>()? else { return Ok(()) };
            self.batch.put(&event);
        }
        while events.next_element::<IgnoredAny>()?.is_some() {
            self.batch.events = self.batch.events.saturating_add(1);
        }
        Ok(())
    }
}

impl Batch {
    fn put(&mut self, event: &RestEvent<'_>) {
        let index = self.events;
        self.events += 1;
        begin_event(event.encoded_len(), &mut self.message);
        event.encode(&mut self.message);
        if let Some(invalid) = event.flaw() {
            self.flaws.push(Flaw { index, invalid: invalid.clone() });
            if self.unknown_field.is_none()
                && let Some(name) = event.unknown_field()
            {
                self.unknown_field = Some((index, name.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
