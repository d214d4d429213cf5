//! Keys over the wire: a disabled one ends its streams, and a thousand askers cost one look-up.

use std::time::Duration;

use headgate_proto::v1::StreamEventsRequest;
use headgate_proto::v1::stream_events_response::Answer;
use headgate_tests::binary;
use headgate_tests::client::Connection;
use headgate_tests::events::login as event;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::poll;
use headgate_tests::rest::{RestClient, body};
use tonic::Code;
use tonic_types::StatusExt;

use crate::PATIENCE;

/// The promise; on top comes what a busy machine takes to notice.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// The command line disables the key in another process; the stream, idle at that moment, is ended by the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_disabled_while_its_stream_is_open_ends_that_stream_within_five_seconds() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, demo) = gateway.demo();
    let (_, target) = gateway.new_application("skyfall");
    let mut neighbour = Connection::open(&demo).await.expect("it listens");
    let mut neighbour_stream = neighbour.stream(4).await.expect("the stream opens");
    let mut connection = Connection::open(&target).await.expect("it listens");
    let mut stream = connection.stream(4).await.expect("the stream opens");
    stream.requests.send(StreamEventsRequest { sequence: 1, events: vec![event()] }).await.expect("it is sent");
    let answer = stream.answers.message().await.expect("the stream goes on").expect("an answer");
    assert!(matches!(answer.answer, Some(Answer::Verdict(verdict)) if verdict.accepted == 1));

    let keys = binary::run_json(data.path(), &["keys", "list", "skyfall"]);
    let list = keys.as_array().or_else(|| keys["keys"].as_array()).unwrap_or_else(|| panic!("no keys in {keys}"));
    let id = list[0]["api_key_id"].as_str().expect("an id").to_owned();
    let disabled = tokio::time::Instant::now();
    let _ = binary::run_json(data.path(), &["keys", "disable", &id]);
    let status = tokio::time::timeout(PATIENCE, stream.answers.message()).await.expect("it ends").expect_err("refused");
    println!("ended {:?} after it was disabled", disabled.elapsed());
    assert!(disabled.elapsed() < REVOKED_WITHIN, "{:?}", disabled.elapsed());
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(
        status.get_error_details().error_info().map(|info| info.reason.clone()).as_deref(),
        Some("key_disabled")
    );
    let status = connection.publish(vec![event()]).await.expect_err("new calls are refused too");
    assert_eq!(status.code(), Code::Unauthenticated);

    // Nobody else notices, and the key works again once it is enabled.
    let request = StreamEventsRequest { sequence: 1, events: vec![event()] };
    neighbour_stream.requests.send(request).await.expect("it is sent");
    assert!(neighbour_stream.answers.message().await.expect("the stream goes on").is_some());
    let _ = binary::run_json(data.path(), &["keys", "enable", &id]);
    poll::until("the key works again", PATIENCE, async || connection.publish(vec![event()]).await.ok()).await;
}

/// What a key may be used for is changed in another process: what is open and may no longer be ends, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_taken_away_ends_what_needs_it_within_five_seconds() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &[]).await;
    let (application, target) = gateway.new_application("skyfall");
    let keys = binary::run_json(data.path(), &["keys", "list", "skyfall"]);
    let id = keys["keys"][0]["api_key_id"].as_str().expect("an id").to_owned();
    let rescope = |scopes: &str| {
        let changed = binary::run_json(data.path(), &["keys", "scopes", &id, "--scopes", scopes]);
        assert_eq!(changed["scopes"], scopes);
    };
    let rest = RestClient::new(gateway.rest());
    let path = format!("/applications/{application}/events");
    let post = async || rest.post(&path, &target.key, body(&[event()])).await.status.as_u16();
    let mut connection = Connection::open(&target).await.expect("it listens");
    let mut stream = connection.stream(4).await.expect("the stream opens");
    stream.requests.send(StreamEventsRequest { sequence: 1, events: vec![event()] }).await.expect("it is sent");
    assert!(stream.answers.message().await.expect("the stream goes on").is_some());

    rescope("ingest-client");
    let changed = tokio::time::Instant::now();
    let status = tokio::time::timeout(PATIENCE, stream.answers.message()).await.expect("it ends").expect_err("refused");
    println!("ended {:?} after it was changed", changed.elapsed());
    assert!(changed.elapsed() < REVOKED_WITHIN, "{:?}", changed.elapsed());
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(connection.publish(vec![event()]).await.expect("single batches go on").accepted, 1);
    assert_eq!(post().await, 200);

    rescope("read");
    poll::until("it may send nothing any more", PATIENCE, async || (post().await == 403).then_some(())).await;
    let status = connection.publish(vec![event()]).await.expect_err("by no way");
    assert_eq!(status.code(), Code::PermissionDenied);
    rescope("ingest-server");
    poll::until("it may send again", PATIENCE, async || (post().await == 200).then_some(())).await;
    connection.stream(4).await.expect("by every way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_first_calls_with_one_key_make_one_look_up() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &["admission.key_refresh=4s"]).await;
    let (_, target) = gateway.new_application("skyfall");
    let looked_up = async || gateway.metrics().await.sum("headgate_key_lookups_total", &[]);
    assert_eq!(looked_up().await, 0.0);
    // Several connections, so that calls do not queue behind each other.
    let mut connections = Vec::new();
    for _ in 0..8 {
        connections.push(Connection::open(&target).await.expect("it listens"));
    }
    let calls: Vec<_> = (0..1_000)
        .map(|call| {
            let mut connection = connections[call % connections.len()].clone();
            tokio::spawn(async move { connection.publish(vec![event()]).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("it ends").expect("the key is good").accepted, 1);
    }
    // Keys in use are looked up again every four seconds here, which may happen once in the meantime.
    let scrape = gateway.metrics().await;
    let found = scrape.sum("headgate_key_lookups_total", &["result=\"found\""]);
    assert!((1.0..=2.0).contains(&found), "{found} look-ups");
    let others = scrape.sum("headgate_key_lookups_total", &[]) - found;
    assert_eq!(others, 0.0, "and none that failed");
}
