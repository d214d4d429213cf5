use headgate_proto::aggregate::{begin_user_record, seal};
use serde_json::json;

use super::*;

fn settings(ids: usize, values: usize) -> Settings {
    Settings { namespace: "test/AWSGameAnalytics".to_owned(), limits: Limits { ids, values } }
}

fn event_of(app: &str, id: usize, event_type: &str, version: &str, data: &str) -> String {
    format!(
        r#"{{"event":{{"event_id":"id-{id}","event_type":"{event_type}","event_name":"n","event_timestamp":1,"app_version":"{version}","event_data":{data}}},"application_id":"{app}"}}"#
    )
}

fn record(data: &[u8], place: usize) -> Value {
    let sequence = format!("{place:056}");
    json!({"kinesis": {"sequenceNumber": sequence, "data": STANDARD.encode(data), "approximateArrivalTimestamp": 1_700_000_000.5}})
}

fn invocation(records: &[Vec<u8>], state: &Value, is_final: bool) -> Event {
    let records: Vec<_> = records.iter().enumerate().map(|(place, data)| record(data, place)).collect();
    let event = json!({
        "Records": records, "state": state, "shardId": "shardId-0", "eventSourceARN": "arn:aws:kinesis:::stream/s",
        "window": {"start": "2023-11-14T22:13:00Z", "end": "2023-11-14T22:14:00Z"},
        "isFinalInvokeForWindow": is_final, "isWindowTerminatedEarly": false,
    });
    serde_json::from_value(event).expect("an event")
}

fn run(settings: &Settings, event: Event) -> Handled {
    handle(settings, event, i64::MAX, &|| 0)
}

type Metrics = Vec<(String, u64)>;
/// Dimension values and metrics.
type Document = (Vec<String>, Metrics);

