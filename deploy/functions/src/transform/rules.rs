//! The rules of the AWS solution's event schema, as the gateway holds events to them: what comes through the gateway keeps
//! them, and what other producers put into the stream may not.
//!
//! An event that breaks one still becomes a row, whose metadata says `schema_mismatch` and where.

use serde::Serialize;
use uuid::Uuid;

use crate::record::{self, Record};

/// So many mismatches of an event are told.
const TOLD: usize = 10;
/// What the gateway adds to an event, if it has validated it.
pub(super) const VALIDATED: &str = "aws_ga_api_validated_flag";
pub(super) const REQUEST_ID: &str = "aws_ga_api_requestId";
pub(super) const REQUEST_TIME: &str = "aws_ga_api_requestTimeEpoch";

/// A rule that is broken, in the words of the AWS solution's validator (JSON Schema's keywords).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mismatch {
    instance_path: String,
    keyword: &'static str,
    message: &'static str,
}

impl Mismatch {
    fn new(instance_path: impl Into<String>, keyword: &'static str, message: &'static str) -> Self {
        Self { instance_path: instance_path.into(), keyword, message }
    }
}

/// The rules that a record breaks.
pub(super) fn mismatches(record: &Record<'_>, validated: bool) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for name in record.all.names() {
        let known = matches!(name, "event" | "application_id")
            || validated && matches!(name, VALIDATED | REQUEST_ID | REQUEST_TIME);
        if !known {
            found.push(Mismatch::new(format!("/{name}"), "additionalProperties", "must not be there"));
        }
    }
    if !record::string(record.application_id).is_some_and(|id| is_uuid(&id)) {
        found.push(Mismatch::new("/application_id", "pattern", "must be a UUID"));
    }
    for name in record.event.names() {
        let known = matches!(
            name,
            "event_id"
                | "event_type"
                | "event_name"
                | "event_timestamp"
                | "event_version"
                | "app_version"
                | "event_data"
        );
        if !known {
            found.push(Mismatch::new(format!("/event/{name}"), "additionalProperties", "must not be there"));
        }
    }
    for (name, required) in [
        ("event_id", true),
        ("event_type", true),
        ("event_name", true),
        ("event_version", false),
        ("app_version", false),
    ] {
        let path = || format!("/event/{name}");
        match record.event.get(name) {
            None if required => found.push(Mismatch::new(path(), "required", "must be there")),
            None => {}
            Some(value) => match record::string(value) {
                None => found.push(Mismatch::new(path(), "type", "must be a string")),
                Some(text) if name == "event_id" && !is_uuid(&text) => {
                    found.push(Mismatch::new(path(), "pattern", "must be a UUID"));
                }
                Some(text) if name != "event_id" && !is_name(&text) => {
                    found.push(Mismatch::new(path(), "pattern", "must match [A-Za-z0-9-_.]+"));
                }
                Some(_) => {}
            },
        }
    }
    match record.event.get("event_timestamp").map(|value| headgate_proto::record::parse_timestamp(value.get())) {
        None => found.push(Mismatch::new("/event/event_timestamp", "required", "must be there")),
        Some(Err(_)) => {
            found.push(Mismatch::new("/event/event_timestamp", "type", "must be a number of epoch seconds"))
        }
        Some(Ok(_)) => {}
    }
    if record.event.get("event_data").is_some_and(|data| !data.get().starts_with('{')) {
        found.push(Mismatch::new("/event/event_data", "type", "must be an object"));
    }
    found.truncate(TOLD);
    found
}

/// With hyphens; of any version and in any case, as the gateway takes them.
fn is_uuid(text: &str) -> bool {
    text.len() == uuid::fmt::Hyphenated::LENGTH && Uuid::try_parse(text).is_ok()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198f2a0-0000-7000-8000-00000000000a";

    fn broken(line: &str, validated: bool) -> Vec<(String, &'static str)> {
        let record = record::read(line.as_bytes()).expect("a record");
        mismatches(&record, validated).into_iter().map(|rule| (rule.instance_path, rule.keyword)).collect()
    }

    fn with_event(event: &str) -> Vec<(String, &'static str)> {
        broken(&format!(r#"{{"event":{event},"application_id":"{ID}"}}"#), false)
    }

    #[test]
    fn what_the_gateway_writes_keeps_the_rules() {
        let event = format!(
            r#"{{"event_id":"{ID}","event_type":"a","event_name":"b-_.9","event_timestamp":-1.5e3,"event_version":"1","app_version":"2.0","event_data":{{}}}}"#
        );
        assert_eq!(with_event(&event), []);
        let line = format!(
            r#"{{"event":{event},"{VALIDATED}":true,"{REQUEST_ID}":"r","{REQUEST_TIME}":1,"application_id":"{ID}"}}"#
        );
        assert_eq!(broken(&line, true), []);
        // Without the flag nobody takes them off, as in the AWS solution.
        assert_eq!(broken(&line, false).len(), 3);
    }

    #[test]
    fn each_broken_rule_names_its_place() {
        let good = |change: &str| {
            let event =
                format!(r#"{{{change},"event_type":"a","event_name":"b","event_timestamp":1,"event_id":"{ID}"}}"#);
            with_event(&event)
        };
        let one = |path: &str, keyword| vec![(path.to_owned(), keyword)];
        assert_eq!(good(r#""extra":1"#), one("/event/extra", "additionalProperties"));
        assert_eq!(good(r#""event_version":null"#), one("/event/event_version", "type"));
        assert_eq!(good(r#""app_version":"a b""#), one("/event/app_version", "pattern"));
        assert_eq!(good(r#""app_version":"""#), one("/event/app_version", "pattern"));
        assert_eq!(good(r#""event_data":[]"#), one("/event/event_data", "type"));
        assert_eq!(good(r#""event_id":"0198f2a000007000800000000000000a""#), one("/event/event_id", "pattern"));
        assert_eq!(good(r#""event_timestamp":"1""#), one("/event/event_timestamp", "type"));
        assert_eq!(good(r#""event_timestamp":1e300"#), one("/event/event_timestamp", "type"));
        let required: Vec<_> = with_event("{}").into_iter().map(|(_, keyword)| keyword).collect();
        assert_eq!(required, ["required"; 4]);
        assert_eq!(broken(r#"{"event":{},"application_id":5}"#, false)[0], ("/application_id".to_owned(), "pattern"));
    }

    #[test]
    fn a_record_full_of_strange_keys_does_not_fill_its_metadata() {
        let keys: Vec<_> = (0..1_000).map(|n| format!(r#""k{n}":1"#)).collect();
        assert_eq!(with_event(&format!("{{{}}}", keys.join(","))).len(), TOLD);
    }
}
