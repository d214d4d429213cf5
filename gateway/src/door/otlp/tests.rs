use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::{Value, json};
use uuid::Uuid;

use super::batch::{self, Batch};
use super::json::to_protobuf;
use super::model::{Any, AnyValue, KeyValue, LogRecord, Members, Values, attribute, every_kind, request};
use crate::admission::refusal::{BudgetScope, Refusal};
use crate::config::IngestSettings;
use crate::delivery::rejects::BadRowLine;
use crate::event::scan::{self, Envelope, RawEvent, Timestamp};
use crate::event::validate::{Field, Invalid, Limits, Problem, validate};

const TIME: u64 = 1_737_927_950_250_000_001;
const SENDER: Uuid = Uuid::from_u128(7);
const MAX: usize = 4 << 20;

fn limits() -> Limits {
    Limits::from(&IngestSettings::default())
}

fn record(name: &str, attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord { time_unix_nano: TIME, event_name: name.to_owned(), attributes, ..LogRecord::default() }
}

fn read(bytes: &[u8]) -> Batch {
    let batch = batch::read(bytes, SENDER, limits(), MAX, |_| Ok(())).expect("it is a request");
    assert_eq!(batch::count(bytes), Ok(batch.events));
    batch
}

fn read_records(records: Vec<LogRecord>) -> Batch {
    read(&request(vec![attribute("service.version", "2.1.0")], records).encode_to_vec())
}

fn events(batch: &Batch) -> Vec<RawEvent<'_>> {
    let events: Vec<_> = scan::events(&batch.message, Envelope::Publish).collect();
    assert_eq!(events.len(), batch.events as usize);
    events.into_iter().map(|event| scan::event(event).expect("an event")).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The only record's event: its type, its name and its data.
