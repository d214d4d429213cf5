//! Events as they come in, held against protobuf's and JSON's own readers.

use std::fmt;

use headgate_proto::record::{
    MeasuredRecord, RecordTail, SplitRecord, TimestampText, read_record, record_len, split_record, unpack_lines,
    write_record,
};
use headgate_proto::v1::{Event, PublishEventsRequest, StreamEventsRequest};
use prost::Message;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::reader::fields;
use crate::config::IngestSettings;
use crate::event::id;
use crate::event::json::{self, Fault, check_object};
use crate::event::member::{member, scalar, unescaped};
use crate::event::scan::{self, Envelope, Malformed, RawEvent};
use crate::event::validate::{Limits, validate};
use crate::fuzz::Input;

/// Events are found as protobuf's own reader finds them. What it takes and is refused here are groups; what it refuses
/// and is taken here is text that is not UTF-8, which is the validator's to find.
pub fn event_scan(data: &[u8]) {
    let publish = PublishEventsRequest::decode(data).map(|message| (0, message.events));
    same_events(data, Envelope::Publish, publish);
    let stream = StreamEventsRequest::decode(data).map(|message| (message.sequence, message.events));
    same_events(data, Envelope::Stream, stream);
    let _ = scan::leading_sequence(data);
}

fn same_events(data: &[u8], envelope: Envelope, theirs: Result<(u64, Vec<Event>), prost::DecodeError>) {
    let head = scan::head(data, envelope);
    let ours = head.and_then(|head| {
        let events = scan::events(data, envelope).map(scan::event).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(events.len(), head.events as usize, "all that are counted are found");
        Ok((head.sequence, events))
    });
    match (ours, theirs) {
        (Ok((sequence, ours)), Ok((expected, theirs))) => {
            assert_eq!((sequence, ours.len()), (expected, theirs.len()));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                same_event(ours, theirs);
            }
        }
        (Ok(_), Err(error)) => assert!(error.to_string().contains("UTF-8"), "{error}"),
        (Err(malformed), Ok(_)) => assert_eq!(malformed, Malformed::Tag, "only groups are refused"),
        (Err(_), Err(_)) => {}
    }
}

fn same_event(ours: &RawEvent<'_>, theirs: &Event) {
    let texts = [
        (ours.event_id, &theirs.event_id),
        (ours.event_type, &theirs.event_type),
        (ours.event_name, &theirs.event_name),
        (ours.event_version, &theirs.event_version),
        (ours.app_version, &theirs.app_version),
        (ours.partition_key, &theirs.partition_key),
    ];
    assert!(texts.iter().all(|(ours, theirs)| *ours == theirs.as_bytes()), "{ours:?} {theirs:?}");
    assert_eq!(ours.event_data, theirs.event_data);
    let time = ours.timestamp.map(|time| (time.seconds, time.nanos));
    assert_eq!(time, theirs.event_timestamp.as_ref().map(|time| (time.seconds, time.nanos)));
}

/// What the rules let pass is written as one line of JSON that holds what was sent, and reads back to it.
pub fn envelope(event: &[u8]) {
    let limits = Limits::from(&IngestSettings::default());
    let Ok(raw) = scan::event(event) else { return };
    let Ok(checked) = validate(&raw, &limits) else { return };
    let tail = RecordTail::new("4b0d5a3e-0000-4000-8000-000000000000", 1_700_000_000_123, "an-application");
    let id = id::text(checked.event_id.unwrap_or_default());
    let fields = fields(&raw, &checked, &id);
    let mut line = Vec::new();
    write_record(&mut line, &fields, &tail);
    assert_eq!(line.len(), record_len(&fields, &tail));
    assert_eq!(memchr::memchr_iter(b'\n', &line).collect::<Vec<_>>(), [line.len() - 1], "one line");
    let read = read_record(&line).expect("a stream record");
    assert!(read.validated);
    let event = &read.event;
    assert_eq!(event.event_id.as_bytes(), id);
    assert_eq!((event.event_type.as_bytes(), event.event_name.as_bytes()), (raw.event_type, raw.event_name));
    assert_eq!((event.seconds, event.nanos), (checked.seconds, checked.nanos));
    let optional = |text: Option<&str>, sent: &[u8]| text.unwrap_or_default().as_bytes() == sent;
    assert!(optional(event.event_version.as_deref(), raw.event_version));
    assert!(optional(event.app_version.as_deref(), raw.app_version));
    let data = event.event_data.map(RawValue::get).unwrap_or_default().as_bytes();
    let same = |(stored, sent): (&u8, &u8)| stored == sent || (*stored == b' ' && matches!(*sent, b'\n' | b'\r'));
    let sent = raw.event_data.trim_ascii();
    assert!(data.len() == sent.len() && data.iter().zip(sent).all(same), "event_data is as it was sent");
    let (mut packed, mut lines) = (Vec::new(), Vec::new());
    tail.pack(&mut packed);
    MeasuredRecord::new(&fields, &tail, &mut TimestampText::default()).pack(&mut packed);
    unpack_lines(&packed, &mut lines);
    let unpacked = read_record(&lines).expect("a stream record");
    assert_eq!(SplitRecord::from(&unpacked), SplitRecord::from(&read), "packed, it is the same");
    let text = std::str::from_utf8(&line[..line.len() - 1]).expect("UTF-8");
    match split_record(text) {
        Some(split) => assert_eq!(split, SplitRecord::from(&read)),
        // White space around the object, which the quick way leaves to the strict one.
        None => assert_ne!(raw.event_data, sent),
    }
}

