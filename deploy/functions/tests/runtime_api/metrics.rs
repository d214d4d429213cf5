//! Metrics of the stream, through the Runtime API.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::emf::{self, Key};
use crate::rig::events::{APP, Sent, WINDOW_MS, aggregate, bundle, kinesis};
use crate::rig::lambda::Function;

const NAMESPACE: &str = "test/AWSGameAnalytics";

async fn start(variables: &[(&str, &str)]) -> Function {
    let mut all = vec![("CW_NAMESPACE", NAMESPACE)];
    all.extend_from_slice(variables);
    Function::start(env!("CARGO_BIN_EXE_headgate-metrics"), &all).await
}

/// Batch after batch of one window, and its end. Gives what was published.
async fn window(function: &mut Function, batches: &[Vec<Vec<u8>>]) {
    let mut state = json!({});
    for batch in batches {
        let answer = function.invoke(&kinesis(batch, &state, false)).await.answered();
        assert_eq!(answer["batchItemFailures"], json!([]));
        assert!(answer["state"].to_string().len() < 1_000_000);
        state = answer["state"].clone();
    }
    let answer = function.invoke(&kinesis(&[], &state, true)).await.answered();
    assert_eq!(answer, json!({"state": {}, "batchItemFailures": []}));
}

async fn published(function: Function) -> BTreeMap<Key, u64> {
    emf::read(&function.end().await.stdout, NAMESPACE, Some(WINDOW_MS))
}

/// The four metrics of distinct events, counted another way: a set of what each event counts as.
fn expected(events: &[Sent]) -> BTreeMap<Key, u64> {
    let mut seen = BTreeSet::new();
    let mut metrics = BTreeMap::new();
    for event in events.iter().filter(|event| seen.insert((&event.application_id, &event.id))) {
        let version = match &*event.app_version {
            "" => String::new(),
            version => format!(",APP_VERSION={version}"),
        };
        let dimensions = format!("APPLICATION_ID={}{version}", event.application_id);
        let mut count =
            |dimensions: String, name: &str| *metrics.entry((dimensions, name.to_owned())).or_default() += 1;
        count(dimensions.clone(), "TotalEvents");
        let data: Value = serde_json::from_str(&event.event_data).expect("JSON");
        match (event.event_type, &data["spell_id"], &data["currency_type"]) {
            ("login", ..) => count(dimensions, "TotalLogins"),
            ("user_knockout", Value::String(spell), _) => {
                count(format!("{dimensions},SPELL_ID={spell}"), "KnockoutsBySpell");
            }
            ("iap_transaction", _, Value::String(currency)) => {
                count(format!("{dimensions},CURRENCY_TYPE={currency}"), "Purchases");
            }
            _ => {}
        }
    }
    metrics
}

fn of_function(metrics: &mut BTreeMap<Key, u64>) -> [Option<u64>; 2] {
    ["RecordsUnreadable", "EventsNotDeduplicated"]
        .map(|name| metrics.remove(&("FUNCTION=metrics".to_owned(), name.to_owned())))
}

