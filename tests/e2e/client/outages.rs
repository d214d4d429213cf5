//! The gateway is killed, started again, and throttles; the client brings everything home.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headgate_client::{Client, Counters, Event, Key, Overflow};
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::poll;
use headgate_tests::seed::{Draw, seed};
use serde_json::json;

use crate::PATIENCE;
use crate::crash::stored;

const EVENTS: usize = 10_000;
const KILLS: u64 = 4;
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// 10,000 events, of an application that may send 2,000 a second, through a gateway that is killed four times meanwhile.
/// Every one of them is in the lake, byte for byte; none is there more often than it was sent again.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_in_the_lake_though_the_gateway_is_killed_and_throttles() {
    let mut draw = Draw::new(seed("client outages"), 1);
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &["lake.segment=1MiB", "lake.segment_age=1s"]).await;
    let limits = ["--events-per-second", "2000", "--events-burst", "400"];
    let (_, target) = gateway.new_application_with("throttled", &limits);
    let endpoint = format!("http://{}", target.address);
    let builder = Client::builder(endpoint, Key::value(&target.key)).batch_events(100).batches_in_flight(8);
    let builder = builder.linger(Duration::from_millis(20)).longest_backoff(Duration::from_secs(1));
    let client = builder.memory_bytes(4 << 20).overflow(Overflow::Wait(PATIENCE)).build().expect("it starts");

    let giver = client.clone();
    let giving = tokio::task::spawn_blocking(move || -> BTreeMap<String, String> {
        (0..EVENTS)
            .map(|n| {
                let data = json!({"player_id": format!("p-{}", n % 100), "n": n}).to_string();
                let event = Event::new("progress", "level_up").data(data.as_bytes());
                (giver.send(event).expect("room comes").id.to_string(), data)
            })
            .collect()
    });
    for kill in 1..=KILLS {
        let due = kill * EVENTS as u64 / (KILLS + 1);
        poll::until("a fifth more is acknowledged", PATIENCE, async || (acknowledged(&client) >= due).then_some(()))
            .await;
        // Not to wait for anything: the kill must not be tied to an acknowledgement.
        tokio::time::sleep(Duration::from_micros(draw.within(0..=30_000))).await;
        gateway.kill();
        gateway.start_again().await;
    }
    let given = giving.await.expect("no panic");
    let left = client.close_async(PATIENCE).await;
    let counters = client.counters();
    println!("{counters:?}");
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(counters.acknowledged, EVENTS as u64);
    assert!(counters.reconnects >= KILLS, "each kill ended a stream");
    assert!(counters.batches_refused > 0, "the gateway throttled");
    assert_eq!(counters.answers_not_understood, 0);

    assert!(gateway.terminate(DRAIN_DEADLINE).await.success());
    assert_stored(&gateway, &given, &counters);
}

/// The gateway asks every connection to end after half a second. Nobody notices: nothing is sent twice, nothing breaks.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_reach_their_age_cost_no_resend() {
    let data = tempfile::tempdir().expect("a folder");
    let settings = ["grpc.max_connection_age=500ms", "grpc.connection_age_jitter=0.0"];
    let mut gateway = GatewayProcess::start(data.path(), &settings).await;
    let (_, target) = gateway.demo();
    let builder = Client::builder(format!("http://{}", target.address), Key::value(&target.key));
    let client = builder.batch_events(50).linger(Duration::from_millis(5)).build().expect("it starts");
    let mut given = BTreeMap::new();
    while client.counters().moves < 4 {
        assert!(given.len() < 60_000, "no move in a minute: {:?}", client.counters());
        let id = client.send(Event::new("login", "player_login").data(b"{}")).expect("there is room").id;
        given.insert(id.to_string(), "{}".to_owned());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let left = client.close_async(PATIENCE).await;
    let counters = client.counters();
    assert!(left.is_empty(), "{left:?}: {counters:?}");
    assert_eq!((counters.resent, counters.reconnects), (0, 0), "{counters:?}");
    assert!(gateway.terminate(DRAIN_DEADLINE).await.success());
    assert_stored(&gateway, &given, &counters);
}

fn acknowledged(client: &Client) -> u64 {
    client.counters().acknowledged
}

/// Every event is there as it was given, and none more often than events were sent again.
fn assert_stored(gateway: &GatewayProcess, given: &BTreeMap<String, String>, counters: &Counters) {
    let rows = stored(gateway.data_dir());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let distinct: BTreeSet<String> = rows.iter().map(|row| text(row.event_id.data())).collect();
    assert_eq!(distinct, given.keys().cloned().collect(), "each event, and no other");
    for row in &rows {
        let data = row.event_data.as_ref().map(|data| text(data.data()));
        assert_eq!(data.as_ref(), given.get(&text(row.event_id.data())));
    }
    let doubled = (rows.len() - distinct.len()) as u64;
    assert!(doubled <= counters.resent, "{doubled} rows double, {} events sent again", counters.resent);
}
