//! Administering a gateway from outside: the command line as a process of its own, over the network.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Output;

use headgate_tests::client::Connection;
use headgate_tests::events::login as event;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::{binary, poll};
use serde_json::Value;

use crate::PATIENCE;

/// The command line on a machine that has nothing of the gateway's but its token.
struct Elsewhere<'a> {
    folder: tempfile::TempDir,
    url: String,
    token_file: &'a Path,
}

impl Elsewhere<'_> {
    fn run(&self, arguments: &[&str]) -> Value {
        let all = [arguments, &["--gateway", &self.url, "--admin-token-file", &self.token_file.display().to_string()]];
        binary::run_json(self.folder.path(), &all.concat())
    }

    fn fail(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let all = [arguments, &["--gateway", &self.url]].concat();
        let mut all: Vec<&OsStr> = all.iter().map(OsStr::new).collect();
        all.extend([OsStr::new("--data-dir"), self.folder.path().as_os_str()]);
        let Output { status, stderr, .. } = binary::command(&all).output().expect("headgate can be run");
        assert!(!status.success());
        (status.code(), String::from_utf8_lossy(&stderr).into_owned())
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Every command, through the gateway; the registry, read on the gateway's own machine, says the same afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_through_a_running_gateway_what_it_does_on_the_registry() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &[]).await;
    let token_file = data.path().join("admin-token");
    let elsewhere = Elsewhere {
        folder: tempfile::tempdir().expect("a folder"),
        url: format!("http://{}", gateway.target("").address),
        token_file: &token_file,
    };
    let created = elsewhere.run(&["apps", "create", "Skyfall", "--environment", "stage", "--events-per-second", "99"]);
    let id = text(&created, "application_id").to_owned();
    assert_eq!(created["limits"]["events_per_second"], 99);
    let changed = elsewhere.run(&["apps", "update", "Skyfall", "--description", "a game"]);
    assert_eq!((&changed["limits"], &changed["environment"]), (&created["limits"], &Value::from("stage")));

    let old = elsewhere.run(&["keys", "create", "Skyfall", "--name", "server", "--scopes", "ingest-server"]);
    let old_id = text(&old, "api_key_id").to_owned();
    let new = elsewhere.run(&["keys", "rotate", &old_id, "--overlap", "1h"]);
    for key in [&old, &new] {
        let mut connection = Connection::open(&gateway.target(text(key, "api_key"))).await.expect("it listens");
        assert_eq!(connection.publish(vec![event()]).await.expect("both keys let in").accepted, 1);
    }
    let rescoped = elsewhere.run(&["keys", "scopes", &old_id, "--scopes", "ingest-client,read"]);
    assert_eq!((text(&rescoped, "scopes"), text(&rescoped, "state")), ("ingest-client,read", "enabled"));
    elsewhere.run(&["keys", "disable", &old_id]);
    for listed in ["apps", "keys"] {
        assert_eq!(elsewhere.run(&[listed, "list"]), binary::run_json(data.path(), &[listed, "list"]));
    }
    assert_eq!(elsewhere.run(&["apps", "show", "Skyfall"]), binary::run_json(data.path(), &["apps", "show", &id]));
    let status = poll::until("the key is refused", PATIENCE, async || {
        let mut connection = Connection::open(&gateway.target(text(&old, "api_key"))).await.ok()?;
        connection.publish(vec![event()]).await.err()
    })
    .await;
    assert_eq!(status.code(), tonic::Code::Unauthenticated);

    let schema = elsewhere.folder.path().join("schema.json");
    std::fs::write(&schema, r#"{"required":["player_id"]}"#).expect("writes");
    let schema = schema.display().to_string();
    for version in [1, 2] {
        assert_eq!(elsewhere.run(&["schemas", "put", "Skyfall", "login", &schema])["version"], version);
    }
    assert_eq!(elsewhere.run(&["schemas", "mode", "Skyfall", "login", "off"])["mode"], "off");
    for shown in [&["schemas", "list", "Skyfall"][..], &["schemas", "show", "Skyfall", "login", "--version", "1"]] {
        assert_eq!(elsewhere.run(shown), binary::run_json(data.path(), shown));
    }
    for deleted in [true, false] {
        assert_eq!(elsewhere.run(&["schemas", "delete", "Skyfall", "login"])["deleted"], deleted);
    }

    for deleted in [true, false] {
        assert_eq!(elsewhere.run(&["keys", "delete", &old_id])["deleted"], deleted);
    }
    assert_eq!(elsewhere.run(&["apps", "delete", "Skyfall"])["keys_deleted"], 1);
    let audit = elsewhere.run(&["audit", "--app", &id]);
    let entries = audit["entries"].as_array().expect("an array");
    let acts: Vec<_> = entries.iter().rev().map(|entry| text(entry, "act")).collect();
    let expected = [
        "application.create",
        "application.update",
        "key.create",
        "key.rotate",
        "key.scopes",
        "key.disable",
        "schema.put",
        "schema.put",
        "schema.mode",
        "schema.delete",
        "key.delete",
        "application.delete",
    ];
    assert_eq!(acts, expected);
    for entry in entries {
        assert_eq!((text(entry, "actor"), text(entry, "via")), ("admin-token", "grpc"));
    }
    assert_eq!(audit, binary::run_json(data.path(), &["audit", "--app", &id]));
    assert!(!elsewhere.folder.path().join("registry.sqlite").exists(), "nothing was done on a registry over there");
}

/// What `--version` prints of the binary is what its readiness says, and the load tester is of the same build.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_and_its_binary_say_the_same_of_what_they_are_built_of() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &[]).await;
    let ready: Value = serde_json::from_str(&gateway.get("/readyz").await).expect("JSON");
    let version = |mut command: std::process::Command| {
        let output = command.output().expect("it can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    };
    let printed = version(binary::command(&[OsStr::new("--version")]));
    let built = match ready["commit"].as_str() {
        None => format!("{} (development build)", text(&ready, "version")),
        Some(commit) => format!("{} (commit {commit}", text(&ready, "version")),
    };
    assert!(printed.starts_with(&format!("headgate {built}")), "{printed}: {ready}");
    let tester = version(binary::loadtest_command(&[OsStr::new("--version")]));
    assert_eq!(tester.strip_prefix("headgate-loadtest "), printed.strip_prefix("headgate "));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_token_nothing_is_done_and_no_token_is_ever_shown() {
    const TOKEN: &str = "a-token-that-an-operator-made-up";
    let data = tempfile::tempdir().expect("a folder");
    let environment = [("HEADGATE_ADMIN__TOKEN".to_owned(), TOKEN.to_owned())];
    let gateway = GatewayProcess::start_in(data.path(), &[], &environment).await;
    assert!(!data.path().join("admin-token").exists(), "a gateway that was given a token makes none");
    let wrong = data.path().join("wrong");
    std::fs::write(&wrong, "another-token-of-that-length\n").expect("writes");
    let url = format!("http://{}", gateway.target("").address);
    let elsewhere = Elsewhere { folder: tempfile::tempdir().expect("a folder"), url: url.clone(), token_file: &wrong };
    let (code, message) =
        elsewhere.fail(&["apps", "create", "Skyfall", "--admin-token-file", &wrong.display().to_string()]);
    assert!(code == Some(1) && message.contains("the admin token is wrong"), "{code:?}: {message}");
    let (code, message) = elsewhere.fail(&["apps", "list"]);
    assert!(code == Some(2) && message.contains("HEADGATE_ADMIN_TOKEN"), "{code:?}: {message}");

    let list = ["apps", "list", "--gateway", &url, "--output", "json"].map(OsStr::new);
    let output = binary::command(&list).env("HEADGATE_ADMIN_TOKEN", TOKEN).output().expect("headgate can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(listed["applications"].as_array().expect("an array").len(), 1, "the demo alone: {listed}");

    let checked = binary::command(&["check-config"].map(OsStr::new))
        .env("HEADGATE_ADMIN__TOKEN", TOKEN)
        .output()
        .expect("headgate can be run");
    let shown = String::from_utf8_lossy(&checked.stdout);
    assert!(shown.contains("admin.token") && shown.contains("HEADGATE_ADMIN__TOKEN"), "{shown}");
    assert!(!shown.contains(TOKEN) && !gateway.log().contains(TOKEN));
}
