//! The smoke test of releases: it passes on a gateway that works, and its report names what does not.

mod aws;
pub(crate) mod report;

use std::time::Duration;

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::loadtest::{Ended, LoadTester};
use headgate_tests::{binary, lake, poll};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use self::report::Report;
use super::House;
use crate::PATIENCE;

const STEPS: [&str; 7] = ["version", "application", "key", "events", "lake", "metrics", "clean-up"];
/// Minutes are counted as soon as they are over, and what keys may do is looked up often.
const SETTINGS: [&str; 2] = ["live.window_grace=1s", "admission.key_refresh=200ms"];
const REPORT: &str = "smoke.xml";

/// A smoke test of the house's gateway, at another address if `host` is one.
fn start(house: &House, host: Option<&str>, flags: &[&str]) -> LoadTester {
    start_in(house, host, flags, &[])
}

fn start_in(house: &House, host: Option<&str>, flags: &[&str], environment: &[(String, String)]) -> LoadTester {
    let own = format!("http://{}", house.gateway.target("").address);
    let token = house.gateway.data_dir().join("admin-token").display().to_string();
    let all = ["smoke", "--host", host.unwrap_or(&own), "--admin-token-file", &token, "--report", REPORT];
    LoadTester::start(house.home(), &[&all[..], flags].concat(), environment)
}

/// The report of one that ended with this status.
fn report(house: &House, ended: &Ended, status: i32) -> Report {
    assert_eq!(ended.status, Some(status), "{ended}");
    let report = Report::read(&house.home().join(REPORT));
    assert_eq!(report.names(), STEPS, "{ended}");
    report
}

/// The applications that smoke tests have made and not deleted.
fn left(gateway: &GatewayProcess) -> Vec<String> {
    let listed = binary::run_json(gateway.data_dir(), &["apps", "list"]);
    let names = listed["applications"].as_array().expect("an array").iter().map(|app| app["name"].as_str());
    names.flatten().filter(|name| name.starts_with("smoke-")).map(str::to_owned).collect()
}

