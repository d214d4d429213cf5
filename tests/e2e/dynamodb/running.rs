//! Gateways that run: changes made by anybody reach them within five seconds.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use headgate_proto::v1::StreamEventsRequest;
use headgate_tests::client::Connection;
use headgate_tests::events::login;
use headgate_tests::ministack::{MiniStack, TABLES};
use headgate_tests::poll;
use tokio::time::Instant;
use tonic::Code;

use super::{edit_key, foreign_application, foreign_key, gateway, key_row, publish, run, text};
use crate::PATIENCE;

/// The promise; polling and a busy machine are in it.
const WITHIN: Duration = Duration::from_secs(5);

/// The row is edited as the AWS solution's own console does, past every gateway.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_disabled_by_the_aws_solution_stops_within_five_seconds_on_every_gateway() {
    let (emulator, client) = MiniStack::with_tables().await;
    let application = foreign_application(&client, "Skyfall").await;
    let (id, key) = foreign_key(&client, application).await;
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let mut streams = Vec::new();
    let mut gateways = Vec::new();
    for folder in &folders {
        let gateway = gateway(folder.path(), emulator.address(), &[]).await;
        assert!(!folder.path().join("demo-api-key").exists(), "a fleet gets no demo application");
        let mut connection = Connection::open(&gateway.target(&key)).await.expect("it listens");
        let mut stream = connection.stream(4).await.expect("the key is good");
        stream.requests.send(StreamEventsRequest { sequence: 1, events: vec![login()] }).await.expect("it is sent");
        assert!(stream.answers.message().await.expect("the stream goes on").is_some());
        streams.push(stream);
        gateways.push(gateway);
    }
    let disabled = Instant::now();
    edit_key(&client, application, id, "SET enabled = :value", AttributeValue::Bool(false)).await;
    for stream in &mut streams {
        let ended = tokio::time::timeout(PATIENCE, stream.answers.message()).await.expect("it ends");
        assert_eq!(ended.expect_err("refused").code(), Code::Unauthenticated);
    }
    println!("ended {:?} after it was disabled", disabled.elapsed());
    assert!(disabled.elapsed() < WITHIN, "{:?}", disabled.elapsed());
    for gateway in &gateways {
        assert_eq!(publish(&gateway.target(&key)).await, Err(Code::Unauthenticated));
    }

    edit_key(&client, application, id, "SET enabled = :value", AttributeValue::Bool(true)).await;
    for gateway in &gateways {
        poll::until("it works again", PATIENCE, async || publish(&gateway.target(&key)).await.ok()).await;
    }
    let row = client.delete_item().table_name(TABLES.authorizations);
    row.key("api_key_id", text(id)).key("application_id", text(application)).send().await.expect("deletes");
    for gateway in &gateways {
        let refused = async || publish(&gateway.target(&key)).await.err();
        assert_eq!(poll::until("a key that is gone is refused", WITHIN, refused).await, Code::Unauthenticated);
    }
}

/// Nothing but its scopes changes: it goes on sending batches, and no longer keeps a stream open.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_loses_a_scope_stops_doing_what_it_was_for_within_five_seconds() {
    let (emulator, client) = MiniStack::with_tables().await;
    let application = foreign_application(&client, "Skyfall").await;
    let (id, key) = foreign_key(&client, application).await;
    let data = tempfile::tempdir().expect("a folder");
    let gateway = gateway(data.path(), emulator.address(), &["admission.key_last_used_every=1s"]).await;
    let target = gateway.target(&key);
    let mut connection = Connection::open(&target).await.expect("it listens");
    let mut stream = connection.stream(4).await.expect("a key without scopes may send by every way");
    stream.requests.send(StreamEventsRequest { sequence: 1, events: vec![login()] }).await.expect("it is sent");
    assert!(stream.answers.message().await.expect("the stream goes on").is_some());

    let changed = Instant::now();
    edit_key(&client, application, id, "SET scopes = :value", text("ingest-client")).await;
    let ended = tokio::time::timeout(PATIENCE, stream.answers.message()).await.expect("it ends");
    assert_eq!(ended.expect_err("refused").code(), Code::PermissionDenied);
    assert!(changed.elapsed() < WITHIN, "{:?}", changed.elapsed());
    let again = connection.stream(4).await.map(|_| ()).map_err(|status| status.code());
    assert_eq!(again, Err(Code::PermissionDenied));
    publish(&target).await.expect("a client may send single batches");

    edit_key(&client, application, id, "SET scopes = :value", text("read")).await;
    let refused = async || publish(&target).await.err();
    assert_eq!(poll::until("it may no longer send", WITHIN, refused).await, Code::PermissionDenied);
    // It was written down meanwhile, by a gateway that nobody asked for it, when it was used.
    let noted = async || key_row(&client, application, id).await.get("last_used_at").cloned();
    let AttributeValue::N(last_used_at) = poll::until("its use is noted", PATIENCE, noted).await else {
        panic!("a number")
    };
    let last_used_at: u64 = last_used_at.parse().expect("a number");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_millis();
    assert!((now - 120_000..=now).contains(&u128::from(last_used_at)), "{last_used_at}");
    let row = key_row(&client, application, id).await;
    assert_eq!(row["updated_at"], text("2024-02-03T04:05:07Z"), "using a key does not change it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_changes_reaches_a_running_gateway() {
    let (emulator, _client) = MiniStack::with_tables().await;
    let data = tempfile::tempdir().expect("a folder");
    let cli = |line: &[&str]| run(data.path(), emulator.address(), line);
    let gateway = gateway(data.path(), emulator.address(), &[]).await;
    cli(&["apps", "create", "Skyfall"]);
    let made = cli(&["keys", "create", "Skyfall", "--name", "server"]);
    let (id, key) = (made["api_key_id"].as_str().expect("an id"), made["api_key"].as_str().expect("a key"));
    let mut connection = Connection::open(&gateway.target(key)).await.expect("it listens");
    let batch = || (0..21).map(|_| login()).collect::<Vec<_>>();
    connection.publish(batch()).await.expect("a new key works");

    let changed = Instant::now();
    cli(&["apps", "update", "Skyfall", "--events-per-second", "10", "--events-burst", "20"]);
    let refused =
        async || connection.publish(batch()).await.err().filter(|error| error.code() == Code::InvalidArgument);
    poll::until("the limit is in force", PATIENCE, refused).await;
    assert!(changed.elapsed() < WITHIN, "{:?}", changed.elapsed());

    let changed = Instant::now();
    cli(&["keys", "disable", id]);
    let refused =
        async || connection.publish(Vec::new()).await.err().filter(|error| error.code() == Code::Unauthenticated);
    poll::until("the key is refused", PATIENCE, refused).await;
    assert!(changed.elapsed() < WITHIN, "{:?}", changed.elapsed());
}
