//! The senders of `docs/clients`, on nothing but stock generated code: each is built as its page says, sends while the
//! gateway throttles it and is killed, and must have brought every event into the lake.
//!
//! C# is not among them: there is no .NET SDK to be had from package registries.

mod cpp;
mod go;
mod java;
mod program;
mod python;
mod typescript;
mod workshop;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::{binary, lake, poll};
use serde_json::json;
use tempfile::TempDir;

use self::program::{Program, Report};
use crate::PATIENCE;
use crate::tls::Authority;

const EVENTS: u64 = 10_000;
/// Events at once: the rest is put off.
const BURST: u64 = 1_500;
/// Events a second of the gateway's first life: on the busiest machine each of the programs sends more, and is put off.
const FIRST_RATE: u64 = 50;
/// And from then on.
const RATE: u64 = 1_000;
const KILLS: u64 = 2;
/// Events that come one by one, and the time between two: more than an event waits for others, so each finds none waiting.
const SLOW_EVENTS: u64 = 40;
const SLOWLY: Duration = Duration::from_millis(150);
const AT_ONCE: Duration = Duration::ZERO;
/// From the start of a program to its end, the gateway's two restarts included. Its own patience at the end is a minute.
const RUN_PATIENCE: Duration = Duration::from_secs(180);

