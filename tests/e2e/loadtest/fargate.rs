//! The load test's stack and its script, against an emulator whose ECS notes tasks and runs none: this test runs what the
//! task definition and the calls of `run-task` say.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use headgate_loadtest::result;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::loadtest::LoadTester;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::{binary, poll, python};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{House, balanced};
use crate::tls::Authority;

const SHARDS: usize = 3;
/// Where the container may write.
const VOLUME: &str = "/var/lib/headgate";
const IMAGE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/headgate/loadtest@sha256:";
/// Three times what the whole test takes with a build beside it: each call of the AWS CLI starts a Python.
const PATIENCE: Duration = Duration::from_secs(400);

/// An account with an environment in it.
struct Account {
    environment: Vec<(String, String)>,
    home: PathBuf,
}

impl Account {
    fn command(&self, program: &Path) -> Command {
        let mut path = OsString::from(python::aws_cli());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("PATH", path).current_dir(&self.home).stdin(Stdio::null());
        command
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(&binary::workspace().join("deploy/cloudformation").join(name));
        command.args(arguments);
        command
    }

    fn aws(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(&python::aws_cli().join("aws"));
        let said = python::run(command.args(arguments).args(["--output", "json"]));
        let said = said.unwrap_or_else(|problem| panic!("{problem}"));
        if said.is_empty() { Value::Null } else { serde_json::from_str(&said).expect("JSON") }
    }

    fn parameter(&self, name: &str) -> String {
        let path = format!("/headgate/prod/loadtest/{name}");
        let told = self.aws(&["ssm", "get-parameter", "--name", &path]);
        told["Parameter"]["Value"].as_str().expect("a value").to_owned()
    }

    fn tasks(&self, cluster: &str, desired: &str) -> Vec<Value> {
        let listed = self.aws(&["ecs", "list-tasks", "--cluster", cluster, "--desired-status", desired]);
        let arns: Vec<&str> = listed["taskArns"].as_array().expect("tasks").iter().filter_map(Value::as_str).collect();
        if arns.is_empty() {
            return Vec::new();
        }
        let described = self.aws(&[&["ecs", "describe-tasks", "--cluster", cluster, "--tasks"], &arns[..]].concat());
        described["tasks"].as_array().expect("tasks").clone()
    }

    /// Waits until so many tasks are to run.
    async fn tasks_begun(&self, cluster: &str, count: usize) -> Vec<Value> {
        poll::until("the tasks are begun", PATIENCE, async || {
            let tasks = self.tasks(cluster, "RUNNING");
            (tasks.len() == count).then_some(tasks)
        })
        .await
    }
}

/// The script, running; killed if the test fails.
struct Script(Child);

impl Script {
    fn start(account: &Account, arguments: &[&str]) -> Self {
        let mut command = account.script("loadtest", arguments);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the script can be run"))
    }

