//! An emulator with the stacks on it, wired as they wire each other, and a gateway that is started as its container is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack::{self, MiniStack, Tables};
use headgate_tests::{binary, python};
use serde_json::Value;

use super::check;
use crate::queries::run;

/// What the emulator made of the stacks, and the container's environment as the registered task definition has it. The
/// transform function has its table in the other emulator: `tests/e2e/stacks/deploy.py` says why.
fn deployed(emulator: &MiniStack, registry: &MiniStack) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = folder.path().join("documents.json");
    std::fs::write(&documents, check(Some("documents"))).expect("a file can be written");
    let mut deploy = consumer("deploy.py", emulator);
    deploy.arg("--transform").arg(binary::transform()).arg("--metrics").arg(binary::metrics());
    deploy.args(["--registry", &format!("http://{}", registry.address())]);
    deploy.stdin(Stdio::from(std::fs::File::open(&documents).expect("it is there")));
    serde_json::from_str(&python::run(&mut deploy).unwrap_or_else(|problem| panic!("{problem}"))).expect("JSON")
}

pub(super) fn consumer(name: &str, emulator: &MiniStack) -> Command {
    let mut command = Command::new(python::consumer());
    command.arg(binary::workspace().join("tests/e2e/stacks").join(name));
    command.envs(ministack::environment(emulator.address()));
    command
}

pub(super) async fn read_back(emulator: &MiniStack, arguments: &[&OsStr]) -> Value {
    let mut command = consumer("read_back.py", emulator);
    command.args(arguments);
    serde_json::from_str(&run(command).await).expect("JSON")
}

/// The emulator with the stacks, and what they made.
pub(super) struct House {
    pub(super) emulator: MiniStack,
    registry: MiniStack,
    made: Value,
}

impl House {
    pub(super) async fn deploy() -> Self {
        let (emulator, registry) = (MiniStack::start().await, MiniStack::start().await);
        let deploying = tokio::task::spawn_blocking(move || {
            let made = deployed(&emulator, &registry);
            Self { emulator, registry, made }
        });
        let house = deploying.await.expect("the stacks are deployed");
        for (name, stack) in house.made["stacks"].as_object().expect("stacks") {
            println!("{name}: without {}", stack["left_out"]);
            let status = stack["status"].as_str().expect("a status");
            assert!(status == "CREATE_COMPLETE" || (name == "queries" && status == "LEFT_OUT"), "{name}: {stack}");
        }
        println!("changed: {}", house.made["changed"]);
        let tables = Tables { applications: house.resource("data", "Applications"), authorizations: "Authorizations" };
        ministack::create_tables(&house.registry.dynamodb().await, tables).await;
        house
    }

    pub(super) fn resource(&self, stack: &str, name: &str) -> &str {
        let resource = &self.made["stacks"][stack]["resources"][name];
        resource.as_str().unwrap_or_else(|| panic!("{stack} has no {name}"))
    }

    /// The variables of the gateway's container, as ECS would set them.
    fn environment(&self) -> BTreeMap<String, String> {
        let variables = self.made["environment"].as_object().expect("variables");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        variables.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// A gateway with the variables of the container, on a data folder and with listeners of its own.
    pub(super) async fn start_gateway(&self, data: &Path, settings: &[&str]) -> GatewayProcess {
        let mut environment = ministack::environment(self.emulator.address());
        environment.extend(self.environment());
        environment.push(("AWS_EXECUTION_ENV".to_owned(), "AWS_ECS_FARGATE".to_owned()));
        std::fs::create_dir(data).expect("a folder");
        GatewayProcess::start_in(data, settings, &environment).await
    }

    /// A game with a key, made by an administrator who has the secret's token.
    pub(super) fn new_game(&self, gateway: &GatewayProcess, name: &str) -> (String, String) {
        let url = format!("http://{}", gateway.target("").address);
        let administer = |line: &[&str]| {
            let line = [line, &["--gateway", &url, "--output", "json"]].concat();
            let all: Vec<_> = line.into_iter().map(OsStr::new).collect();
            let token = &self.environment()["HEADGATE_ADMIN__TOKEN"];
            let said = python::run(binary::command(&all).env("HEADGATE_ADMIN_TOKEN", token));
            serde_json::from_str::<Value>(&said.unwrap_or_else(|problem| panic!("{problem}"))).expect("JSON")
        };
        let made = administer(&["apps", "create", name]);
        let key = administer(&["keys", "create", name, "--name", "server"]);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&made["application_id"]), text(&key["api_key"]))
    }

    /// Lets the transform function know an application that the gateway has made.
    pub(super) async fn make_known(&self, application: &str) {
        let table = self.resource("data", "Applications");
        let key = ("application_id", AttributeValue::S(application.to_owned()));
        let found = self.emulator.dynamodb().await.get_item().table_name(table).key(key.0, key.1).send().await;
        let row = found.expect("the table answers").item.expect("the gateway has put it into the stack's table");
        let known = self.registry.dynamodb().await;
        let _ = known.put_item().table_name(table).set_item(Some(row)).send().await.expect("it takes a row");
    }
}
