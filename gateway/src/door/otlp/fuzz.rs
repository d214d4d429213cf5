//! OTLP's requests, held against protobuf's own reader.

use prost::Message;
use serde_json::Value;

use super::batch::{self, Batch, NAMELESS};
use super::json;
use super::model::{Any, AnyValue, LogRecord, Request};
use crate::config::IngestSettings;
use crate::event::json::check_object;
use crate::event::member::member;
use crate::event::scan::{self, Envelope, RawEvent};
use crate::event::validate::Limits;
use crate::fuzz::Input;

const SENDER: uuid::Uuid = uuid::Uuid::nil();

/// A request becomes the message that holds an event for each of its records, with the data that protobuf's own reader
/// finds in it, or is refused.
pub fn otlp_logs(data: &[u8]) {
    let mut input = Input::new(data);
    let is_json = input.byte() & 1 == 1;
    let max_depth = u32::from(input.byte() % 8) + 1;
    let bytes = input.rest();
    let limits = Limits { max_depth, ..Limits::from(&IngestSettings::default()) };
    let protobuf;
    let request = if is_json {
        let Ok(read) = json::to_protobuf(bytes) else { return };
        // Six bytes at most for each byte of JSON.
        assert!(read.len() <= 6 * bytes.len());
        assert!(Request::decode(read.as_slice()).is_ok(), "what is written is protobuf");
        protobuf = read;
        &protobuf
    } else {
        bytes
    };
    let batch = holds(request, limits);
    let Ok(theirs) = Request::decode(request) else { return };
    let scopes = || theirs.resource_logs.iter().flat_map(|resource_logs| &resource_logs.scope_logs);
    let records: Vec<&LogRecord> = scopes().flat_map(|scope_logs| &scope_logs.log_records).collect();
    assert!(batch.is_none_or(|batch| batch.events as usize == records.len()));
    // Each field once: pieces of one field are put together by protobuf's own reader, and here the last one counts.
    let once = theirs.encode_to_vec();
    let batch = holds(&once, limits).expect("a good request");
    let events = scan::events(&batch.message, Envelope::Publish).map(|event| scan::event(event).expect("an event"));
    for ((index, event), record) in (0_u32..).zip(events).zip(records) {
        if batch.flaws.iter().all(|flaw| flaw.index != index) {
            same_event(&event, record);
        }
    }
}

/// Reads a request and holds it to what is promised of every one.
fn holds(request: &[u8], limits: Limits) -> Option<Batch> {
    let mut outgrown = 0;
    let read = batch::read(request, SENDER, limits, usize::MAX, |grown| {
        outgrown += grown;
        Ok(())
    });
    let batch = match (read, batch::count(request)) {
        (Ok(batch), Ok(records)) => {
            assert_eq!(batch.events, records, "all that are counted are found");
            batch
        }
        (read, counted) => {
            assert_eq!(read.err(), counted.err());
            return None;
        }
    };
    assert!(batch.message.len() <= request.len() + outgrown);
    let head = scan::head(&batch.message, Envelope::Publish).expect("a message");
    assert_eq!(head.events, batch.events);
    assert!(batch.flaws.windows(2).all(|pair| pair[0].index < pair[1].index));
    assert!(batch.flaws.iter().all(|flaw| flaw.index < head.events));
    let mut flawed = batch.flaws.iter().peekable();
    for (index, bytes) in (0_u32..).zip(scan::events(&batch.message, Envelope::Publish)) {
        crate::ingest::fuzz::envelope(bytes);
        let data = scan::event(bytes).expect("an event").event_data;
        let is_flawed = flawed.next_if(|flaw| flaw.index == index).is_some_and(|flaw| flaw.invalid != NAMELESS);
        if is_flawed {
            assert!(check_object(data, limits.max_depth).is_err(), "a replay refuses what has lost something");
        } else if !data.is_empty() {
            check_object(data, limits.max_depth).expect("what is written is an object");
        }
    }
    Some(batch)
}

fn same_event(event: &RawEvent<'_>, record: &LogRecord) {
    if !record.event_name.is_empty() {
        assert_eq!(event.event_name, record.event_name.as_bytes());
    }
    // The first member of a name counts, as for the readers of the lake.
    let mut seen: Vec<&str> = Vec::new();
    for attribute in &record.attributes {
        let key = attribute.key.as_str();
        if matches!(key, "event.name" | "event.type") || key.starts_with("headgate.") || seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let value = member(event.event_data, key).unwrap_or_else(|| panic!("{key:?} is missing of {event:?}"));
        let value: Value = serde_json::from_slice(value).expect("JSON");
        assert!(is(&value, attribute.value.as_ref()), "{value} {attribute:?}");
    }
}

fn is(value: &Value, any: Option<&AnyValue>) -> bool {
    match any.and_then(|any| any.value.as_ref()) {
        None => value.is_null(),
        Some(Any::Text(text)) => value.as_str() == Some(text),
        Some(Any::Bool(bool)) => value.as_bool() == Some(*bool),
        Some(Any::Int(int)) => value.as_i64() == Some(*int),
        Some(Any::Double(double)) if double.is_finite() => value.as_f64() == Some(*double),
        Some(Any::Double(_) | Any::Bytes(_)) => value.is_string(),
        Some(Any::Array(_)) => value.is_array(),
        Some(Any::Map(_)) => value.is_object(),
    }
}
