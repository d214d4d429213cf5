//! Rows of the lake, through the Runtime API.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::rig::dynamodb::Table;
use crate::rig::emf;
use crate::rig::events::{APP, REQUEST, Sent, aggregate, bundle, firehose, now_ms};
use crate::rig::lambda::Function;

const DAY_MS: i64 = 86_400_000;
const STRANGER: &str = "0198f2a0-2222-4000-8000-000000000002";

pub(crate) async fn start(table: &Table, variables: &[(&str, &str)]) -> Function {
    let endpoint = table.endpoint();
    let mut all = vec![("APPLICATIONS_TABLE", "applications"), ("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str())];
    all.extend_from_slice(variables);
    Function::start(env!("CARGO_BIN_EXE_headgate-transform"), &all).await
}

/// Result and rows by record id; every record is answered once.
pub(crate) fn answers(answer: &Value) -> BTreeMap<String, (String, Vec<Value>, Value)> {
    let mut answers = BTreeMap::new();
    for record in answer["records"].as_array().expect("records") {
        let result = record["result"].as_str().expect("a result").to_owned();
        let data = STANDARD.decode(record["data"].as_str().unwrap_or_default()).unwrap_or_default();
        let rows = match &*result {
            "Ok" => {
                assert_eq!(data.last(), Some(&b'\n'), "the next record's rows begin on a line of their own");
                let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                lines.map(|line| serde_json::from_slice(line).expect("a row is JSON")).collect()
            }
            _ => Vec::new(),
        };
        let id = record["recordId"].as_str().expect("an id").to_owned();
        let before = answers.insert(id, (result, rows, record["metadata"]["partitionKeys"].clone()));
        assert!(before.is_none(), "answered twice: {record}");
    }
    answers
}

pub(crate) fn status(row: &Value) -> Value {
    let metadata: Value = serde_json::from_str(row["metadata"].as_str().expect("a string")).expect("JSON");
    metadata["processing_result"]["status"].clone()
}

fn day(ms: i64) -> Value {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(ms).expect("after 1970"));
    let text = humantime::format_rfc3339(time).to_string();
    json!({"year": &text[..4], "month": &text[5..7], "day": &text[8..10]})
}

#[tokio::test]
async fn every_record_is_answered_once_with_its_rows_or_as_it_came() {
    let table = Table::start().await;
    table.put(APP, Some("Wizards"));
    let mut function = start(&table, &[("CW_NAMESPACE", "test/AWSGameAnalytics")]).await;
    let single = Sent { event_data: r#"{"spell_id":"fire", "n":1.0}"#.to_owned(), ..Sent::login(1) };
    let stranger = Sent { application_id: STRANGER.to_owned(), ..Sent::login(2) };
    let several = [Sent::login(3), Sent::login(4), Sent::login(5)];
    let foreign = format!(r#"{{"event":{{"event_id":"x","event_type":"a b"}},"application_id":"{APP}"}}"#);
    let mixed = [bundle(&several), b"{not json}\n".to_vec()].concat();
    let mut event = firehose(&[
        ("single", single.line()),
        ("stranger", stranger.line()),
        ("bundle", bundle(&several)),
        ("aggregate", aggregate(&several)),
        ("foreign", foreign.into_bytes()),
        ("garbage", b"\x00\x01garbage".to_vec()),
        ("mixed", mixed),
        ("empty", Vec::new()),
        ("nothing", aggregate(&[])),
        ("blank", b"\n".to_vec()),
        ("base64", Vec::new()),
    ]);
    event["records"][10]["data"] = json!("%%%");
    let answer = function.invoke(&event).await.answered();
    let order: Vec<_> =
        answer["records"].as_array().expect("records").iter().map(|record| &record["recordId"]).collect();
    let asked: Vec<_> =
        event["records"].as_array().expect("records").iter().map(|record| &record["recordId"]).collect();
    assert_eq!(order, asked);
    let answers = answers(&answer);

    let (result, rows, keys) = &answers["single"];
    assert_eq!((result.as_str(), rows.len(), keys), ("Ok", 1, &day(single.seconds * 1_000)));
    let metadata: Value = serde_json::from_str(rows[0]["metadata"].as_str().expect("a string")).expect("JSON");
    assert_eq!(
        rows[0],
        json!({
            "event_id": single.id, "event_type": "login", "event_name": "name", "event_version": "1",
            "event_timestamp": single.seconds, "app_version": "1.0.0", "application_id": APP,
            "application_name": "Wizards", "event_data": single.event_data, "metadata": rows[0]["metadata"],
            "event_time_ms": single.seconds * 1_000 + 250,
        })
    );
    assert_eq!(metadata["ingestion_id"], "invocation-1");
    assert!((metadata["processing_timestamp"].as_i64().expect("seconds") - now_ms() / 1_000).abs() < 60);
    assert_eq!(metadata["api"], json!({"request_id": REQUEST, "request_time_epoch": single.request_time_ms}));
    assert_eq!(metadata["processing_result"], json!({"status": "ok"}));

    let (_, rows, _) = &answers["stranger"];
    assert_eq!((status(&rows[0]), rows[0].get("application_name")), (json!("unregistered"), None));
    for many in ["bundle", "aggregate"] {
        let (result, rows, _) = &answers[many];
        let ids: Vec<_> = rows.iter().map(|row| row["event_id"].clone()).collect();
        assert_eq!((result.as_str(), ids), ("Ok", several.iter().map(|event| json!(event.id)).collect()));
    }
    assert_eq!(status(&answers["foreign"].1[0]), "schema_mismatch");
    for nothing in ["empty", "nothing", "blank"] {
        assert_eq!(answers[nothing].0, "Dropped", "{nothing}: there is no event that could be lost");
    }
    for failed in ["garbage", "mixed", "base64"] {
        assert_eq!(answers[failed].0, "ProcessingFailed", "{failed}");
        let of = |value: &Value| {
            value["records"].as_array().and_then(|all| all.iter().find(|r| r["recordId"] == failed).cloned())
        };
        let (given, back) = (of(&event).expect("is there"), of(&answer).expect("is there"));
        assert_eq!((&back["data"], back.get("metadata")), (&given["data"], None), "{failed} comes back as it came");
    }

    let written = function.end().await;
    let metrics = emf::read(&written.stdout, "test/AWSGameAnalytics", None);
    let count = |name: &str| metrics[&("FUNCTION=transform".to_owned(), name.to_owned())];
    let counts = ["EventsOk", "EventsUnregistered", "EventsSchemaMismatch", "RecordsFailed"].map(count);
    assert_eq!(counts, [7, 1, 1, 3]);
    for line in &written.stderr {
        let line: Value = serde_json::from_str(line).expect("the log is JSON");
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    let log = written.stderr.join("\n");
    assert!(log.contains("mixed") && log.contains("is not a JSON object") && !log.contains("{not json}"), "{log}");
}

#[tokio::test]
async fn rows_lie_under_the_day_of_their_event_unless_it_is_absurd() {
    let table = Table::start().await;
    table.put(APP, Some("Wizards"));
    let mut function = start(&table, &[]).await;
    let now = now_ms();
    let midnight = now - now.rem_euclid(DAY_MS);
    let at = |seconds: i64| Sent { seconds, ..Sent::login(1) };
    let today = |ms: i64| vec![at(ms / 1_000)];
    let cases = [
        ("yesterday", today(midnight - 1_000), Some(midnight - DAY_MS)),
        ("old", today(now - 399 * DAY_MS), Some(now - 399 * DAY_MS)),
        ("too-old", today(now - 401 * DAY_MS), Some(now)),
        ("ahead", today(now + DAY_MS / 2), Some(now + DAY_MS / 2)),
        ("too-far-ahead", today(now + 2 * DAY_MS), Some(now)),
        ("year-1", vec![at(-62_135_596_800)], Some(now)),
        ("two-days", vec![at(midnight / 1_000 - 1), at(midnight / 1_000)], None),
    ];
    let records: Vec<_> = cases.iter().map(|(id, events, _)| (*id, bundle(events))).collect();
    let answers = answers(&function.invoke(&firehose(&records)).await.answered());
    for (id, _, expected) in &cases {
        let (result, _, keys) = &answers[*id];
        match expected {
            Some(ms) => assert_eq!((result.as_str(), keys), ("Ok", &day(*ms)), "{id}"),
            None => assert_eq!(result, "ProcessingFailed", "{id}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_would_grow_past_lambdas_limit_fails_what_does_not_fit() {
    let table = Table::start().await;
    table.put(APP, Some("Wizards"));
    let mut function = start(&table, &[]).await;
    // Quotes double in a row, whose event_data is a string.
    let data = format!(r#"{{"q":{}}}"#, serde_json::to_string(&"\"".repeat(200_000)).expect("JSON"));
    let records: Vec<_> = (0..9).map(|n| (n, Sent { event_data: data.clone(), ..Sent::login(n) })).collect();
    let ids: Vec<_> = (0..9).map(|n| format!("record-{n}")).collect();
    let records: Vec<_> = records.iter().map(|(n, event)| (ids[*n as usize].as_str(), event.line())).collect();
    // Beyond them small ones, for which there still is room.
    let records = [records, vec![("small", Sent::login(100).line())]].concat();
    let answers = answers(&function.invoke(&firehose(&records)).await.answered());
    assert_eq!(answers.len(), 10);
    let failed = answers.values().filter(|(result, _, _)| result == "ProcessingFailed").count();
    assert!((1..=8).contains(&failed), "{failed}");
    assert_eq!(answers["small"].0, "Ok");
    let log = function.end().await.stderr.join("\n");
    assert!(log.contains("the answer would grow past"), "{log}");
}

#[tokio::test]
async fn a_setting_that_is_missing_or_bad_ends_the_function_with_its_name() {
    let binary = env!("CARGO_BIN_EXE_headgate-transform");
    let bad = [("APPLICATIONS_TABLE", "t"), ("CACHE_TIMEOUT_SECONDS", "soon")];
    for (variables, named) in [(&[][..], "APPLICATIONS_TABLE"), (&bad[..], "CACHE_TIMEOUT_SECONDS")] {
        let (success, written) = Function::start(binary, variables).await.ended().await;
        assert!(!success);
        assert!(written.stderr.join("\n").contains(named), "{:?}", written.stderr);
    }
}

#[tokio::test]
async fn a_payload_that_is_none_of_firehoses_fails_and_the_function_lives_on() {
    let table = Table::start().await;
    table.put(APP, Some("Wizards"));
    let mut function = start(&table, &[]).await;
    for strange in [json!({}), json!({"records": [{"data": "e30="}]}), json!([])] {
        function.invoke(&strange).await.failed();
    }
    let answers = answers(&function.invoke(&firehose(&[("r", Sent::login(1).line())])).await.answered());
    assert_eq!(answers["r"].0, "Ok");
}