fn published(handled: &Handled) -> Vec<Document> {
    let read = |document: &String| {
        let document: Value = serde_json::from_str(document).expect("JSON");
        let directive = &document["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "test/AWSGameAnalytics");
        assert_eq!(document["_aws"]["Timestamp"], 1_699_999_980_000_i64);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let dimensions = list(&directive["Dimensions"][0]).iter().map(|name| text(&document[text(name)])).collect();
        let metrics = list(&directive["Metrics"]).iter().map(|metric| text(&metric["Name"])).collect::<Vec<_>>();
        let metrics = metrics.into_iter().map(|name| (name.clone(), document[name].as_u64().expect("a count")));
        (dimensions, metrics.collect())
    };
    handled.documents.iter().map(read).collect()
}

fn only(documents: &[Document], dimensions: &[&str]) -> Metrics {
    let found: Vec<_> = documents.iter().filter(|(of, _)| of == dimensions).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.first().map(|(_, metrics)| metrics.clone()).unwrap_or_default()
}

fn named(name: &str, count: u64) -> (String, u64) {
    (name.to_owned(), count)
}

#[test]
fn a_window_counts_each_event_once_however_it_came_and_publishes_at_its_end() {
    let settings = settings(1_000, 100);
    let lines = [
        event_of("a", 1, "login", "1.0", "{}"),
        event_of("a", 2, "user_knockout", "1.0", r#"{"spell_id":"fire"}"#),
        event_of("a", 3, "user_knockout", "1.0", r#"{"x":{"spell_id":"no"},"spell_id":7}"#),
        event_of("a", 4, "user_knockout", "1.0", r#"{"spell_id":null}"#),
        event_of("a", 5, "iap_transaction", "", r#"{"currency_type":"USD"}"#),
        event_of("b", 1, "other", "1.0", "{}"),
    ];
    let mut framed = Vec::new();
    for line in &lines[..3] {
        begin_user_record(&mut framed, line.len());
        framed.extend_from_slice(line.as_bytes());
    }
    let first = run(&settings, invocation(&[seal(&framed, 9), lines[3].clone().into_bytes()], &json!({}), false));
    assert!(first.documents.is_empty() && first.answer.batch_item_failures.is_empty());
    // The rest, and everything again.
    let second = run(&settings, invocation(&[lines.join("\n").into_bytes()], &first.answer.state, false));
    let last = run(&settings, invocation(&[], &second.answer.state, true));
    assert_eq!(last.answer.state, json!({}));
    let documents = published(&last);
    assert_eq!(only(&documents, &["a", "1.0"]), [named("TotalEvents", 4), named("TotalLogins", 1)]);
    assert_eq!(only(&documents, &["a", "1.0", "fire"]), [named("KnockoutsBySpell", 1)]);
    assert_eq!(only(&documents, &["a", "1.0", "7"]), [named("KnockoutsBySpell", 1)]);
    assert_eq!(only(&documents, &["a"]), [named("TotalEvents", 1)]);
    assert_eq!(only(&documents, &["a", "USD"]), [named("Purchases", 1)]);
    assert_eq!(only(&documents, &["b", "1.0"]), [named("TotalEvents", 1)]);
    assert_eq!(only(&documents, &["metrics"]), [named("RecordsUnreadable", 0), named("EventsNotDeduplicated", 0)]);
    assert_eq!(documents.len(), 7);
}

#[test]
fn what_can_not_be_read_is_counted_and_stops_nothing() {
    let settings = settings(1_000, 100);
    let mut event = invocation(
        &[b"{".to_vec(), b"\xff".to_vec(), b"\n".to_vec(), event_of("a", 1, "t", "1", "{}").into_bytes()],
        &Value::Null,
        true,
    );
    event.records[2].kinesis.data = "*".to_owned();
    let documents = published(&run(&settings, event));
    assert_eq!(only(&documents, &["metrics"])[0], named("RecordsUnreadable", 3));
    assert_eq!(only(&documents, &["a", "1"]), [named("TotalEvents", 1)]);
    for nobodys in [
        r#"{"event":{"event_type":"t"},"application_id":"a"}"#,
        r#"{"event":{"event_id":"i","event_type":"t"},"application_id":1}"#,
    ] {
        let documents = published(&run(&settings, invocation(&[nobodys.into()], &Value::Null, true)));
        assert_eq!(only(&documents, &["metrics"])[0], named("RecordsUnreadable", 1), "{nobodys}");
    }
}

#[test]
fn past_the_cap_of_ids_events_count_as_they_come_and_that_is_said() {
    let settings = settings(10, 100);
    let lines: Vec<_> = (0..15).map(|id| event_of("a", id, "t", "1", "{}").into_bytes()).collect();
    let first = run(&settings, invocation(&lines, &json!({}), false));
    let last = run(&settings, invocation(&lines, &first.answer.state, true));
    let documents = published(&last);
    assert_eq!(only(&documents, &["a", "1"]), [named("TotalEvents", 20)]);
    assert_eq!(only(&documents, &["metrics"])[1], named("EventsNotDeduplicated", 10));
}

#[test]
fn names_beyond_their_number_are_others_and_the_events_still_count() {
    let settings = settings(1_000, 2);
    let lines: Vec<_> = (0..20)
        .map(|id| event_of("a", id, "user_knockout", "1", &format!(r#"{{"spell_id":"s{}"}}"#, id % 5)).into_bytes())
        .collect();
    let documents = published(&run(&settings, invocation(&lines, &json!({}), true)));
    assert_eq!(only(&documents, &["a", "1"]), [named("TotalEvents", 20)]);
    assert_eq!(only(&documents, &["a", "1", "s0"]), [named("KnockoutsBySpell", 4)]);
    assert_eq!(only(&documents, &["a", "1", "(other)"]), [named("KnockoutsBySpell", 12)]);
}

#[test]
fn the_state_of_a_full_window_stays_below_a_megabyte() {
    let limits = Limits { ids: state::MAX_IDS, values: 1_000 };
    let mut state = State::restore(Value::Null, limits);
    for n in 0..state::MAX_IDS + 10 {
        let line = event_of(
            &format!("0198f2a0-0000-4000-8000-{:012}", n % 50),
            n,
            "user_knockout",
            &format!("1.{}", n % 7),
            &format!(r#"{{"spell_id":"a spell with \"quotes\" and a \u0001 {}"}}"#, n % 3_001),
        );
        count_lines(&mut state, line.as_bytes());
    }
    let (events, late) = (state.events(), state.not_deduplicated());
    assert_eq!(events, state::MAX_IDS as u64 + 10 - (10 - late), "all but hashes that are alike");
    let kept = state.keep();
    let bytes = kept.to_string().len();
    assert!(bytes < 1_000_000, "{bytes} bytes");
    let again = State::restore(kept, limits);
    assert_eq!((again.events(), again.not_deduplicated()), (events, late));
}

#[test]
fn an_invocation_out_of_time_hands_back_what_it_did_not_come_to() {
    let settings = settings(1_000, 100);
    let lines: Vec<_> = (0..5).map(|id| event_of("a", id, "t", "1", "{}").into_bytes()).collect();
    let late = handle(&settings, invocation(&lines, &json!({}), false), 0, &|| 1);
    let failures = &late.answer.batch_item_failures;
    assert_eq!(*failures, [ItemFailure { item_identifier: format!("{:056}", 1) }]);
    // It comes again with the state, from there on.
    let last = run(&settings, invocation(&lines[1..], &late.answer.state, true));
    assert_eq!(only(&published(&last), &["a", "1"]), [named("TotalEvents", 5)]);
}

#[test]
fn a_mapping_without_windows_and_a_window_that_ends_early_publish_at_once() {
    let settings = settings(1_000, 100);
    let lines = [event_of("a", 1, "t", "1", "{}").into_bytes()];
    let mut event = invocation(&lines, &json!({}), false);
    event.window = None;
    let handled = run(&settings, event);
    assert_eq!(only(&published(&handled), &["a", "1"]), [named("TotalEvents", 1)]);
    let mut event = invocation(&lines, &json!({}), false);
    event.is_window_terminated_early = true;
    assert_eq!(run(&settings, event).documents.len(), 2);
    assert!(run(&settings, invocation(&[], &json!({}), true)).documents.is_empty(), "nothing came");
}

#[test]
fn a_state_that_nobody_can_read_begins_anew() {
    let settings = settings(1_000, 100);
    for kept in [json!({"1": 282}), json!({"id_count": 5, "ids": "AA"}), json!([1]), json!("x")] {
        let event = invocation(&[event_of("a", 1, "t", "1", "{}").into_bytes()], &kept, true);
        assert_eq!(only(&published(&run(&settings, event)), &["a", "1"]), [named("TotalEvents", 1)], "{kept}");
    }
}