/// Exactly the objects that RFC 8259 allows are taken, up to the depth; members are found as serde_json finds them.
pub fn json_object(data: &[u8]) {
    let mut input = Input::new(data);
    let max_depth = [1, 2, 5, 64, 512, 10_000][input.below(6)];
    let bytes = input.rest();
    let ours = check_object(bytes, max_depth);
    same_side_by_side(bytes, max_depth);
    let _ = member(bytes, "player_id").and_then(scalar).map(unescaped);
    let Ok(text) = std::str::from_utf8(bytes) else { return assert_eq!(ours, Err(Fault::NotUtf8)) };
    let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let is_object = text.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('{');
    match ours {
        Ok(object) => {
            assert!(theirs && is_object && depth(bytes) <= max_depth);
            assert_eq!(object.has_line_breaks, text.contains(['\n', '\r']));
            same_members(text);
        }
        Err(Fault::NotUtf8) => panic!("it is"),
        Err(Fault::NotAnObject) => assert!(!is_object),
        Err(Fault::TooDeep) => assert!(depth(bytes) > max_depth.min(json::MAX_DEPTH)),
        Err(Fault::Syntax { at }) => assert!(!theirs && at <= bytes.len(), "{at}"),
    }
}

/// What is taken together with another one is what is taken alone.
fn same_side_by_side(bytes: &[u8], max_depth: u32) {
    const OTHER: &[u8] = br#"{"at":[1,{"x":[]}],"said":"\"\u00e9\""}"#;
    let half = bytes.len() / 2;
    for (one, other) in [(bytes, OTHER), (OTHER, bytes), bytes.split_at(half)] {
        let alone = [one, other].map(|input| check_object(input, max_depth).ok());
        if let Some(objects) = json::accept_two(one, other, max_depth) {
            assert_eq!(alone, objects.map(Some));
        }
    }
}

/// How deep brackets are nested, quoted ones left out.
fn depth(json: &[u8]) -> u32 {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_u32, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn same_members(object: &str) {
    let mut names = Vec::new();
    // A name with half of a surrogate pair is none to serde_json.
    if serde_json::Deserializer::from_str(object).deserialize_map(Names(&mut names)).is_err() {
        return;
    }
    names.push("player_id".to_owned());
    for name in &names {
        let found = member(object.as_bytes(), name);
        let first = First(name).deserialize(&mut serde_json::Deserializer::from_str(object)).expect("an object");
        assert_eq!(found, first.map(|value| value.get().as_bytes()), "{name:?}");
        let Some(text) = found.and_then(scalar) else { continue };
        let unescaped = unescaped(text);
        if let Some(Ok(expected)) = first.map(|value| serde_json::from_str::<String>(value.get())) {
            assert_eq!(unescaped, expected.as_bytes());
        }
    }
}

struct Names<'n>(&'n mut Vec<String>);

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
            self.0.push(name);
        }
        Ok(())
    }
}

/// The first member of a name.
struct First<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for First<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for First<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut first = None;
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if name == self.0 && first.is_none() {
                first = Some(value);
            }
        }
        Ok(first)
    }
}
