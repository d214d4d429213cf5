//! Ids of people that a game has hashed, through every door: whatever the gateway keeps or shows holds hashes alone.

use std::fs::{self, File};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{BatchVerdict, Event, PublishEventsRequest, PublishEventsResponse, StreamEventsRequest};
use headgate_tests::client::Connection;
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::rest::{RestAnswer, RestClient, body, verdict};
use headgate_tests::{binary, lake, poll};
use http::Method;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt;

use crate::{PATIENCE, grpc_web};

/// A change is to hold soon, so that tests do not wait.
const SOON: &str = "ingest.policy_refresh=100ms";
/// What is in no file, on no page and in no log afterwards.
const IDS: [&str; 5] =
    ["anna-the-player", "bert-the-victim", "session-of-anna", "crashed-session-of-anna", "telephone-of-anna"];
/// By how much the client's clock is ahead, milliseconds.
const AHEAD_MS: i64 = 3_600_000;

fn with_data(event_data: &str) -> Event {
    Event { event_data: event_data.as_bytes().to_vec().into(), partition_key: IDS[0].to_owned(), ..login() }
}

fn hers() -> Event {
    let [player, victim, session, crashed, device] = IDS;
    with_data(
        &json!({
            "player_id": player, "victim_id": victim, "session_id": session, "crashed_session_id": crashed,
            "device": {"id": device, "model": "x"},
        })
        .to_string(),
    )
}

