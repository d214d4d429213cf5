//! Servers instrumented with OpenTelemetry send game events with their stock exporters, over gRPC and over HTTP, and what
//! is acknowledged to them is in the lake; and every answer of both doors, with a destination that does as it is told.

mod answers;
mod endings;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use headgate::clock::Clock;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::{binary, lake, poll, python};
use serde_json::{Value, json};

use crate::PATIENCE;

const EVENTS: u64 = 10_000;
const BATCH: u64 = 100;
/// Of each event's time beyond the one before it, nanoseconds.
const STEP: u64 = 1_000_003;
const NAMES: [&str; 4] = ["login", "match.started", "match.round.won", "shop.bought"];
/// The exporter sends faster than that: it is throttled several times.
const RATE: [&str; 2] = ["admission.events_per_second=500", "admission.events_burst=500"];

fn exporting(protocol: &str, gateway: &GatewayProcess, base: u64) -> Command {
    let (_, target) = gateway.demo();
    let address = if protocol == "grpc" { target.address } else { gateway.rest() };
    let mut client = Command::new(python::otlp());
    client.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/otlp_client.py"));
    client.args(["--protocol", protocol, "--endpoint", &format!("http://{address}")]);
    client.arg("--key-file").arg(gateway.data_dir().join("demo-api-key"));
    client.args(["--base", &base.to_string(), "--events", &EVENTS.to_string(), "--batch", &BATCH.to_string()]);
    client
}

/// What the lake has to say of the event with this number.
fn expected(number: u64, base: u64) -> (String, String, u64, Value) {
    let name = NAMES[usize::try_from(number).expect("small") % NAMES.len()];
    let event_type =
        if number.is_multiple_of(3) { "iap_transaction" } else { name.split('.').next().expect("one part at least") };
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let ratio = number as f64 / 8.0;
    let mut data = json!({
        "n": number, "player_id": format!("p{}", number % 97), "text": "über \"漢字\"\n", "ratio": ratio,
        "won": number.is_multiple_of(2), "tags": ["a", "b"],
    });
    if !number.is_multiple_of(5) {
        data["body"] = json!(format!("event {number}"));
    }
    (event_type.to_owned(), name.to_owned(), (base + number * STEP) / 1_000_000, data)
}

/// Each event is in the lake, as it was emitted, under one id of its own.
fn assert_all_in(lake: &Path, base: u64) {
    let mut ids: HashMap<u64, Vec<u8>> = HashMap::new();
    for row in lake::rows(lake) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let data: Value = serde_json::from_slice(row.event_data.as_ref().expect("data").data()).expect("JSON");
        let number = data["n"].as_u64().expect("its number");
        let time = u64::try_from(row.event_time_ms).expect("after 1970");
        let event = (text(row.event_type.data()), text(row.event_name.data()), time, data);
        assert_eq!(event, expected(number, base));
        assert_eq!(row.app_version.expect("the service's version").data(), b"3.1.4");
        let id = row.event_id.data().to_vec();
        assert_eq!(*ids.entry(number).or_insert_with(|| id.clone()), id, "two ids of event {number}");
    }
    assert_eq!(ids.len() as u64, EVENTS);
    let mut distinct: Vec<_> = ids.into_values().collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len() as u64, EVENTS, "two events under one id");
}

/// The exporter is throttled all along, and the gateway killed in the middle and started again: all that the SDK was told
/// is exported is in the lake, and what came twice has the same id.
async fn everything_arrives_through(protocol: &'static str) {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &RATE).await;
    let base = u64::try_from(Clock::system().wall_ms()).expect("after 1970") * 1_000_000;
    let mut command = exporting(protocol, &gateway, base);
    let exporter = tokio::task::spawn_blocking(move || python::run(&mut command));
    poll::until("a part has arrived", PATIENCE, async || {
        let accepted = gateway.metrics().await.sum("headgate_events_settled_total", &["verdict=\"accepted\""]);
        (accepted >= 1_000.0).then_some(())
    })
    .await;
    assert!(!exporter.is_finished());
    gateway.kill();
    gateway.start_again().await;
    let said = exporter.await.expect("a command can be run").expect("everything is exported");
    let report: Value = serde_json::from_str(&said).expect("JSON");
    println!("{protocol}: {report}");
    assert_eq!(report, json!({"exported": EVENTS, "failed": 0}));

    let metrics = gateway.metrics().await;
    let door = format!("door=\"otlp_{protocol}\"");
    assert!(metrics.sum("headgate_door_batches_total", &[door.as_str()]) > 0.0);
    assert!(metrics.sum("headgate_refusals_total", &["refusal=\"over_rate\""]) > 0.0, "it was throttled");
    assert_eq!(metrics.sum("headgate_accounting_violations_total", &[]), 0.0);
    assert_eq!(metrics.sum("headgate_in_flight_bytes", &[]), 0.0);
    let compacted = binary::run_json(gateway.data_dir(), &["lake", "compact"]);
    assert_eq!(compacted["failed"], json!([]), "{compacted}");
    assert_all_in(&gateway.lake(), base);
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_stock_exporter_over_grpc_is_in_the_lake_after_a_kill_and_throttling() {
    everything_arrives_through("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_stock_exporter_over_http_is_in_the_lake_after_a_kill_and_throttling() {
    everything_arrives_through("http").await;
}