/// Events of all kinds; every third id comes again, of the same or of another application.
fn played(count: u32) -> Vec<Sent> {
    let data = [r#"{"spell_id":"fire"}"#, r#"{"spell_id":"ice"}"#, r#"{"currency_type":"USD"}"#, "{}"];
    let types = ["login", "user_knockout", "iap_transaction", "match_start"];
    let event = |n: u32| Sent {
        event_type: types[(n / 7 % 4) as usize],
        app_version: ["", "1.0", "2.0-rc_1"][(n % 3) as usize].to_owned(),
        event_data: data[(n / 3 % 4) as usize].to_owned(),
        application_id: format!("{}{}", &APP[..35], n % 5),
        ..Sent::login(n)
    };
    (0..count).map(event).collect()
}

#[tokio::test]
async fn a_window_holds_what_an_independent_count_of_distinct_events_holds() {
    let mut function = start(&[]).await;
    let events = played(3_000);
    let mut sent = Vec::new();
    let mut batches = Vec::new();
    for (place, some) in events.chunks(500).enumerate() {
        // Some of this batch again in it, and some of the one before.
        let again = [some, &some[..50], &events[place.saturating_sub(1) * 500..][..100]].concat();
        let records = again.chunks(40).enumerate().map(|(n, chunk)| match n % 3 {
            0 => vec![aggregate(chunk)],
            1 => vec![bundle(chunk)],
            _ => chunk.iter().map(Sent::line).collect(),
        });
        batches.push(records.flatten().collect());
        sent.extend(again);
    }
    window(&mut function, &batches).await;
    let mut metrics = published(function).await;
    assert_eq!(of_function(&mut metrics), [Some(0), Some(0)]);
    assert_eq!(metrics, expected(&sent));
    assert_eq!(metrics.iter().filter(|((_, name), _)| name == "TotalEvents").map(|(_, n)| n).sum::<u64>(), 3_000);
}

/// As much as a shard takes in a minute, each event another one: all of them are told apart, and the state that travels
/// stays below Lambda's limit.
#[tokio::test]
async fn a_full_minute_of_a_shard_is_counted_exactly() {
    let mut function = start(&[]).await;
    let mut state = json!({});
    for batch in 0..19_u32 {
        let events: Vec<_> = (batch * 10_000..(batch + 1) * 10_000).map(Sent::login).collect();
        let records: Vec<_> = events.chunks(60).map(aggregate).collect();
        let answer = function.invoke(&kinesis(&records, &state, false)).await.answered();
        state = answer["state"].clone();
        assert!(state.to_string().len() < 1_000_000);
    }
    function.invoke(&kinesis(&[], &state, true)).await.answered();
    let mut metrics = published(function).await;
    assert_eq!(of_function(&mut metrics), [Some(0), Some(0)]);
    // Two ids in 190,000 have the same hash once in 60 such windows. These ids are always the same, and have none.
    assert_eq!(metrics.values().copied().collect::<Vec<_>>(), [190_000, 190_000]);
}

#[tokio::test]
async fn windows_know_nothing_of_each_other() {
    let mut function = start(&[]).await;
    let lines = vec![played(10).iter().map(Sent::line).collect()];
    window(&mut function, &lines).await;
    window(&mut function, &lines).await;
    let mut metrics = published(function).await;
    of_function(&mut metrics);
    let twice: BTreeMap<_, _> = expected(&played(10)).into_iter().map(|(key, count)| (key, 2 * count)).collect();
    assert_eq!(metrics, twice);
}

#[tokio::test]
async fn past_the_cap_of_ids_events_count_as_they_come_and_a_metric_says_so() {
    let mut function = start(&[("MAX_EVENT_IDS", "50")]).await;
    let lines: Vec<_> = (0..80).map(|n| Sent::login(n).line()).collect();
    window(&mut function, &[lines.clone(), lines]).await;
    let mut metrics = published(function).await;
    // 50 told apart, and 30 counted both times.
    assert_eq!(of_function(&mut metrics), [Some(0), Some(60)]);
    let app = format!("APPLICATION_ID={APP},APP_VERSION=1.0.0");
    assert_eq!(metrics[&(app.clone(), "TotalEvents".to_owned())], 110);
    assert_eq!(metrics[&(app, "TotalLogins".to_owned())], 110);
}

#[tokio::test]
async fn bad_records_are_counted_and_never_stop_the_shard() {
    let mut function = start(&[]).await;
    let mut damaged = aggregate(&[Sent::login(1)]);
    damaged[10] ^= 1;
    let records = vec![b"{}".to_vec(), b"\xff\xfe".to_vec(), Vec::new(), damaged, Sent::login(2).line()];
    let mut event = kinesis(&records, &json!({}), false);
    event["Records"][0]["kinesis"]["data"] = json!("not base64!");
    let answer = function.invoke(&event).await.answered();
    assert_eq!(answer["batchItemFailures"], json!([]));
    function.invoke(&kinesis(&[], &answer["state"], true)).await.answered();
    let mut metrics = published(function).await;
    assert_eq!(of_function(&mut metrics), [Some(4), Some(0)]);
    assert_eq!(metrics, expected(&[Sent::login(2)]));
}

#[tokio::test]
async fn an_invocation_without_time_hands_records_back_and_nothing_is_lost_or_doubled() {
    let mut function = start(&[]).await;
    let lines: Vec<_> = (0..20).map(|n| Sent::login(n).line()).collect();
    let (mut left, mut state) = (&lines[..], json!({}));
    let mut invocations = 0;
    while !left.is_empty() {
        // Less than what is kept for the answer: each invocation counts one record.
        let event = kinesis(left, &state, false);
        let answer = function.invoke_within(&event, Duration::from_millis(500)).await.answered();
        state = answer["state"].clone();
        let failures = answer["batchItemFailures"].as_array().expect("a list");
        left = match &failures[..] {
            [] => &[],
            [first] => &left[first["itemIdentifier"].as_str().expect("an id").parse::<usize>().expect("a place")..],
            more => panic!("{more:?}"),
        };
        invocations += 1;
    }
    assert_eq!(invocations, 20);
    function.invoke(&kinesis(&[], &state, true)).await.answered();
    let mut metrics = published(function).await;
    of_function(&mut metrics);
    assert_eq!(metrics.values().copied().collect::<Vec<_>>(), [20, 20]);
}

#[tokio::test]
async fn names_that_cloudwatch_does_not_take_are_written_so_that_it_does() {
    let mut function = start(&[("MAX_DIMENSION_VALUES", "4")]).await;
    let spells = ["glacé", "tab\\t", "  ", "fire"];
    let knockout = |(n, spell): (u32, &&str)| Sent {
        event_type: "user_knockout",
        event_data: format!(r#"{{"spell_id":"{spell}"}}"#),
        ..Sent::login(n)
    };
    let lines: Vec<_> = (0..).zip(&spells).map(knockout).map(|event| event.line()).collect();
    window(&mut function, &[lines]).await;
    let metrics = published(function).await;
    let named: Vec<_> =
        metrics.keys().filter(|(_, name)| name == "KnockoutsBySpell").map(|(of, _)| of.as_str()).collect();
    let of = |spell: &str| format!("APPLICATION_ID={APP},APP_VERSION=1.0.0,SPELL_ID={spell}");
    // A blank one has no dimension, and is an event like others.
    assert_eq!(named, [of("fire"), of("glac\\u{e9}"), of("tab\\u{9}")]);
}

#[tokio::test]
async fn without_its_namespace_the_function_does_not_start() {
    let (success, written) = Function::start(env!("CARGO_BIN_EXE_headgate-metrics"), &[]).await.ended().await;
    assert!(!success && written.stderr.join("\n").contains("CW_NAMESPACE"));
}