fn only(record: LogRecord) -> (String, String, Value) {
    let batch = read_records(vec![record]);
    assert_eq!(batch.flaws, []);
    let event = events(&batch)[0];
    assert!(validate(&event, &limits()).is_ok(), "{event:?}");
    let data = if event.event_data.is_empty() { Value::Null } else { json(event.event_data) };
    (text(event.event_type).to_owned(), text(event.event_name).to_owned(), data)
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// What is wrong with the only record, whose data is no object: a replay does not take it as it is.
fn flaw(record: LogRecord) -> (Field, Problem) {
    let batch = read_records(vec![record]);
    let [flaw] = batch.flaws.as_slice() else { panic!("{:?}", batch.flaws) };
    let bytes = scan::events(&batch.message, Envelope::Publish).next().expect("an event");
    let row = json!({"reason": "x", "application_id": "x", "event_base64": STANDARD.encode(bytes)});
    let row: BadRowLine = serde_json::from_value(row).expect("a bad row");
    // What a replay sends of it, as it is.
    let sent = row.event_to_send().expect("it can be read").encode_to_vec();
    assert!(validate(&scan::event(&sent).expect("an event"), &limits()).is_err(), "a replay stores it");
    (flaw.invalid.field, flaw.invalid.problem.clone())
}

/// What the bad row of the only record shows of it: its data as far as that could be written, and the record in protobuf if
/// it could not be written whole.
fn kept(record: &LogRecord) -> (String, Option<Vec<u8>>) {
    let batch = read_records(vec![record.clone()]);
    let data = events(&batch)[0].event_data;
    let mark = b"\nlog_record ";
    let Some(at) = memchr::memmem::find(data, mark) else { return (text(data).to_owned(), None) };
    (text(&data[..at]).to_owned(), Some(data[at + mark.len()..].to_vec()))
}

#[test]
fn a_record_becomes_an_event_with_its_fields() {
    let mut record = record("match.started", vec![attribute("mode", "ranked")]);
    record.attributes.push(attribute("headgate.event_id", "0191d9a4-7c1e-7000-8000-0123456789AB"));
    record.attributes.push(attribute("headgate.event_version", "1.2"));
    record.attributes.push(attribute("headgate.partition_key", "match-7"));
    let batch = read_records(vec![record]);
    assert_eq!(batch.flaws, []);
    let event = events(&batch)[0];
    let texts = [event.event_id, event.event_version, event.app_version, event.partition_key].map(text);
    assert_eq!(texts, ["0191d9a4-7c1e-7000-8000-0123456789AB", "1.2", "2.1.0", "match-7"]);
    assert_eq!(event.timestamp, Some(Timestamp { seconds: 1_737_927_950, nanos: 250_000_001 }));
    assert_eq!((event.event_type, event.event_name), (&b"match"[..], &b"match.started"[..]));
    assert_eq!(text(event.event_data), r#"{"mode":"ranked"}"#);
}

#[test]
fn the_type_is_what_is_said_or_the_names_first_part() {
    let said = |attributes: &[(&str, &str)], name: &str| {
        let attributes = attributes.iter().map(|(key, value)| attribute(key, *value)).collect();
        let (event_type, event_name, data) = only(record(name, attributes));
        assert_eq!(data, Value::Null, "fields of the event are no data");
        (event_type, event_name)
    };
    let pair = |event_type: &str, name: &str| (event_type.to_owned(), name.to_owned());
    assert_eq!(said(&[], "login"), pair("login", "login"));
    assert_eq!(said(&[], "match.round.won"), pair("match", "match.round.won"));
    assert_eq!(said(&[("event.type", "iap_transaction")], "shop.bought"), pair("iap_transaction", "shop.bought"));
    let both = [("event.type", "a"), ("headgate.event_type", "b")];
    assert_eq!(said(&both, "c.d"), pair("b", "c.d"));
    assert_eq!(said(&[("event.name", "c.d")], ""), pair("c", "c.d"));
    assert_eq!(said(&[("event.name", "c.d")], "e"), pair("e", "e"), "the field comes before the attribute");
}

#[test]
fn attributes_and_body_are_the_data() {
    let mut whole = record("a", every_kind());
    whole.body = Some("something happened".into());
    (whole.trace_id, whole.span_id) = ((0..16).collect(), vec![255; 8]);
    let expected = json!({
        "player_id": "p-1", "bool": false, "int": i64::MIN, "double": 0.1, "whole": 3.0, "nan": "NaN",
        "infinity": "-Infinity", "bytes": "AP8B", "nothing": null,
        "map": {"deep": [-1, null, true], "é\n": "\"quoted\"\u{1}"},
        "body": "something happened", "trace_id": "000102030405060708090a0b0c0d0e0f", "span_id": "ffffffffffffffff",
    });
    assert_eq!(only(whole).2, expected);
    let body = |value: AnyValue| only(LogRecord { body: Some(value), ..record("a", vec![]) }).2;
    let members = vec![attribute("score", Any::Int(3))];
    assert_eq!(body(Any::Map(Members { values: members }).into()), json!({"body": {"score": 3}}));
    assert_eq!(body(AnyValue { value: None }), Value::Null, "a record without a body says nothing of one");
}

#[test]
fn an_attribute_comes_before_a_field_of_its_name() {
    let attributes = ["body", "trace_id", "span_id"].map(|key| attribute(key, "mine")).to_vec();
    let mut record = record("a", attributes);
    record.body = Some("other".into());
    (record.trace_id, record.span_id) = (vec![1; 16], vec![1; 8]);
    let batch = read_records(vec![record]);
    assert_eq!(text(events(&batch)[0].event_data), r#"{"body":"mine","trace_id":"mine","span_id":"mine"}"#);
}

#[test]
fn without_a_time_of_its_own_a_record_happened_when_it_was_seen() {
    let times = |time_unix_nano, observed_time_unix_nano| {
        let record = LogRecord { time_unix_nano, observed_time_unix_nano, ..record("a", vec![]) };
        let batch = read_records(vec![record]);
        events(&batch)[0].timestamp.map(|time| time.seconds)
    };
    assert_eq!(times(2_000_000_000, 3_000_000_000), Some(2));
    assert_eq!(times(0, 3_000_000_000), Some(3));
    assert_eq!(times(u64::MAX, 0), Some(18_446_744_073));
    assert_eq!(times(0, 0), None, "the validator says that it is required");
}

#[test]
fn a_request_sent_again_has_the_same_ids_and_no_two_records_share_one() {
    let twice = request(vec![], vec![record("a", vec![]), record("a", vec![])]).encode_to_vec();
    let ids_of = |bytes: &[u8], sender| {
        let batch = batch::read(bytes, sender, limits(), MAX, |_| Ok(())).expect("a request");
        events(&batch).iter().map(|event| text(event.event_id).parse().expect("a UUID")).collect::<Vec<Uuid>>()
    };
    let ids = |bytes: &[u8]| ids_of(bytes, SENDER);
    let first = ids(&twice);
    assert_eq!(first, ids(&twice));
    assert_ne!(first[0], first[1], "two records that are equal are two events");
    assert!(first.iter().all(|id| id.get_version_num() == 8));
    // The same records, of another server.
    let instance = vec![attribute("service.instance.id", "b")];
    let other = ids(&request(instance, vec![record("a", vec![]), record("a", vec![])]).encode_to_vec());
    assert!(first.iter().all(|id| !other.contains(id)));
    let other = ids_of(&twice, Uuid::from_u128(8));
    assert!(first.iter().all(|id| !other.contains(id)), "another key's request is another one");
}

#[test]
fn what_an_event_cannot_show_is_noted_with_its_field() {
    let named = |key: &str| record("a", vec![attribute("x", "y"), attribute(key, Any::Int(1))]);
    let no_text = Problem::WrongType { expected: "a string" };
    assert_eq!(flaw(named("headgate.event_id")), (Field::EventId, no_text.clone()));
    assert_eq!(flaw(named("event.type")), (Field::EventType, no_text.clone()));
    assert_eq!(flaw(named("event.name")), (Field::EventName, no_text.clone()));

    let nameless = read_records(vec![record("", vec![attribute("message", "an application's usual log line")])]);
    let [flaw_of_nameless] = nameless.flaws.as_slice() else { panic!("{:?}", nameless.flaws) };
    assert_eq!(flaw_of_nameless.invalid, Invalid { field: Field::EventName, problem: Problem::Required });
    assert!(!events(&nameless)[0].event_data.is_empty(), "it is a bad row with what it says");

    let mut deep: AnyValue = Any::Int(1).into();
    for _ in 0..63 {
        deep = Any::Array(Values { values: vec![deep] }).into();
    }
    assert_eq!(only(record("a", vec![attribute("deep", deep.clone())])).0, "a");
    let deeper = Any::Array(Values { values: vec![deep] });
    assert_eq!(
        flaw(record("a", vec![attribute("deep", deeper.clone())])),
        (Field::EventData, Problem::TooDeep { limit: 64 })
    );

    // Everything that it says is in its bad row, with the id of the player, who may have to be forgotten.
    let mixed = vec![attribute("player_id", "p"), attribute("event.type", Any::Int(1)), attribute("x", "y")];
    assert_eq!(kept(&record("a", mixed)), (r#"{"player_id":"p","event.type":1,"x":"y""#.to_owned(), None));
    let mixed = record("a", vec![attribute("deep", deeper), attribute("player_id", "p"), attribute("x", "y")]);
    assert_eq!(kept(&mixed), (r#"{"player_id":"p","x":"y""#.to_owned(), Some(mixed.encode_to_vec())));
    let data = kept(&mixed).0;
    assert_eq!(crate::event::member::member(data.as_bytes(), "player_id"), Some(&b"\"p\""[..]));

    let large = flaw(record("a", vec![attribute("large", "\u{1}".repeat(200_000).as_str())]));
    assert!(matches!(large, (Field::Event, Problem::EventTooLarge { .. })), "{large:?}");

    let versions = |version: AnyValue| {
        let records = vec![record("a", vec![]), record("b", vec![])];
        read(&request(vec![attribute("service.version", version)], records).encode_to_vec())
    };
    let wrong_type = Invalid { field: Field::AppVersion, problem: no_text };
    let batch = versions(Any::Int(2).into());
    assert_eq!(batch.flaws.iter().map(|flaw| &flaw.invalid).collect::<Vec<_>>(), [&wrong_type, &wrong_type]);
    assert!(events(&batch).iter().all(|event| event.event_data == br#"{"service.version":2"#));
    // The validator says so, here and in a replay; and not the whole of it stands in each event.
    let batch = versions("1".repeat(60_000).as_str().into());
    assert_eq!(batch.flaws, []);
    let too_long = Err(Invalid { field: Field::AppVersion, problem: Problem::TooLong { limit: 256 } });
    for event in events(&batch) {
        assert_eq!((validate(&event, &limits()), event.app_version.len()), (too_long.clone(), 257));
    }
}

#[test]
fn a_broken_record_is_one_records_trouble_and_a_broken_request_everybodys() {
    let good = record("a", vec![]).encode_to_vec();
    let field =
        |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).expect("short")][..], bytes].concat();
    // A body whose length runs past its end, bytes that are no text, and an id that is no bytes.
    for broken in [&[0x2a, 9, 1][..], &[0x32, 5, 0x0a, 1, 0xff, 0x12, 0], &[0x48, 1]] {
        let records = [field(2, &good), field(2, broken), field(2, &good)].concat();
        let batch = read(&field(1, &field(2, &records)));
        let flaws: Vec<_> = batch.flaws.iter().map(|flaw| flaw.index).collect();
        assert_eq!((batch.events, flaws), (3, vec![1]), "{broken:?}");
        let data = events(&batch)[1].event_data;
        assert!(data.starts_with(b"{") && data.ends_with(&[b"\nlog_record ", broken].concat()), "{data:?}");
    }
    for broken in [&[0x0a, 9, 1][..], &[0x08, 1], &field(1, &[0x10, 1]), &field(1, &field(2, &[0x12])), &[0]] {
        let refused = |refusal: Refusal| matches!(refusal, Refusal::Undecodable { .. });
        assert!(batch::count(broken).is_err_and(refused), "{broken:?}");
        assert!(batch::read(broken, SENDER, limits(), MAX, |_| Ok(())).is_err_and(refused), "{broken:?}");
    }
    assert_eq!(batch::count(b""), Ok(0));
}

#[test]
fn what_outgrows_its_request_is_charged_before_it_is_written_on() {
    let records = vec![record("a", vec![attribute("x", "\u{1}".repeat(1_000).as_str())]); 100];
    let bytes = request(vec![], records).encode_to_vec();
    let mut charged = 0;
    let batch = batch::read(&bytes, SENDER, limits(), MAX, |grown| {
        charged += grown;
        Ok(())
    });
    assert_eq!(bytes.len() + charged, batch.expect("it is a request").message.len());
    let refusal = Refusal::OverBudget { scope: BudgetScope::Gateway, retry_after: Duration::ZERO };
    let stopped = batch::read(&bytes, SENDER, limits(), MAX, |_| Err(refusal.clone()));
    assert_eq!(stopped.map(|batch| batch.events), Err(refusal));
    let too_large = batch::read(&bytes, SENDER, limits(), bytes.len(), |_| Ok(())).map(|batch| batch.events);
    assert!(matches!(too_large, Err(Refusal::MessageTooLarge { .. })), "{too_large:?}");
    // What is rejected makes nobody else's records too many.
    let mut large = record("b", vec![attribute("large", "x".repeat(2 << 20).as_str())]);
    large.attributes.push(attribute("event.type", Any::Int(1)));
    let bytes = request(vec![], vec![record("a", vec![]), large]).encode_to_vec();
    let batch = batch::read(&bytes, SENDER, limits(), 1_000, |_| Ok(())).expect("one good record is small");
    assert_eq!((batch.events, batch.flaws.len()), (2, 1));
}

#[test]
fn a_request_in_json_is_the_same_request() {
    let body = json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.version", "value": {"stringValue": "2.1.0"}}]},
        "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [
            {
                "timeUnixNano": TIME.to_string(), "observedTimeUnixNano": 7, "severityNumber": 9, "unknown": [{}],
                "eventName": "match.started", "traceId": "0102030405060708090A0b0c0d0e0f10", "spanId": "0102030405060708",
                "body": {"stringValue": "it began"},
                "attributes": [
                    {"key": "text", "value": {"stringValue": ""}}, {"key": "bool", "value": {"boolValue": false}},
                    {"key": "int", "value": {"intValue": "-9223372036854775808"}},
                    {"key": "number", "value": {"intValue": -3}}, {"key": "double", "value": {"doubleValue": 1}},
                    {"key": "infinity", "value": {"doubleValue": "Infinity"}},
                    {"key": "bytes", "value": {"bytesValue": "AP8B"}}, {"key": "null", "value": null},
                    {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {}]}}},
                    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": true}}]}}},
                ],
            },
            {"eventName": "é"},
        ]}],
    }]});
    let protobuf = to_protobuf(body.to_string().as_bytes()).expect("a request");
    let attributes = vec![
        attribute("text", ""),
        attribute("bool", Any::Bool(false)),
        attribute("int", Any::Int(i64::MIN)),
        attribute("number", Any::Int(-3)),
        attribute("double", Any::Double(1.0)),
        attribute("infinity", Any::Double(f64::INFINITY)),
        attribute("bytes", Any::Bytes(vec![0, 255, 1])),
        KeyValue { key: "null".to_owned(), value: None },
        attribute("list", Any::Array(Values { values: vec![Any::Int(1).into(), AnyValue { value: None }] })),
        attribute("map", Any::Map(Members { values: vec![attribute("k", Any::Bool(true))] })),
    ];
    let first = LogRecord {
        observed_time_unix_nano: 7,
        body: Some("it began".into()),
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        ..record("match.started", attributes)
    };
    let second = LogRecord { event_name: "é".to_owned(), ..LogRecord::default() };
    let expected = request(vec![attribute("service.version", "2.1.0")], vec![first, second]);
    assert_eq!(super::model::Request::decode(protobuf.as_slice()), Ok(expected));
}

