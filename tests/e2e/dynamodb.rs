//! The registry in DynamoDB, on a real emulator over real sockets: the same guarantees as the embedded one, rows of the
//! AWS solution beside ours, and what happens while DynamoDB is away.

mod away;
mod books;
mod contract;
mod foreign_rows;
mod identity;
mod migrate;
mod policies;
mod running;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use headgate::clock::Clock;
use headgate::config::Settings;
use headgate::registry::KeyHash;
use headgate::registry::aws::DynamoDbRegistry;
use headgate_tests::binary;
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::ministack::{self, TABLES};
use serde_json::Value;
use tonic::Code;
use uuid::Uuid;

/// The registry of these settings, at an emulator or a proxy before it.
async fn registry_with(address: SocketAddr, settings: &Settings) -> DynamoDbRegistry {
    DynamoDbRegistry::new(&ministack::config(address).await, settings, Clock::system())
}

async fn registry(address: SocketAddr) -> DynamoDbRegistry {
    registry_with(address, &Settings::default()).await
}

/// A gateway whose registry is in DynamoDB.
async fn gateway(data_dir: &Path, address: SocketAddr, settings: &[&str]) -> GatewayProcess {
    let settings: Vec<&str> = ["registry.kind=dynamodb"].iter().chain(settings).copied().collect();
    GatewayProcess::start_in(data_dir, &settings, &ministack::environment(address)).await
}

/// A command of `headgate` on that registry: its exit code, its result and what it says of an error.
fn command(data_dir: &Path, address: SocketAddr, line: &[&str]) -> (Option<i32>, String, String) {
    let data_dir = data_dir.to_str().expect("a path in UTF-8");
    let all = [line, &["--registry", "dynamodb", "--output", "json", "--data-dir", data_dir]].concat();
    let all: Vec<_> = all.iter().map(std::ffi::OsStr::new).collect();
    let mut command = binary::command(&all);
    let Output { status, stdout, stderr } =
        command.envs(ministack::environment(address)).stdin(Stdio::null()).output().expect("headgate can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

/// A command that must succeed.
fn run(data_dir: &Path, address: SocketAddr, line: &[&str]) -> Value {
    let (code, stdout, stderr) = command(data_dir, address, line);
    assert_eq!(code, Some(0), "{line:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line:?}: {error}: {stdout}"))
}

/// An application as the AWS solution registers one.
pub(crate) async fn foreign_application(client: &Client, name: &str) -> Uuid {
    let id = Uuid::new_v4();
    client
        .put_item()
        .table_name(TABLES.applications)
        .item("application_id", text(id))
        .item("application_name", text(name))
        .item("description", text("made by the AWS solution"))
        .item("created_at", text("2024-02-03T04:05:06Z"))
        .item("updated_at", text("2024-02-03T04:05:06Z"))
        .send()
        .await
        .expect("the emulator takes it");
    id
}

/// A key as the AWS solution makes one: readable. Returns its id and itself.
pub(crate) async fn foreign_key(client: &Client, application: Uuid) -> (Uuid, String) {
    let (id, key) = (Uuid::new_v4(), format!("{}+/=", Uuid::new_v4().simple()));
    put_key(client, application, id, &[("api_key_value", text(&key))]).await;
    (id, key)
}

/// A row of keys: what every one has, and `more`.
async fn put_key(client: &Client, application: Uuid, id: Uuid, more: &[(&str, AttributeValue)]) {
    let mut put = client
        .put_item()
        .table_name(TABLES.authorizations)
        .item("api_key_id", text(id))
        .item("application_id", text(application))
        .item("api_key_name", text("server"))
        .item("created_at", text("2024-02-03T04:05:07Z"))
        .item("updated_at", text("2024-02-03T04:05:07Z"))
        .item("enabled", AttributeValue::Bool(true));
    for (attribute, value) in more {
        put = put.item(*attribute, value.clone());
    }
    put.send().await.expect("the emulator takes it");
}

/// Changes a row of keys as the AWS solution does, past every gateway.
async fn edit_key(client: &Client, application: Uuid, id: Uuid, change: &str, value: AttributeValue) {
    client
        .update_item()
        .table_name(TABLES.authorizations)
        .key("api_key_id", text(id))
        .key("application_id", text(application))
        .update_expression(change)
        .expression_attribute_values(":value", value)
        .send()
        .await
        .expect("the emulator takes it");
}

async fn key_row(client: &Client, application: Uuid, id: Uuid) -> std::collections::HashMap<String, AttributeValue> {
    let got = client
        .get_item()
        .table_name(TABLES.authorizations)
        .key("api_key_id", text(id))
        .key("application_id", text(application))
        .send()
        .await;
    got.expect("the emulator answers").item.expect("the row is there")
}

fn text(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

fn hash(key: &str) -> KeyHash {
    KeyHash::of(key)
}

/// Publishes one event on a connection of its own; the status's code if it is refused.
async fn publish(target: &Target) -> Result<(), Code> {
    let mut connection = Connection::open(target).await.expect("it listens");
    let verdict = connection.publish(vec![login()]).await.map_err(|status| status.code())?;
    assert_eq!(verdict.accepted, 1);
    Ok(())
}