/// A program in this language, ready to run. Says what to install where it can't be made.
type Prepare = fn() -> Program;

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_brings_every_event_through_kills_and_throttling() {
    each_promise_is_kept(python::prepare, Tls::Yes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_client_brings_every_event_through_kills_and_throttling() {
    each_promise_is_kept(typescript::prepare, Tls::Yes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cpp_client_brings_every_event_through_kills_and_throttling() {
    each_promise_is_kept(cpp::prepare, Tls::Yes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_client_brings_every_event_through_kills_and_throttling() {
    each_promise_is_kept(go::prepare, Tls::Yes).await;
}

/// Without TLS: Debian's netty has no ALPN.
#[tokio::test(flavor = "multi_thread")]
async fn the_java_client_brings_every_event_through_kills_and_throttling() {
    each_promise_is_kept(java::prepare, Tls::No).await;
}

#[derive(Clone, Copy, PartialEq)]
enum Tls {
    Yes,
    No,
}

async fn each_promise_is_kept(prepare: Prepare, tls: Tls) {
    let program = tokio::task::spawn_blocking(prepare).await.expect("it can be made");
    nothing_is_sent_twice_where_nothing_fails(&program).await;
    a_bad_key_ends_it_at_once(&program).await;
    what_comes_while_the_gateway_is_away_is_sent_later(&program).await;
    every_event_comes_through_kills_and_throttling(&program, tls).await;
}

/// Plaintext, no limit that matters, no fault: each event once, on one stream.
async fn nothing_is_sent_twice_where_nothing_fails(program: &Program) {
    let data = folder();
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, target) = gateway.demo();
    let key = data.path().join("demo-api-key");
    let ended = program.start(&target.address.to_string(), &key, None, EVENTS, AT_ONCE).ended(RUN_PATIENCE).await;
    assert!(ended.success, "{ended:?}");
    assert_eq!(ended.report, Report { acknowledged: EVENTS, streams: 1, ..Report::default() });
    assert_eq!(stored(&mut gateway).await, Stored { rows: EVENTS, distinct: EVENTS });
}

/// No retry mends a key: the program says what the gateway said, and fails.
async fn a_bad_key_ends_it_at_once(program: &Program) {
    let data = folder();
    let gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, target) = gateway.demo();
    let key = data.path().join("bad-key");
    std::fs::write(&key, "not-a-key\n").expect("it can be written");
    let ended = program.start(&target.address.to_string(), &key, None, 10, AT_ONCE).ended(PATIENCE).await;
    assert!(!ended.success, "{ended:?}");
    assert_eq!(ended.report, Report::default());
    assert!(ended.errors.contains("the API key is unknown"), "{ended:?}");
}

/// Events go on coming, one by one, while there is no gateway: none of them keeps the client from connecting again.
async fn what_comes_while_the_gateway_is_away_is_sent_later(program: &Program) {
    let data = folder();
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, target) = gateway.demo();
    let key = data.path().join("demo-api-key");
    let mut run = program.start(&target.address.to_string(), &key, None, SLOW_EVENTS, SLOWLY);
    poll::until("an event is accepted", PATIENCE, async || {
        run.assert_running();
        (accepted(&gateway).await > 0.0).then_some(())
    })
    .await;
    gateway.kill();
    poll::until("the client notices", PATIENCE, async || {
        run.assert_running();
        run.errors().contains("the stream ended").then_some(())
    })
    .await;
    gateway.start_again().await;
    let ended = run.ended(RUN_PATIENCE).await;
    assert!(ended.success, "{ended:?}");
    let Report { acknowledged, refused, resent, .. } = ended.report;
    assert_eq!((acknowledged, refused), (SLOW_EVENTS, 0), "{ended:?}");
    let Stored { rows, distinct } = stored(&mut gateway).await;
    assert_eq!(distinct, SLOW_EVENTS, "events that are in the lake, of those acknowledged");
    assert!(rows - distinct <= resent, "{rows} rows, and {resent} events were sent again");
}

/// Each life of the gateway takes a burst and is killed, the first once it has put the program off. What was in flight is sent again with the same ids, to a gateway
/// that has forgotten what it has seen: so a row may be there twice, but only if its event was sent twice.
async fn every_event_comes_through_kills_and_throttling(program: &Program, tls: Tls) {
    let data = folder();
    let authority = Authority::new();
    let ca = data.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("it can be written");
    authority.write(data.path());
    let setting = |name: &str, file: &str| format!("grpc.tls.{name}={}", data.path().join(file).display());
    let settings = [setting("certificate", "cert.pem"), setting("private_key", "key.pem")];
    let settings: Vec<&str> = if tls == Tls::Yes { settings.iter().map(String::as_str).collect() } else { Vec::new() };

    let mut gateway = GatewayProcess::start(data.path(), &settings).await;
    let (first_rate, rate, burst) = (FIRST_RATE.to_string(), RATE.to_string(), BURST.to_string());
    let limits = ["--events-per-second", &first_rate, "--events-burst", &burst];
    let (_, target) = gateway.new_application_with("throttled", &limits);
    let key = data.path().join("throttled-api-key");
    std::fs::write(&key, &target.key).expect("it can be written");
    // The certificate is for this name.
    let address = format!("localhost:{}", target.address.port());
    let mut run = program.start(&address, &key, (tls == Tls::Yes).then_some(&ca), EVENTS, AT_ONCE);
    for kill in 0..KILLS {
        poll::until("the gateway has taken a burst", RUN_PATIENCE, async || {
            run.assert_running();
            let has_put_off = gateway.metrics().await.sum("headgate_refusals_total", &["refusal=\"over_rate\""]) > 0.0;
            (accepted(&gateway).await >= BURST as f64 && (has_put_off || kill > 0)).then_some(())
        })
        .await;
        gateway.kill();
        let _ = binary::run_json(data.path(), &["apps", "update", "throttled", "--events-per-second", &rate]);
        gateway.start_again().await;
    }
    let ended = run.ended(RUN_PATIENCE).await;
    println!("{}: {:?}", program.name(), ended.report);
    assert!(ended.success, "{ended:?}");
    let Report { acknowledged, refused, resent, put_off, streams } = ended.report;
    assert_eq!((acknowledged, refused), (EVENTS, 0), "{ended:?}");
    assert!(put_off > 0, "it was not throttled: {ended:?}");
    assert!(streams > KILLS, "no kill hit its stream: {ended:?}");
    let Stored { rows, distinct } = stored(&mut gateway).await;
    assert_eq!(distinct, EVENTS, "events that are in the lake, of those acknowledged");
    assert!(rows - distinct <= resent, "{rows} rows, and {resent} events were sent again");
}

/// Events that this life of the gateway has accepted.
async fn accepted(gateway: &GatewayProcess) -> f64 {
    gateway.metrics().await.sum("headgate_events_settled_total", &["verdict=\"accepted\""])
}

#[derive(Debug, PartialEq)]
struct Stored {
    rows: u64,
    distinct: u64,
}

/// What is in the lake once the gateway has ended.
async fn stored(gateway: &mut GatewayProcess) -> Stored {
    assert!(gateway.terminate(PATIENCE).await.success());
    let compacted = binary::run_json(gateway.data_dir(), &["lake", "compact"]);
    assert_eq!(compacted["failed"], json!([]), "{compacted}");
    let rows = lake::rows(&gateway.lake());
    let ids: HashSet<&[u8]> = rows.iter().map(|row| row.event_id.data()).collect();
    Stored { rows: rows.len() as u64, distinct: ids.len() as u64 }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A file or folder of `docs/clients`.
fn source(path: &str) -> std::path::PathBuf {
    binary::workspace().join("docs/clients").join(path)
}

/// The folder that holds `headgate/v1/ingest.proto`.
fn protos() -> std::path::PathBuf {
    binary::workspace().join("proto/proto")
}

/// The option of protoc that names where to write, such as `--java_out=FOLDER`.
fn out(kind: &str, folder: &Path) -> String {
    format!("--{kind}_out={}", folder.display())
}
