//! `headgate healthcheck`: what a container's orchestrator is told.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use headgate_tests::client::Connection;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::{binary, poll};
use rustix::process::Signal;

use crate::PATIENCE;

/// Exit code, standard output, standard error.
fn healthcheck(data_dir: &Path, settings: &[&str], flags: &[&str]) -> (Option<i32>, String, String) {
    let mut arguments = vec![OsStr::new("healthcheck"), OsStr::new("--data-dir"), data_dir.as_os_str()];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]).map(OsStr::new));
    arguments.extend(flags.iter().map(OsStr::new));
    let output = binary::command(&arguments).output().expect("headgate can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A gateway that takes events is well by both questions. One that drains lives and is not ready, so that whoever asks for
/// liveness does not cut its drain short. One that hangs, and one that is gone, do not live.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_drains_lives_and_one_that_hangs_or_is_gone_does_not() {
    let data = tempfile::tempdir().expect("a folder");
    // A stream that stays holds the drain open for as long as the grace.
    let patient = ["lifecycle.drain_grace=30s", "lifecycle.drain_deadline=60s"];
    let mut gateway = GatewayProcess::start(data.path(), &patient).await;
    let listen = format!("operate.listen={}", gateway.operate_address());
    let ask = |flags: &[&str]| healthcheck(data.path(), &[&listen], flags);

    let url = format!("http://{}", gateway.operate_address());
    assert_eq!(ask(&[]), (Some(0), format!("{url}/healthz answered 200 OK\n"), String::new()));
    assert_eq!(ask(&["--ready"]), (Some(0), format!("{url}/readyz answered 200 OK\n"), String::new()));
    let (code, told, _) = ask(&["--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((code, &told["status"]), (Some(0), &serde_json::json!(200)));

    gateway.signal(Signal::STOP);
    let (code, _, told) = ask(&["--timeout", "300ms"]);
    assert_eq!((code, told), (Some(1), format!("headgate: {url}/healthz did not answer within 300ms\n")));
    gateway.signal(Signal::CONT);

    // Holds the drain open.
    let (_, target) = gateway.demo();
    let mut connection = Connection::open(&target).await.expect("it listens");
    let stream = connection.stream(1).await.expect("a stream");
    gateway.signal(Signal::TERM);
    let (_, told) = poll::until("it drains", PATIENCE, async || {
        let (code, _, told) = ask(&["--ready"]);
        (code == Some(1)).then_some((code, told))
    })
    .await;
    assert!(told.contains("/readyz answered 503") && told.contains("draining") && told.lines().count() == 1, "{told}");
    assert_eq!(ask(&[]).0, Some(0), "it lives");
    drop((stream, connection));

    poll::until("it is gone", PATIENCE, async || (ask(&[]).0 == Some(1)).then_some(())).await;
    let (_, _, told) = ask(&[]);
    assert!(told.starts_with(&format!("headgate: {url}/healthz can't be asked: ")), "{told}");
    assert!(gateway.ended(Duration::from_secs(25)).await.success());
}

#[test]
fn settings_that_are_not_the_gateways_are_told_from_a_gateway_that_is_ill() {
    let data = tempfile::tempdir().expect("a folder");
    let (code, _, told) = healthcheck(data.path(), &["operate.listen=127.0.0.1:0"], &[]);
    assert_eq!(code, Some(64), "{told}");
    let (code, _, told) = healthcheck(data.path(), &["operate.listne=127.0.0.1:9090"], &[]);
    assert_eq!(code, Some(64), "{told}");
    let (code, _, told) = healthcheck(data.path(), &[], &["--timeout", "soon"]);
    assert_eq!(code, Some(2), "{told}");
}