    /// Its exit status, and what it said.
    async fn ended(mut self) -> (Option<i32>, String) {
        let child = &mut self.0;
        let status = poll::until("the script ends", PATIENCE, async || {
            child.try_wait().expect("one's own child can be waited for")
        })
        .await;
        let mut said = String::new();
        for pipe in [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read>),
            child.stderr.take().map(|pipe| Box::new(pipe) as _),
        ] {
            pipe.expect("it is there").read_to_string(&mut said).expect("text");
        }
        (status.code(), said)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a container has: the registered task definition's environment, with a folder for its volume.
fn container_environment(definition: &Value, account: &Account, volume: &Path) -> Vec<(String, String)> {
    let container = &definition["taskDefinition"]["containerDefinitions"][0];
    assert_eq!(container["workingDirectory"], VOLUME, "{container}");
    let variables = container["environment"].as_array().expect("variables").iter().map(|each| {
        let text = |key: &str| each[key].as_str().expect("text").to_owned();
        (text("name"), text("value").replace(VOLUME, &volume.display().to_string()))
    });
    // The emulator forgets a container's secrets; there is one.
    let secret = account.aws(&["secretsmanager", "get-secret-value", "--secret-id", &account.parameter("api-keys")]);
    let key = secret["SecretString"].as_str().expect("a key").to_owned();
    account.environment.iter().cloned().chain(variables).chain([("HEADGATE_API_KEY".to_owned(), key)]).collect()
}

/// A gateway with TLS, as the load balancer has it, and the load test's stack deployed for it by the deployers' own script.
async fn deployed() -> (House, MiniStack, Account) {
    let emulator = MiniStack::start().await;
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path().join("headgate-data");
    std::fs::create_dir(&data).expect("a folder");
    let authority = Authority::new();
    authority.write(home.path());
    std::fs::write(home.path().join("ca.pem"), authority.pem()).expect("it can be written");
    let file = |name: &str| home.path().join(name).display().to_string();
    let tls = [("certificate", "cert.pem"), ("private_key", "key.pem")]
        .map(|(setting, name)| format!("grpc.tls.{setting}={}", file(name)));
    let settings = [&crate::NO_RATE_LIMIT[..], &tls.each_ref().map(String::as_str)].concat();
    let gateway = GatewayProcess::start_in(&data, &settings, &[]).await;
    let mut environment = ministack::environment(emulator.address());
    environment.push(("SSL_CERT_FILE".to_owned(), file("ca.pem")));
    let account = Account { environment, home: home.path().to_owned() };

    let (key, port) = (gateway.demo().1.key, gateway.demo().1.address.port());
    let image = format!("LoadTesterImage={IMAGE}{}", "0".repeat(64));
    let port = format!("GatewayPort={port}");
    let parameters = [&["prod", "loadtest"][..], &[&image, "GatewayHost=localhost", &port]].concat();
    for arguments in [&["prod", "network"][..], &["prod", "data"], &parameters] {
        python::run(&mut account.script("deploy", arguments)).unwrap_or_else(|problem| panic!("{problem}"));
    }
    let secret = account.parameter("api-keys");
    account.aws(&["secretsmanager", "put-secret-value", "--secret-id", &secret, "--secret-string", &key]);
    (House { gateway, home }, emulator, account)
}

/// The script starts a task for each shard, which get their target, key and place of results from the stack; it waits for
/// them, merges what they left, and ends with the verdict on the whole. What the shards counted is what the gateway counted.
/// Another host than the stack's is refused, and Ctrl-C leaves no task behind.
#[tokio::test(flavor = "multi_thread")]
async fn shards_run_as_their_tasks_say_and_merge_to_what_the_gateway_counted() {
    let (house, _emulator, account) = deployed().await;
    let program = binary::loadtest().display().to_string();
    let common = ["prod", "--run-time", "4s", "--poll", "1", "--load-tester", &program];
    let cluster = account.parameter("cluster");

    let foreign = [&common[..], &["--shards", "1", "--i-own-this-target", "play.example.org"]].concat();
    let (status, said) = Script::start(&account, &foreign).ended().await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the stack loads localhost, not play.example.org"), "{said}");
    assert!(account.tasks(&cluster, "RUNNING").is_empty());

    let cut = ["--shards", "2", "--start-in", "100", "--name", "cut", "--i-own-this-target", "localhost"];
    let script = Script::start(&account, &[&common[..], &cut].concat());
    account.tasks_begun(&cluster, 2).await;
    kill_process(Pid::from_child(&script.0), Signal::INT).expect("one's own child can be signalled");
    let (status, said) = script.ended().await;
    assert_eq!(status, Some(130), "{said}");
    assert_eq!((account.tasks(&cluster, "RUNNING").len(), account.tasks(&cluster, "STOPPED").len()), (0, 2), "{said}");

    let load = ["--workload", "steady", "--players", "4000", "--users", "9", "--event-rate", "2000", "--allow-invalid"];
    // Not the scenario's rules, which ask for a machine that does nothing else.
    let load = [&load[..], &["--slo", "error-rate < 0.1%"]].concat();
    let whole = ["--shards", "3", "--start-in", "40", "--name", "whole", "--output", "out"];
    let whole = [&common[..], &whole, &["--i-own-this-target", "localhost", "--"], &load[..]].concat();
    let script = Script::start(&account, &whole);
    let tasks = account.tasks_begun(&cluster, SHARDS).await;
    let definition = account.parameter("task-definition");
    let definition = account.aws(&["ecs", "describe-task-definition", "--task-definition", &definition]);
    let mut shards = Vec::new();
    for (task, volume) in tasks.iter().zip(["one", "two", "three"]) {
        let volume = account.home.join(volume);
        std::fs::create_dir(&volume).expect("a folder");
        let environment = container_environment(&definition, &account, &volume);
        let command = task["overrides"]["containerOverrides"][0]["command"].as_array().expect("a command");
        let command: Vec<&str> = command.iter().map(|part| part.as_str().expect("text")).collect();
        shards.push((task["taskArn"].as_str().expect("a name"), LoadTester::start(&volume, &command, &environment)));
    }
    for (task, shard) in shards {
        let ended = shard.ended().await;
        assert_eq!(ended.status, Some(0), "{ended}");
        account.aws(&["ecs", "stop-task", "--cluster", &cluster, "--task", task]);
    }
    let (status, said) = script.ended().await;
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("3 STOPPED") && said.contains("PASS"), "{said}");

    let merged = result::read(&account.home.join("out/merged.json")).expect("a result");
    assert!(account.home.join("out/merged.html").is_file());
    balanced(&merged.ledger);
    assert_eq!((merged.shards.len(), merged.ledger.due), (SHARDS, merged.ledger.accepted), "{:?}", merged.ledger);
    assert!((7_000..9_000).contains(&merged.ledger.due), "{:?}", merged.ledger);
    let counted = house.gateway.metrics().await;
    let settled = |verdict: &str| counted.sum("headgate_events_settled_total", &[verdict]);
    assert_eq!(counted.sum("headgate_events_received_total", &[]), merged.ledger.sent as f64);
    assert_eq!(settled("verdict=\"accepted\""), merged.ledger.accepted as f64);
}