#[test]
fn every_way_in_which_protobufs_json_writes_a_value_is_read() {
    let value = |value: &str| {
        let body = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":1.0e9,"body":{{{value}}}}}]}}]}}]}}"#
        );
        let protobuf = to_protobuf(body.as_bytes()).expect(value);
        let request = super::model::Request::decode(protobuf.as_slice()).expect("protobuf");
        let record = request.resource_logs[0].scope_logs[0].log_records[0].clone();
        assert_eq!(record.time_unix_nano, 1_000_000_000);
        record.body.and_then(|body| body.value).expect("a value")
    };
    for (written, double) in [("\"-1.5e3\"", -1_500.0), ("\"2\"", 2.0), ("2", 2.0), ("\"0.1\"", 0.1)] {
        assert_eq!(value(&format!(r#""doubleValue":{written}"#)), Any::Double(double), "{written}");
    }
    for (written, int) in [("5.0", 5), ("1e3", 1_000), ("\"1e3\"", 1_000), ("-9223372036854775808.0", i64::MIN)] {
        assert_eq!(value(&format!(r#""intValue":{written}"#)), Any::Int(int), "{written}");
    }
    for written in ["+/8=", "+/8", "-_8=", "-_8"] {
        assert_eq!(value(&format!(r#""bytesValue":"{written}""#)), Any::Bytes(vec![0xfb, 0xff]), "{written}");
    }
}

/// A text in a wrong place, of 10 MiB, whose every byte takes six where it is shown.
#[test]
fn an_error_repeats_nothing_of_the_body() {
    let text = "\u{7f}".repeat(10 << 20);
    let record = |record: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#);
    let bodies = [
        format!("\"{text}\""),
        format!(r#"{{"resourceLogs":"{text}"}}"#),
        format!(r#"{{"resourceLogs":["{text}"]}}"#),
        record(&format!(r#"{{"traceId":"{text}"}}"#)),
        record(&format!(r#"{{"timeUnixNano":"{text}"}}"#)),
        record(&format!(r#"{{"body":{{"bytesValue":"{text}"}}}}"#)),
        record(&format!(r#"{{"body":{{"doubleValue":"{text}"}}}}"#)),
        record(&format!(r#"{{"body":{{"boolValue":"{text}"}}}}"#)),
        record(&format!(r#"{{"body":"{text}"}}"#)),
        record(&format!("-1{}", "0".repeat(300))),
    ];
    for body in bodies {
        let error = to_protobuf(body.as_bytes()).expect_err("no request").to_string();
        assert!(error.len() < 1 << 10 && error.contains(" at line 1 column "), "{error}");
    }
}

#[test]
fn json_that_is_no_request_is_refused_with_its_place() {
    let refused = [
        "",
        "[]",
        "null",
        "7",
        "{",
        "{}x",
        r#"{"resourceLogs":{}}"#,
        r#"{"resourceLogs":[1]}"#,
        r#"{"resourceLogs":"a"}"#,
    ];
    for body in refused {
        assert!(to_protobuf(body.as_bytes()).is_err(), "{body}");
    }
    let record = |record: &str| {
        to_protobuf(format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#).as_bytes())
    };
    for wrong in [
        r#"{"timeUnixNano":-1}"#,
        r#"{"timeUnixNano":1.5}"#,
        r#"{"timeUnixNano":"18446744073709551616"}"#,
        r#"{"eventName":7}"#,
        r#"{"traceId":"0"}"#,
        r#"{"traceId":"0g"}"#,
        r#"{"body":{"intValue":9223372036854775808}}"#,
        r#"{"body":{"bytesValue":"*"}}"#,
        r#"{"body":{"doubleValue":"inf"}}"#,
        r#"{"body":{"doubleValue":"1e999"}}"#,
        r#"{"body":{"intValue":"1.5"}}"#,
        r#"{"body":{"intValue":9223372036854775808.0}}"#,
        r#"{"timeUnixNano":-1.0}"#,
        r#"{"body":{"boolValue":"true"}}"#,
        r#"{"body":{"boolValue":1}}"#,
        r#"{"attributes":{}}"#,
    ] {
        let error = record(wrong).expect_err(wrong).to_string();
        assert!(error.contains("line 1 column"), "{error}");
    }
    for nothing in ["{}", r#"{"resourceLogs":null}"#, r#"{"resourceLogs":[]}"#, r#"{"else":[{}]}"#] {
        assert_eq!(
            to_protobuf(nothing.as_bytes()).map(|request| batch::count(&request)).ok(),
            Some(Ok(0)),
            "{nothing}"
        );
    }
    let deep = format!("{}{}", r#"{"x":"#.repeat(200), "}".repeat(200));
    assert!(to_protobuf(deep.as_bytes()).is_err());
}
