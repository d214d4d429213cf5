//! One event of a REST batch: its fields as slices of the body, and what is wrong with them that protobuf can't show.

use std::borrow::Cow;
use std::fmt;

use headgate_proto::record::{TimestampError, parse_timestamp};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::door::event_message::{bytes_len, put_bytes, put_timestamp, timestamp_len};
use crate::event::validate::{Field, Invalid, Problem};

/// So much of the name of a field that events do not have is repeated to its sender.
const MAX_NAME_SHOWN: usize = 64;

/// An event's fields; empty where they were not sent or are of the wrong type.
#[derive(Default)]
pub(super) struct RestEvent<'a> {
    event_id: Cow<'a, str>,
    event_type: Cow<'a, str>,
    event_name: Cow<'a, str>,
    timestamp: Option<(i64, u32)>,
    event_version: Cow<'a, str>,
    app_version: Cow<'a, str>,
    event_data: &'a str,
    flaw: Option<Invalid>,
    unknown_field: Option<Box<str>>,
}

impl RestEvent<'_> {
    /// The first thing that is wrong with it, of those that protobuf can't show.
    pub(super) fn flaw(&self) -> Option<&Invalid> {
        self.flaw.as_ref()
    }

    /// The name of the field that is its flaw, where events have no such field.
    pub(super) fn unknown_field(&self) -> Option<&str> {
        self.unknown_field.as_deref()
    }

    /// Its length as `headgate.v1.Event`.
    pub(super) fn encoded_len(&self) -> usize {
        let texts = [&self.event_id, &self.event_type, &self.event_name, &self.event_version, &self.app_version];
        let texts: usize = texts.iter().map(|text| bytes_len(text.as_bytes())).sum();
        let timestamp = self.timestamp.map_or(0, timestamp_len);
        texts + timestamp + bytes_len(self.event_data.as_bytes())
    }

    /// Writes it as `headgate.v1.Event`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(1, self.event_id.as_bytes(), out);
        put_bytes(2, self.event_type.as_bytes(), out);
        put_bytes(3, self.event_name.as_bytes(), out);
        if let Some(timestamp) = self.timestamp {
            put_timestamp(timestamp, out);
        }
        put_bytes(5, self.event_version.as_bytes(), out);
        put_bytes(6, self.app_version.as_bytes(), out);
        put_bytes(7, self.event_data.as_bytes(), out);
    }

    fn note(&mut self, field: Field, problem: Problem) {
        if self.flaw.is_none() {
            self.flaw = Some(Invalid { field, problem });
        }
    }
}

impl<'a> RestEvent<'a> {
    fn set(&mut self, name: &Name, json: &'a str) {
        match name {
            Name::Known(Field::EventTimestamp) => self.timestamp = self.number(json),
            // Any JSON value: that it is to be an object is the validator's to say, as of every door.
            Name::Known(Field::EventData) => self.event_data = json,
            Name::Known(field) => {
                let text = self.text(*field, json);
                match field {
                    Field::EventId => self.event_id = text,
                    Field::EventType => self.event_type = text,
                    Field::EventName => self.event_name = text,
                    Field::EventVersion => self.event_version = text,
                    _ => self.app_version = text,
                }
            }
            Name::Unknown(name) => {
                if self.flaw.is_none() {
                    self.unknown_field = Some(name.clone());
                }
                self.note(Field::Event, Problem::UnknownField);
            }
        }
    }

    fn text(&mut self, field: Field, json: &'a str) -> Cow<'a, str> {
        let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            self.note(field, Problem::WrongType { expected: "a string" });
            return Cow::Borrowed("");
        };
        if inner.is_empty() {
            // Protobuf can't tell it from one that was not sent; AWS's schema can.
            self.note(field, Problem::Empty);
        }
        if !inner.contains('\\') {
            return Cow::Borrowed(inner);
        }
        match serde_json::from_str(json) {
            Ok(text) => Cow::Owned(text),
            // Half of a surrogate pair.
            Err(_) => {
                self.note(field, Problem::Charset);
                Cow::Borrowed("")
            }
        }
    }

    fn number(&mut self, json: &str) -> Option<(i64, u32)> {
        match parse_timestamp(json) {
            Ok(timestamp) => Some(timestamp),
            Err(TimestampError::NotANumber) => {
                self.note(Field::EventTimestamp, Problem::WrongType { expected: "a number of epoch seconds" });
                None
            }
            Err(TimestampError::OutOfRange) => {
                self.note(Field::EventTimestamp, Problem::TimestampRange);
                None
            }
        }
    }
}

impl<'de> de::Deserialize<'de> for RestEvent<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EventVisitor)
    }
}

/// Takes any JSON value, so that one that is no event does not end the batch.
struct EventVisitor;

impl EventVisitor {
    fn no_object<'de, E>() -> Result<RestEvent<'de>, E> {
        let mut event = RestEvent::default();
        event.note(Field::Event, Problem::WrongType { expected: "a JSON object" });
        Ok(event)
    }
}

impl<'de> Visitor<'de> for EventVisitor {
    type Value = RestEvent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RestEvent<'de>, A::Error> {
        let mut event = RestEvent::default();
        let mut has_id = false;
        while let Some(name) = map.next_key::<Name>()? {
            has_id |= matches!(name, Name::Known(Field::EventId));
            // Of a field that is sent twice the last counts, as in protobuf.
            event.set(&name, map.next_value::<&'de RawValue>()?.get());
        }
        // gRPC assigns an id to an event without one and says so in its answer. AWS's answer has no place for it.
        if !has_id {
            event.note(Field::EventId, Problem::Required);
        }
        Ok(event)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<RestEvent<'de>, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Self::no_object()
    }

    fn visit_bool<E>(self, _: bool) -> Result<RestEvent<'de>, E> {
        Self::no_object()
    }

    fn visit_i64<E>(self, _: i64) -> Result<RestEvent<'de>, E> {
        Self::no_object()
    }

    fn visit_u64<E>(self, _: u64) -> Result<RestEvent<'de>, E> {
        Self::no_object()
    }

    fn visit_f64<E>(self, _: f64) -> Result<RestEvent<'de>, E> {
        Self::no_object()
    }

    fn visit_str<E>(self, _: &str) -> Result<RestEvent<'de>, E> {
        Self::no_object()
    }

    fn visit_unit<E>(self) -> Result<RestEvent<'de>, E> {
        Self::no_object()
    }
}

/// A field's name.
enum Name {
    Known(Field),
    Unknown(Box<str>),
}

impl<'de> de::Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                let field = match name {
                    "event_id" => Field::EventId,
                    "event_type" => Field::EventType,
                    "event_name" => Field::EventName,
                    "event_timestamp" => Field::EventTimestamp,
                    "event_version" => Field::EventVersion,
                    "app_version" => Field::AppVersion,
                    "event_data" => Field::EventData,
                    _ => return Ok(Name::Unknown(name.chars().take(MAX_NAME_SHOWN).collect())),
                };
                Ok(Name::Known(field))
            }
        }

        deserializer.deserialize_identifier(NameVisitor)
    }
}
