//! A stream record, read as leniently as the AWS solution does: whatever is a JSON object with an `application_id` and an
//! `event` is one. Whether it keeps the rules is another question.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members as they stand in it, in their order.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object; `None` for anything else.
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    /// A member's value. Of a name that comes twice the first one counts, as for the gateway and the readers of the lake.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                // serde borrows a `Cow` only as a field that says so.
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut members = Vec::new();
                while let Some((name, value)) = object.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A stream record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Everything in it.
    pub(crate) all: Members<'a>,
    /// Whose it is, as it stands there.
    pub(crate) application_id: &'a RawValue,
    /// The event.
    pub(crate) event: Members<'a>,
}

/// Why a line is no stream record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("is not UTF-8")]
    NotUtf8,
    #[error("is not a JSON object")]
    NotAnObject,
    #[error("has no application_id")]
    NoApplication,
    #[error("has no event, or one that is not an object")]
    NoEvent,
}

/// Reads a line.
pub(crate) fn read(line: &[u8]) -> Result<Record<'_>, Unreadable> {
    let line = std::str::from_utf8(line).map_err(|_| Unreadable::NotUtf8)?;
    let all: Members<'_> = serde_json::from_str(line).map_err(|_| Unreadable::NotAnObject)?;
    let application_id = all.get("application_id").ok_or(Unreadable::NoApplication)?;
    let event = all.get("event").and_then(Members::of).ok_or(Unreadable::NoEvent)?;
    Ok(Record { all, application_id, event })
}

/// A string's characters; `None` for other values, and for a string with half a surrogate pair.
pub(crate) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value.get()).ok().map(|text| text.0)
}

/// Any value as text: a string's characters, anything else as it stands there.
pub(crate) fn text(value: &RawValue) -> Cow<'_, str> {
    string(value).unwrap_or(Cow::Borrowed(value.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_whatever_else_it_holds() {
        let line =
            br#"{"x":[1,{"event":0}],"event":{"event_id":"a\u0062","n":1,"event_id":"second"},"application_id":7}"#;
        let record = read(line).expect("a record");
        assert_eq!(text(record.application_id), "7");
        assert_eq!(record.event.get("event_id").map(text).as_deref(), Some("ab"));
        assert_eq!(record.event.get("n").and_then(string), None);
        assert_eq!(record.all.names().collect::<Vec<_>>(), ["x", "event", "application_id"]);
    }

    #[test]
    fn what_is_no_record_says_why() {
        let cases: [(&[u8], Unreadable); 8] = [
            (b"\xff", Unreadable::NotUtf8),
            (b"", Unreadable::NotAnObject),
            (b"[]", Unreadable::NotAnObject),
            (br#"{"application_id":"a","event":{}"#, Unreadable::NotAnObject),
            (br#"{"application_id":"a","event":{}} {}"#, Unreadable::NotAnObject),
            (br#"{"event":{}}"#, Unreadable::NoApplication),
            (br#"{"application_id":"a"}"#, Unreadable::NoEvent),
            (br#"{"application_id":"a","event":"{}"}"#, Unreadable::NoEvent),
        ];
        for (line, expected) in cases {
            assert_eq!(read(line).err(), Some(expected), "{}", String::from_utf8_lossy(line));
        }
    }
}
