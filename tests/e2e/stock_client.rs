//! Clients that have nothing of Headgate's but its proto files are served, and readers that know nothing but Parquet find
//! what they sent.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use headgate::clock::Clock;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::seed::seed;
use headgate_tests::{binary, python};
use serde_json::json;

const STREAMED: u64 = 100_000;
const UNARY: u64 = 10_000;
const EVENTS: u64 = STREAMED + UNARY;

fn stock_client(command: &str) -> Command {
    let mut python = Command::new(python::interpreter());
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/stock_client.py")).arg(command);
    python
}

async fn run(mut command: Command) -> Result<String, String> {
    tokio::task::spawn_blocking(move || python::run(&mut command)).await.expect("a command can be run")
}

/// 100,000 events on streams with many batches in flight and 10,000 in unary calls, from Python with generated stubs;
/// then DuckDB, over the lake's folders, finds each of them once, in its partition, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_streams_100_000_events_and_a_stock_reader_finds_each_of_them() {
    let seed = (seed("stock client") >> 2).to_string();
    let now = Clock::system().wall_ms() / 1_000;
    let midnight = (now - now % 86_400).to_string();
    let (data, stubs) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let proto = binary::workspace().join("proto/proto");
    let mut generate = stock_client("stubs");
    generate.arg("--proto").arg(&proto).arg("--out").arg(stubs.path());
    run(generate).await.expect("grpcio-tools generates stubs from the proto files as they are");

    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (application, target) = gateway.demo();
    let mut send = stock_client("send");
    send.arg("--stubs").arg(stubs.path()).arg("--key-file").arg(data.path().join("demo-api-key"));
    send.args(["--address", &target.address.to_string(), "--seed", &seed, "--midnight", &midnight]);
    send.args(["--streamed", &STREAMED.to_string(), "--unary", &UNARY.to_string()]);
    let report: serde_json::Value =
        serde_json::from_str(&run(send).await.expect("everything is accepted")).expect("JSON");
    println!("{report}");
    assert_eq!(report["accepted"], json!(EVENTS));

    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("headgate_events_settled_total", &["verdict=\"accepted\""]), EVENTS as f64);
    assert_eq!(metrics.sum("headgate_accounting_violations_total", &[]), 0.0);
    assert_eq!(metrics.sum("headgate_in_flight_bytes", &[]), 0.0);

    // Through the command line, which asks the gateway that runs.
    let compacted = binary::run_json(gateway.data_dir(), &["lake", "compact"]);
    assert_eq!(compacted["failed"], json!([]), "{compacted}");
    let verified = binary::run_json(gateway.data_dir(), &["lake", "verify"]);
    assert_eq!(verified["problems"], json!([]), "{verified}");

    let mut check = stock_client("check");
    check.arg("--lake").arg(gateway.lake());
    check.args(["--seed", &seed, "--midnight", &midnight, "--events", &EVENTS.to_string()]);
    check.args(["--application", &application.to_string()]);
    println!("{}", run(check).await.expect("the lake holds what was sent"));
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
}
