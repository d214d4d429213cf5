use headgate_proto::v1::{Event, PublishEventsRequest};
use prost::Message;

use super::*;
use crate::event::validate::{Field, Invalid, Problem};

const ID: &str = "5f8e8e5c-6d1a-4c42-9f5a-0d4f4e1b2c3d";

fn read_all(body: &str) -> Batch {
    read(body, 500).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn events(batch: &Batch) -> Vec<Event> {
    PublishEventsRequest::decode(batch.message.as_slice()).expect("the message is protobuf").events
}

fn event(fields: &str) -> String {
    format!(r#"{{"event_id":"{ID}","event_type":"login","event_name":"n","event_timestamp":1700000000{fields}}}"#)
}

fn only_flaw(event: &str) -> (Field, Problem) {
    let batch = read_all(&format!(r#"{{"events":[{event}]}}"#));
    assert_eq!((batch.events, batch.flaws.len()), (1, 1), "{event}: {:?}", batch.flaws);
    let Invalid { field, problem } = batch.flaws[0].invalid.clone();
    (field, problem)
}

#[test]
fn every_field_arrives_and_event_data_byte_for_byte() {
    let data = "{ \"a\" : [1, 2.50 ,\"\\u00e9é\"],\n\"b\":{} }";
    let body = format!(
        r#" {{"events" : [ {{"event_id":"{ID}","event_type":"login","event_name":"player_login",
            "event_timestamp":-1.25e0,"event_version":"1.0","app_version":"2\u002e1","event_data": {data} }} ] }} "#
    );
    let batch = read_all(&body);
    assert_eq!((batch.events, batch.flaws.as_slice()), (1, &[][..]));
    let event = &events(&batch)[0];
    assert_eq!(event.event_id, ID);
    assert_eq!((event.event_type.as_str(), event.event_name.as_str()), ("login", "player_login"));
    let timestamp = event.event_timestamp.expect("a timestamp");
    assert_eq!((timestamp.seconds, timestamp.nanos), (-2, 750_000_000));
    assert_eq!((event.event_version.as_str(), event.app_version.as_str()), ("1.0", "2.1"));
    assert_eq!(event.event_data, data.as_bytes());
    assert_eq!(event.partition_key, "");
}

#[test]
fn timestamps_are_exact() {
    for (text, seconds, nanos) in [
        ("1700000000", 1_700_000_000, 0),
        ("1700000000.123456789", 1_700_000_000, 123_456_789),
        ("1700000000.1", 1_700_000_000, 100_000_000),
        ("1.7e9", 1_700_000_000, 0),
        ("0", 0, 0),
        ("4102444800.000000001", 4_102_444_800, 1),
    ] {
        let body = format!(
            r#"{{"events":[{{"event_id":"{ID}","event_type":"t","event_name":"n","event_timestamp":{text}}}]}}"#
        );
        let timestamp = events(&read_all(&body))[0].event_timestamp.expect("a timestamp");
        assert_eq!((timestamp.seconds, timestamp.nanos), (seconds, nanos), "{text}");
    }
}