/// The application of the smoke test that runs.
async fn made(gateway: &GatewayProcess) -> String {
    poll::until("an application is made", PATIENCE, async || left(gateway).pop()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_works_passes_every_step_and_keeps_nothing_but_the_events() {
    let house = House::with(&SETTINGS, &[]).await;
    let ready: Value = serde_json::from_str(&house.gateway.get("/readyz").await).expect("JSON");
    let version = ready["version"].as_str().expect("a version");
    let metrics = format!("http://{}/metrics", house.gateway.operate_address());
    let asked = ["--lake", "lake:headgate-data", "--metrics", &metrics, "--timeout", "60s", "--events", "600"];
    let flags = [&asked[..], &["--expect-version", version, "--seconds-of-load", "1"]].concat();
    let ended = start(&house, None, &flags).ended().await;
    let report = report(&house, &ended, 0);
    assert_eq!(report.counts(), (7, 0, 0), "{ended}");
    for step in STEPS {
        assert!(report.passed(step), "{step}: {ended}");
    }
    for (step, says) in [
        ("version", "in 20 answers, by 1 gateways"),
        ("key", "UNAUTHENTICATED (key_unknown)"),
        ("events", "600 events acknowledged"),
        ("events", "5 events that break a rule rejected"),
        ("lake", "600 of 600 acknowledged events are in lake:headgate-data"),
        ("metrics", "600 events, 75 logins counted"),
        ("clean-up", "the key is refused"),
    ] {
        assert!(report.out(step).contains(says), "{step}: {:?}", report.out(step));
    }
    assert!(ended.printed.lines().last().is_some_and(|line| line.starts_with("PASS  7 passed")), "{ended}");
    assert!(left(&house.gateway).is_empty());
    assert_eq!(lake::rows(&house.gateway.lake()).len(), 600);
}

/// The gateway acknowledges one event and does not keep it, as it does with players who are suppressed.
#[tokio::test(flavor = "multi_thread")]
async fn one_acknowledged_event_that_is_not_in_the_lake_fails_the_lake_and_is_named() {
    let house = House::with(&SETTINGS, &[]).await;
    let flags = ["--lake", "lake:headgate-data", "--timeout", "3s", "--events", "300", "--seconds-of-load", "15"];
    let running = start(&house, None, &flags);
    let application = made(&house.gateway).await;
    // Each of 300 events is of another player; this one's comes last.
    let suppress = ["players", "suppress", &application, "smoke-player-299"];
    let _ = binary::run_json(house.gateway.data_dir(), &suppress);
    let ended = running.ended().await;
    let report = report(&house, &ended, 3);
    assert_eq!(report.counts(), (7, 1, 1), "{ended}");
    assert!(report.passed("events") && report.passed("clean-up"), "{ended}");
    let (kind, message) = report.failure("lake");
    assert_eq!(kind, "lost");
    let (_, rest) =
        message.split_once("1 of 300 acknowledged events is not in lake:headgate-data after ").expect("a count");
    let id: Uuid = rest.split([' ', ';']).find_map(|word| word.parse().ok()).expect("the event's id");
    let rows = lake::rows(&house.gateway.lake());
    assert_eq!(rows.len(), 299);
    assert!(rows.iter().all(|row| row.event_id.data() != id.to_string().as_bytes()), "{id}");
    assert!(report.skip("metrics").contains("--metrics"), "{ended}");
    assert!(ended.printed.lines().last().is_some_and(|line| line.starts_with("FAILED  lake: 1 of 300 ")), "{ended}");
    assert!(left(&house.gateway).is_empty());
}

/// Connections go to one gateway and the other in turn.
async fn in_turn(gateways: [&GatewayProcess; 2]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let behind = gateways.map(|gateway| gateway.target("").address);
    tokio::spawn(async move {
        for gateway in behind.into_iter().cycle() {
            let Ok((mut client, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(gateway).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    format!("http://{address}")
}

/// Two gateways behind one address do not share their registry: the key that one has made is unknown to the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_good_key_that_is_refused_fails_with_the_gateways_reason_and_skips_what_needs_it() {
    const TOKEN: &str = "a-token-that-both-gateways-have";
    let environment = [("HEADGATE_ADMIN__TOKEN".to_owned(), TOKEN.to_owned())];
    let house = House::with(&SETTINGS, &environment).await;
    let folder = tempfile::tempdir().expect("a folder");
    let other = GatewayProcess::start_in(folder.path(), &SETTINGS, &environment).await;
    std::fs::write(house.gateway.data_dir().join("admin-token"), TOKEN).expect("the folder can be written");
    let host = in_turn([&house.gateway, &other]).await;
    let ended = start(&house, Some(&host), &["--lake", "lake:headgate-data", "--timeout", "3s"]).ended().await;
    let report = report(&house, &ended, 3);
    assert_eq!(report.counts(), (7, 1, 3), "{ended}");
    assert!(report.out("version").contains("by 2 gateways"), "{ended}");
    let (kind, message) = report.failure("key");
    assert_eq!(kind, "key-refused");
    assert!(message.contains("UNAUTHENTICATED (key_unknown): the API key is unknown"), "{message}");
    assert!(message.contains("the same registry"), "{message}");
    assert_eq!(report.skip("events"), "needs the step key");
    assert_eq!((report.skip("lake"), report.skip("metrics")), ("needs the step events", "needs the step events"));
    assert!(report.passed("clean-up"), "{ended}");
    assert!(left(&house.gateway).is_empty() && left(&other).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_or_commit_than_the_deployed_one_is_named_with_what_was_expected() {
    let house = House::with(&SETTINGS, &[]).await;
    let ready: Value = serde_json::from_str(&house.gateway.get("/readyz").await).expect("JSON");
    let served = ready["version"].as_str().expect("a version");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for (expected, says) in [
        (["--expect-version", "9.9.9"], "is served, and 9.9.9 is expected"),
        (["--expect-commit", commit], "is served, and commit 0123456789abcdef0123456789abcdef01234567 is expected"),
    ] {
        let flags = [&expected[..], &["--events", "10", "--seconds-of-load", "0"]].concat();
        let ended = start(&house, None, &flags).ended().await;
        let report = report(&house, &ended, 3);
        let (kind, message) = report.failure("version");
        assert_eq!(kind, "version");
        assert!(message.starts_with(served) && message.contains(says), "{message}");
        // Everything else is asked all the same.
        assert_eq!(report.counts(), (7, 1, 2), "{ended}");
        assert!(report.passed("events") && report.passed("clean-up"), "{ended}");
        assert!(ended.printed.lines().last().is_some_and(|line| line.starts_with("FAILED  version: ")), "{ended}");
    }
}

/// A pipeline that is stopped leaves no application and no key behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_smoke_test_that_is_told_to_stop_deletes_what_it_has_made() {
    let house = House::with(&SETTINGS, &[]).await;
    for signal in [Signal::TERM, Signal::INT] {
        let running = start(&house, None, &["--events", "1000", "--seconds-of-load", "600"]);
        let received = || async { house.gateway.metrics().await.sum("headgate_events_received_total", &[]) };
        let before = received().await;
        poll::until("events come", PATIENCE, async || (received().await > before).then_some(())).await;
        running.signal(signal);
        let ended = running.ended().await;
        let report = report(&house, &ended, 130);
        assert_eq!(report.failure("events"), ("interrupted", "interrupted"));
        assert!(report.passed("clean-up") && report.skip("lake") == "interrupted", "{ended}");
        assert!(left(&house.gateway).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_asked_is_refused_before_anything_is() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("token"), "a token\n").expect("the folder can be written");
    std::fs::write(home.path().join("empty"), "\n").expect("the folder can be written");
    let host = ["smoke", "--host", "http://127.0.0.1:1", "--admin-token-file"];
    for (flags, says) in [
        (vec!["nowhere"], "--admin-token-file nowhere: "),
        (vec!["empty"], "the file is empty"),
        (vec!["token", "--lake", "headgate-data"], "give s3://BUCKET/raw_events/ or lake:PATH"),
        (vec!["token", "--lake", "s3://No/raw_events"], "s3://BUCKET/PREFIX"),
        (vec!["token", "--metrics", "127.0.0.1:9090"], "http://HOST:PORT/metrics"),
        (vec!["token", "--metrics", "http://a/metrics", "--metrics-namespace", "a"], "cannot be used with"),
        (vec!["token", "--expect-commit", "main"], "7 to 40 hexadecimal digits"),
        (vec!["token", "--events", "0"], "1..=100000"),
        (vec!["token", "--report", "no/such/folder.xml"], "give a file that can be written"),
    ] {
        let ended = LoadTester::run(home.path(), &[&host[..], &flags].concat()).await;
        assert_eq!(ended.status, Some(2), "{ended}");
        assert!(ended.complained.contains(says), "{says}: {ended}");
    }
}

/// Nobody listens: the first two steps fail and say where to look; nothing is waited for longer than it may take to come up.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_there_fails_in_a_minute_and_says_where_to_look() {
    let house = House::new().await;
    let began = tokio::time::Instant::now();
    let ended = start(&house, Some("http://127.0.0.1:1"), &[]).ended().await;
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let report = report(&house, &ended, 3);
    assert_eq!(report.counts(), (7, 2, 5), "{ended}");
    for step in ["version", "application"] {
        let (kind, message) = report.failure(step);
        assert!(kind == "call" && message.contains("does --host lead to a gateway that is up"), "{message}");
    }
    assert_eq!(report.skip("clean-up"), "nothing was made");
}
