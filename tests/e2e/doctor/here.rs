//! What needs no AWS: ports, TLS files, folders, the registry's file, and a gateway that runs.

use std::fs;
use std::net::TcpListener;

use headgate_tests::binary;
use headgate_tests::gateway::GatewayProcess;

use super::doctor;
use crate::tls::Authority;

/// Nothing is set up, and nothing has to be: what is missing is made at the first start, not by looking.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_is_found_well_and_left_empty() {
    let data = tempfile::tempdir().expect("a folder");
    let found = doctor(data.path(), &[], &[], &[]).await;
    assert_eq!(found.code, Some(0), "{}", found.report);
    assert!(found.report["ok"] == true && found.named("fail").is_empty(), "{}", found.report);
    found.assert("settings", "ok", &["4 flag", "default"]);
    found.assert("registry file", "ok", &["first start"]);
    found.assert("data folder", "ok", &["fsync"]);
    found.assert("gateway", "skip", &["none answers"]);
    assert_eq!(fs::read_dir(data.path()).expect("lists").count(), 0);

    let none = data.path().join("not/there/yet");
    let found = doctor(&none, &[], &[], &[]).await;
    assert_eq!(found.code, Some(0), "{}", found.report);
    assert_eq!(fs::read_dir(data.path()).expect("lists").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_written_or_read_fails_with_its_mend() {
    let data = tempfile::tempdir().expect("a folder");
    fs::write(data.path().join("lake"), b"in the way").expect("writes");
    fs::write(data.path().join("registry.sqlite"), "no database, however long it is. ".repeat(200)).expect("writes");
    let authority = Authority::new();
    authority.write(data.path());
    let (_, other) = authority.sign();
    let file = |name: &str| data.path().join(name);
    fs::write(file("other.pem"), other).expect("writes");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address)).expect("it is bound");
    let settings = [
        format!("grpc.tls.certificate={:?}", file("cert.pem")),
        format!("grpc.tls.private_key={:?}", file("other.pem")),
        format!("rest.tls.certificate={:?}", file("cert.pem")),
        format!("rest.tls.private_key={:?}", file("key.pem")),
        format!("rest.listen={}", taken.1),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let found = doctor(data.path(), &settings, &[], &[]).await;
    assert_eq!(found.code, Some(1), "{}", found.report);
    assert!(found.stderr.contains("checks failed"), "{}", found.stderr);
    found.assert("lake folder", "fail", &["is no folder", "data_dir"]);
    found.assert("registry file", "fail", &["damaged", "backup"]);
    found.assert("grpc.tls", "fail", &["can't be used", "one key pair"]);
    found.assert("rest.tls", "ok", &["fit", "h2, http/1.1"]);
    found.assert("rest.listen", "fail", &["taken", "rest.listen"]);
    assert_eq!(found.named("fail").len(), 4, "{}", found.report);
}

/// With the gateway's own settings, beside the gateway: its ports are taken by itself, which is as it should be.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_runs_is_found_and_not_disturbed() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, demo) = gateway.demo();
    let route = ["apps", "update", "demo", "--route", "kinesis"];
    let _ = tokio::task::spawn_blocking({
        let data = data.path().to_owned();
        move || binary::run_json(&data, &route)
    })
    .await
    .expect("it runs");
    let settings = [
        format!("grpc.listen={}", demo.address),
        format!("rest.listen={}", gateway.rest()),
        format!("operate.listen={}", gateway.operate_address()),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let found = doctor(data.path(), &settings, &[], &[]).await;
    assert_eq!(found.code, Some(0), "{}", found.report);
    for port in ["grpc.listen", "rest.listen", "operate.listen"] {
        found.assert(port, "ok", &["by the gateway that runs"]);
    }
    found.assert("gateway", "ok", &["takes events, for lake"]);
    // Its route leads nowhere here: events go to the default, and somebody should know.
    found.assert("registry file", "warn", &["whole", "demo (kinesis)", "--route default"]);
    let status = gateway.terminate(std::time::Duration::from_secs(60)).await;
    assert!(status.success(), "{status}");

    // Stopped, its file is looked at as it lies there.
    let before = fs::read_dir(data.path()).expect("lists").count();
    let found = doctor(data.path(), &settings, &[], &[]).await;
    found.assert("registry file", "warn", &["version", "demo (kinesis)"]);
    found.assert("operate.listen", "ok", &["is free"]);
    assert_eq!(fs::read_dir(data.path()).expect("lists").count(), before);
}