/// A good one, one with another fault, and one of which nobody can tell where an id stands.
fn sent() -> Vec<Event> {
    let unreadable = with_data(&format!(r#"{{"player_id":"{}","#, IDS[0]));
    vec![hers(), Event { event_name: "no good name!".to_owned(), ..hers() }, unreadable]
}

/// The same three as log records.
fn log_records() -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let [player, victim, session, crashed, device] = IDS;
    let device = json!({"kvlistValue": {"values": [text("id", device), text("model", "x")]}});
    let attributes = [
        text("player_id", player),
        text("victim_id", victim),
        text("session_id", session),
        text("crashed_session_id", crashed),
        json!({"key": "device", "value": device}),
        text("headgate.partition_key", player),
    ];
    let record = |name: &str, more: Option<Value>| {
        let attributes: Vec<_> = attributes.iter().cloned().chain(more).collect();
        json!({"timeUnixNano": "1737927950250000000", "eventName": name, "attributes": attributes})
    };
    let no_text = json!({"key": "event.type", "value": {"intValue": 7}});
    let records = [record("login", None), record("no good name!", None), record("login", Some(no_text))];
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
}

async fn export(rest: &RestClient, key: &str) -> RestAnswer {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    rest.send(Method::POST, "/v1/logs", &headers, log_records().to_string()).await
}

/// From a page that says its time.
async fn publish_from_a_page(rest: &RestClient, key: &str) -> RestAnswer {
    let sent_at = (now_ms() + AHEAD_MS).to_string();
    let call = grpc_web::frame(0, &PublishEventsRequest { events: sent() }.encode_to_vec());
    grpc_web::publish(rest, key, &[("x-sent-at", &sent_at)], STANDARD.encode(call)).await
}

fn assert_one_of(verdict: &BatchVerdict, events: usize) {
    assert_eq!((verdict.accepted, verdict.not_accepted.len()), (1, events - 1), "{verdict:?}");
}

/// No file of the folder has one of the ids in it.
fn assert_without_ids(folder: &Path) {
    for entry in fs::read_dir(folder).expect("lists") {
        let path = entry.expect("reads").path();
        if path.is_dir() {
            assert_without_ids(&path);
            continue;
        }
        let bytes = fs::read(&path).expect("reads");
        for id in IDS {
            assert!(memchr::memmem::find(&bytes, id.as_bytes()).is_none(), "{id} stands in {}", path.display());
        }
    }
}

fn now_ms() -> i64 {
    headgate::clock::Clock::system().wall_ms()
}

/// What the lake's rows say of the client's clock, milliseconds; none where they say nothing.
fn skews(lake: &Path) -> Vec<Option<i64>> {
    let mut skews = Vec::new();
    for path in lake::parquet_files(&lake.join("raw_events")) {
        let reader = SerializedFileReader::new(File::open(path).expect("opens")).expect("is Parquet");
        for row in reader.get_row_iter(None).expect("has rows") {
            let row = row.expect("reads");
            let metadata = row.get_column_iter().find(|(name, _)| *name == "metadata").map(|(_, field)| field);
            let Some(Field::Str(metadata)) = metadata else { panic!("no metadata in {row}") };
            let metadata: Value = serde_json::from_str(metadata).expect("is JSON");
            skews.push(metadata["api"]["clock_skew_ms"].as_i64());
        }
    }
    skews
}

#[tokio::test(flavor = "multi_thread")]
async fn of_hashed_ids_nothing_is_kept_or_shown_through_any_door() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[SOON]).await;
    let (application, target) = gateway.demo();
    let id = application.to_string();
    // From elsewhere, over the API.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let url = format!("http://{}", target.address);
    let token = data.path().join("admin-token").display().to_string();
    let over_the_api = |command: &[&str]| {
        let through = ["--gateway", &url, "--admin-token-file", &token];
        binary::run_json(elsewhere.path(), &[command, &through].concat())
    };
    let hashed = over_the_api(&["identity", "hash", &id, "device", "session_id", "player_id"]);
    assert_eq!(hashed["fields"], json!(["player_id", "session_id", "device"]), "{hashed}");
    let tail = format!("/live/tail?app={id}&limit=1000");
    let mut connection = Connection::open(&target).await.expect("it listens").sent_at(now_ms() + AHEAD_MS);
    poll::until("ids are hashed", PATIENCE, async || {
        let probe = with_data(r#"{"player_id":"whoever"}"#);
        let probe = Event { partition_key: String::new(), ..probe };
        assert_eq!(connection.publish(vec![probe]).await.expect("is taken").accepted, 1);
        gateway.get(&tail).await.contains("h1-").then_some(())
    })
    .await;

    assert_one_of(&connection.publish(sent()).await.expect("is answered"), 3);
    let mut stream = connection.stream(1).await.expect("opens");
    stream.requests.send(StreamEventsRequest { sequence: 7, events: sent() }).await.expect("is sent");
    match stream.answers.message().await.expect("it answers").and_then(|answer| answer.answer) {
        Some(Answer::Verdict(verdict)) => assert_one_of(&verdict, 3),
        other => panic!("no verdict: {other:?}"),
    }
    drop(stream);
    let rest = RestClient::new(gateway.rest());
    let path = format!("/applications/{id}/events");
    let answer = rest.post(&format!("{path}?partial=true"), &target.key, body(&sent()[..2])).await;
    assert_one_of(&verdict(&answer), 2);
    assert_eq!(rest.post(&path, &target.key, body(&sent()[..2])).await.status.as_u16(), 400, "whole or not at all");
    assert_eq!(verdict(&rest.post(&path, &target.key, body(&sent()[..1])).await).accepted, 1);
    assert_eq!(export(&rest, &target.key).await.json()["partialSuccess"]["rejectedLogRecords"], "2");
    let answer = publish_from_a_page(&rest, &target.key).await;
    let response = PublishEventsResponse::decode(grpc_web::frames(&answer)[0].1.as_slice()).expect("a response");
    assert_one_of(&response.verdict.expect("a verdict"), 3);

    // In the log, before it is Parquet; on the pages; in Parquet, which is compressed.
    assert_without_ids(data.path());
    let shown = gateway.get(&tail).await;
    assert!(IDS.iter().all(|id| !shown.contains(id)), "{shown}");
    let _ = gateway.compact().await;
    assert_without_ids(data.path());
    let hash_of = |id: &str| over_the_api(&["identity", "ids", &application.to_string(), id])["ids"][1].clone();
    let hashes = IDS.map(|id| hash_of(id).as_str().expect("it has one").to_owned());
    let all: Vec<String> = lake::rows(&gateway.lake())
        .iter()
        .map(|row| String::from_utf8_lossy(row.event_data.as_ref().expect("has data").data()).into_owned())
        .collect();
    assert!(all.iter().all(|row| IDS.iter().all(|id| !row.contains(id))), "{all:?}");
    let whole = all.iter().filter(|row| hashes.iter().all(|hash| row.contains(hash.as_str()))).count();
    assert_eq!(whole, 6, "one through each door, and one more over REST: {all:?}");

    // Calls, the stream and the page said what time it is, REST and the exporter did not.
    let skews = skews(&gateway.lake());
    assert_eq!(skews.iter().filter(|skew| skew.is_none()).count(), 3, "{skews:?}");
    let is_near = |skew: i64| (AHEAD_MS - 120_000..=AHEAD_MS).contains(&skew);
    assert!(skews.iter().flatten().all(|skew| is_near(*skew)), "{skews:?}");

    assert!(gateway.terminate(PATIENCE).await.success());
    assert_without_ids(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_whose_hashing_can_not_be_read_is_refused_and_no_other() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &[SOON]).await;
    let (application, target) = gateway.demo();
    let (_, other) = gateway.new_application("other");
    let _ = binary::run_json(data.path(), &["identity", "hash", &application.to_string(), "player_id"]);
    let write = |fields: &str| {
        let registry = rusqlite::Connection::open(data.path().join("registry.sqlite")).expect("opens");
        registry.execute("UPDATE identities SET fields = ?1", [fields]).expect("writes");
    };
    write("shoe_size");
    let mut connection = Connection::open(&target).await.expect("it listens");
    let status = poll::until("it is refused", PATIENCE, async || connection.publish(vec![login()]).await.err()).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("identity_unreadable"));
    assert!(details.retry_info().is_some());
    let rest = RestClient::new(gateway.rest());
    let answer = rest.post(&format!("/applications/{application}/events"), &target.key, body(&[login()])).await;
    assert_eq!(answer.status.as_u16(), 503, "{answer:?}");
    let answer = export(&rest, &target.key).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_i64()), (503, Some(Code::Unavailable as i64)));
    assert_eq!(publish_from_a_page(&rest, &target.key).await.header("grpc-status"), "14");
    let mut of_other = Connection::open(&other).await.expect("it listens");
    assert_eq!(of_other.publish(vec![login()]).await.expect("it is taken").accepted, 1);
    assert_eq!(gateway.metrics().await.sum("headgate_policies_fresh", &[]), 0.0);

    write("player_id");
    poll::until("it is mended", PATIENCE, async || connection.publish(vec![login()]).await.ok()).await;
}
