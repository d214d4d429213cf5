//! The stacks of `deploy/cloudformation`: what their own check says, and whether the gateway takes what its container gets.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Duration;

use headgate_tests::client::Connection;
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::{binary, python};
use serde_json::Value;

/// What the container is given to drain (`StopTimeout`), which a debug build on a busy machine needs, too.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// The check of the stacks, with its tools in the target folder.
fn check(step: Option<&str>) -> String {
    let mut check = Command::new(binary::workspace().join("deploy/cloudformation/check"));
    check.arg("--target").arg(binary::target_dir().0).args(step);
    python::run(&mut check).unwrap_or_else(|problem| panic!("{problem}"))
}

/// cfn-lint, our own rules, the joins of templates with code, and then every fault of a list in one template each: the
/// templates are good, and a template that is not does not pass.
#[test]
fn the_stacks_are_good_and_every_seeded_fault_in_them_is_caught() {
    let said = check(None);
    println!("{said}");
    assert!(said.contains("\nok     faults") && said.contains(" 0 failed"), "{said}");
}

fn check_config(variables: &BTreeMap<String, String>) -> (Option<i32>, Vec<u8>, String) {
    let mut command = binary::command(&["check-config", "--output", "json"].map(OsStr::new));
    let output =
        command.env("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE").envs(variables).output().expect("headgate can be run");
    (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Every variable of the container is a setting that comes from it, for each destination that the stack offers; one that
/// is misspelt is no setting and stops the start.
#[test]
fn the_gateway_takes_every_variable_of_its_container() {
    let environments: Vec<BTreeMap<String, String>> = serde_json::from_str(&check(Some("environment"))).expect("JSON");
    assert_eq!(environments.len(), 4, "a destination each");
    for variables in &environments {
        let (code, stdout, stderr) = check_config(variables);
        assert_eq!(code, Some(0), "{variables:?}: {stderr}");
        let told: Value = serde_json::from_slice(&stdout).expect("JSON");
        let settings = told["settings"].as_array().expect("settings");
        let sources: BTreeMap<&str, &str> = settings
            .iter()
            .map(|known| (known["setting"].as_str().expect("a name"), known["source"].as_str().expect("a source")))
            .collect();
        for variable in variables.keys() {
            let setting = variable.strip_prefix("HEADGATE_").expect("a setting").to_lowercase().replace("__", ".");
            let source = sources.get(setting.as_str()).copied();
            assert_eq!(source, Some(format!("environment {variable}").as_str()), "{setting}");
        }
        assert_eq!(sources["delivery.spill"], "default on Fargate");
    }
    let mut misspelt = environments[0].clone();
    let stream = misspelt.remove("HEADGATE_KINESIS__STREAM").expect("is set");
    misspelt.insert("HEADGATE_KINESIS__STREEM".to_owned(), stream);
    let (code, _, stderr) = check_config(&misspelt);
    assert_eq!(code, Some(64), "{stderr}");
}

/// What the emulator made of the stacks, and the container's environment as the registered task definition has it.
fn deployed(emulator: &MiniStack) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = folder.path().join("documents.json");
    std::fs::write(&documents, check(Some("documents"))).expect("a file can be written");
    let mut deploy = Command::new(python::consumer());
    deploy.arg(binary::workspace().join("tests/e2e/stacks.py")).envs(ministack::environment(emulator.address()));
    deploy.stdin(Stdio::from(std::fs::File::open(&documents).expect("it is there")));
    serde_json::from_str(&python::run(&mut deploy).unwrap_or_else(|problem| panic!("{problem}"))).expect("JSON")
}

/// Every stack is created on an emulator, wired by nothing but its SSM parameters. A gateway that is started with the
/// environment of the task definition that came of it finds its tables and streams, lets an administrator in with the
/// token of the secret, acknowledges events once they are in the stack's stream, and drains within the container's stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_runs_on_what_the_stacks_make() {
    let emulator = MiniStack::start().await;
    let (emulator, made) = tokio::task::spawn_blocking(move || {
        let made = deployed(&emulator);
        (emulator, made)
    })
    .await
    .expect("the stacks are deployed");
    for (name, stack) in made["stacks"].as_object().expect("stacks") {
        let status = stack["status"].as_str().expect("a status");
        assert!(status == "CREATE_COMPLETE" || (name == "queries" && status == "LEFT_OUT"), "{name}: {stack}");
    }

    let mut environment = ministack::environment(emulator.address());
    let variables = made["environment"].as_object().expect("variables");
    environment.extend(variables.iter().map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned())));
    environment.push(("AWS_EXECUTION_ENV".to_owned(), "AWS_ECS_FARGATE".to_owned()));
    let data = tempfile::tempdir().expect("a folder");
    // Its data folder and its listeners are the test's own; everything else is the container's. The emulator's Firehose
    // runs the functions while a call waits, and these are empty here.
    let mut gateway = GatewayProcess::start_in(data.path(), &["kinesis.attempt_timeout=14s"], &environment).await;

    let token = variables["HEADGATE_ADMIN__TOKEN"].as_str().expect("a token");
    let url = format!("http://{}", gateway.target("").address);
    let administer = |line: &[&str]| {
        let line = [line, &["--gateway", &url, "--output", "json"]].concat();
        let all: Vec<_> = line.into_iter().map(OsStr::new).collect();
        let said = python::run(binary::command(&all).env("HEADGATE_ADMIN_TOKEN", token));
        serde_json::from_str::<Value>(&said.unwrap_or_else(|problem| panic!("{problem}"))).expect("JSON")
    };
    let _ = administer(&["apps", "create", "game"]);
    let key = administer(&["keys", "create", "game", "--name", "server"]);
    let target = gateway.target(key["api_key"].as_str().expect("a key"));
    let mut connection = Connection::open(&target).await.expect("it listens");
    let verdict = connection.publish((0..50).map(|_| login()).collect()).await.expect("it answers");
    assert_eq!(verdict.accepted, 50, "{verdict:?}");
    let metrics = gateway.metrics().await;
    assert!(metrics.sum("headgate_delivery_records_total", &["destination=\"kinesis\""]) > 0.0);
    drop(connection);
    assert!(gateway.terminate(DRAIN_PATIENCE).await.success());
}