#[test]
fn what_protobuf_cannot_show_is_noted_with_the_event() {
    let string = || Problem::WrongType { expected: "a string" };
    assert_eq!(only_flaw(r#"{"event_type":"t"}"#), (Field::EventId, Problem::Required));
    assert_eq!(only_flaw(r#"{"event_id":7}"#), (Field::EventId, string()));
    assert_eq!(only_flaw(r#"{"event_id":""}"#), (Field::EventId, Problem::Empty));
    assert_eq!(only_flaw(&event(r#","event_version":null"#)), (Field::EventVersion, string()));
    assert_eq!(only_flaw(&event(r#","app_version":"""#)), (Field::AppVersion, Problem::Empty));
    assert_eq!(only_flaw(&event(r#","event_type":"\ud800""#)), (Field::EventType, Problem::Charset));
    let number = || Problem::WrongType { expected: "a number of epoch seconds" };
    assert_eq!(only_flaw(&event(r#","event_timestamp":"1700000000""#)), (Field::EventTimestamp, number()));
    assert_eq!(only_flaw(&event(r#","event_timestamp":1e400"#)), (Field::EventTimestamp, Problem::TimestampRange));
    assert_eq!(only_flaw(&event(r#","player":"p""#)), (Field::Event, Problem::UnknownField));
    // A field of gRPC's that AWS's API does not know.
    assert_eq!(only_flaw(&event(r#","partition_key":"p""#)), (Field::Event, Problem::UnknownField));
    for value in ["7", "-7", "1.5", "true", "null", "\"x\"", "[[{}],1]"] {
        assert_eq!(only_flaw(value), (Field::Event, Problem::WrongType { expected: "a JSON object" }), "{value}");
    }
}

#[test]
fn a_flaw_belongs_to_its_event_and_the_others_are_whole() {
    let body = format!(r#"{{"events":[{0},5,{0},{1},{0}]}}"#, event(""), event(r#","x":1"#));
    let batch = read_all(&body);
    assert_eq!(batch.events, 5);
    assert_eq!(batch.flaws.iter().map(|flaw| flaw.index).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(batch.unknown_field, Some((3, "x".to_owned())));
    let events = events(&batch);
    assert_eq!(events.len(), 5);
    assert!([0, 2, 3, 4].iter().all(|index: &usize| events[*index].event_id == ID));
}

#[test]
fn what_the_validator_finds_is_left_to_it() {
    for fields in [r#","event_data":[1]"#, r#","event_data":"text""#, r#","event_type":"a b""#] {
        assert_eq!(read_all(&format!(r#"{{"events":[{}]}}"#, event(fields))).flaws, [], "{fields}");
    }
    assert_eq!(
        events(&read_all(&format!(r#"{{"events":[{}]}}"#, event(r#","event_data":null"#))))[0].event_data,
        "null"
    );
}

#[test]
fn events_past_the_limit_are_counted_and_not_kept() {
    let body = format!(r#"{{"events":[{0},{0},{0},7]}}"#, event(""));
    let batch = read(&body, 2).expect("is JSON");
    assert_eq!((batch.events, events(&batch).len()), (4, 2));
}

#[test]
fn the_last_of_two_counts_and_other_members_are_passed_over() {
    let body =
        format!(r#"{{"sdk":{{"v":[1]}},"events":[7,{0}],"events":[{0}],"x":null}}"#, event(r#","event_name":"m""#));
    let batch = read_all(&body);
    assert_eq!((batch.events, batch.flaws.as_slice()), (1, &[][..]));
    assert_eq!(events(&batch)[0].event_name, "m");
}

#[test]
fn an_empty_batch_is_the_next_ones_to_refuse() {
    assert_eq!(read_all(r#"{"events":[]}"#), Batch { message: Vec::new(), ..Batch::default() });
}

#[test]
fn what_is_no_batch_says_where() {
    let cases = [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "expected an object with an array `events`"),
        ("{}", "missing field `events`"),
        (r#"{"events":{}}"#, "expected an array of events"),
        (r#"{"events":[{]}"#, "line 1 column 13"),
        (r#"{"events":[]} x"#, "trailing characters"),
        (r#"{"events":[{"event_data":{"a":01}}]}"#, "line 1"),
    ];
    for (body, expected) in cases {
        let error = read(body, 500).expect_err(body).to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
}

#[test]
fn deep_nesting_costs_no_stack() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let batch = read_all(&format!(r#"{{"events":[{}]}}"#, event(&format!(r#","event_data":{deep}"#))));
    assert_eq!(events(&batch)[0].event_data, deep);
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(only_flaw(&nested), (Field::Event, Problem::WrongType { expected: "a JSON object" }));
    let passed_over = read_all(&format!(r#"{{"sdk":{nested},"events":[{}]}}"#, event("")));
    assert_eq!((passed_over.events, passed_over.flaws.len()), (1, 0));
}

/// A text in a wrong place, of 10 MiB, whose every byte takes six where it is shown.
#[test]
fn an_error_repeats_nothing_of_the_body() {
    let text = "\u{7f}".repeat(10 << 20);
    for body in [format!("\"{text}\""), format!(r#"{{"events":"{text}"}}"#)] {
        let error = read(&body, 500).expect_err("no batch").to_string();
        assert!(error.len() < 1 << 10 && error.contains(" at line 1 column "), "{error}");
    }
}
