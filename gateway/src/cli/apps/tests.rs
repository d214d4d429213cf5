//! What the commands do, and what they say to people and programs.

use std::sync::Arc;

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::admin::Admin;
use crate::cli::backend::Local;
use crate::registry::KeyHash;
use crate::registry::{AuditQuery, NewAuthorization, Registry, Scopes, SqliteRegistry};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: AppsCommand,
}

struct Shell {
    registry: Arc<SqliteRegistry>,
    admin: Arc<Admin>,
    _folder: TempDir,
}

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("registry.sqlite");
        let registry = Arc::new(SqliteRegistry::open(&file, Clock::system()).expect("opens"));
        let admin = Admin::new(registry.clone(), registry.clone(), Clock::system());
        Self { registry, admin, _folder: folder }
    }

    async fn type_in(&self, line: &[&str]) -> Result<Report, CliError> {
        let line = Line::try_parse_from(std::iter::once(&"apps").chain(line)).map_err(CliError::usage)?;
        execute(line.command, &Local::new(Arc::clone(&self.admin)), &Clock::system()).await
    }

    async fn text(&self, line: &[&str]) -> String {
        self.type_in(line).await.expect("works").text
    }

    async fn json(&self, line: &[&str]) -> Value {
        serde_json::from_str(&self.type_in(line).await.expect("works").json).expect("JSON")
    }

    async fn error(&self, line: &[&str]) -> CliError {
        self.type_in(line).await.map(|report| report.text).expect_err("fails")
    }
}

#[tokio::test]
async fn a_game_is_registered_shown_changed_and_deleted() {
    let shell = Shell::new();
    let created = shell.json(&["create", "Skyfall", "--description", "a game", "--bytes-per-second", "64MiB"]).await;
    let id = created["application_id"].as_str().expect("an id").to_owned();
    assert_eq!(created["limits"]["bytes_per_second"], 64 << 20);
    assert_eq!(created["limits"]["events_per_second"], Value::Null);

    let shown = shell.json(&["show", "Skyfall"]).await;
    assert_eq!((&shown["application_id"], &shown["keys"]), (&Value::from(id.as_str()), &Value::Array(Vec::new())));
    assert_eq!(shell.json(&["show", &id]).await, shown);

    let line = ["update", "Skyfall", "--events-per-second", "5", "--bytes-per-second", "default", "--description", ""];
    let changed = shell.json(&line).await;
    assert_eq!(changed["name"], "Skyfall");
    assert_eq!(changed["description"], Value::Null);
    assert_eq!(changed["limits"]["events_per_second"], 5);
    assert_eq!(changed["limits"]["bytes_per_second"], Value::Null);
    let renamed = shell.json(&["update", &id, "--name", "Skyfall 2"]).await;
    assert_eq!((&renamed["name"], &renamed["limits"]), (&Value::from("Skyfall 2"), &changed["limits"]));

    let text = shell.text(&["delete", "Skyfall 2"]).await;
    assert_eq!(text, format!("deleted Skyfall 2 ({id}) and 0 keys"));
    assert_eq!(shell.json(&["list"]).await["applications"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_route_is_given_changed_and_given_back() {
    let shell = Shell::new();
    let created = shell.json(&["create", "Skyfall", "--route", "kinesis"]).await;
    assert_eq!(created["route"], "kinesis");
    assert!(shell.text(&["list"]).await.contains("kinesis"));
    let changed = shell.json(&["update", "Skyfall", "--route", "kinesis-with-firehose-fallback"]).await;
    assert_eq!(changed["route"], "kinesis-with-firehose-fallback");
    let kept = shell.json(&["update", "Skyfall", "--events-burst", "5"]).await;
    assert_eq!(kept["route"], "kinesis-with-firehose-fallback");
    assert!(shell.text(&["show", "Skyfall"]).await.contains("kinesis-with-firehose-fallback"));
    let cleared = shell.json(&["update", "Skyfall", "--route", "default"]).await;
    assert_eq!(cleared["route"], Value::Null);
    let wrong = shell.error(&["update", "Skyfall", "--route", "by-pigeon"]).await;
    assert_eq!(wrong.exit_code(), 2);
    assert!(wrong.to_string().contains("kinesis-and-firehose"), "{wrong}");
}

#[tokio::test]
async fn an_application_stands_for_an_environment() {
    let shell = Shell::new();
    let made = shell.json(&["create", "Skyfall"]).await;
    assert_eq!(made["environment"], "prod");
    let changed = shell.json(&["update", "Skyfall", "--environment", "stage"]).await;
    assert_eq!(changed["environment"], "stage");
    let kept = shell.json(&["update", "Skyfall", "--events-burst", "5"]).await;
    assert_eq!(kept["environment"], "stage");
    assert_eq!(shell.json(&["create", "Deep", "--environment", "dev"]).await["environment"], "dev");
    assert!(shell.text(&["list"]).await.contains(" stage "));
    let wrong = shell.error(&["update", "Skyfall", "--environment", "moon"]).await;
    assert_eq!(wrong.exit_code(), 2);
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_and_nothing_else_is() {
    let shell = Shell::new();
    shell.json(&["create", "Skyfall"]).await;
    shell.json(&["update", "Skyfall", "--environment", "dev", "--route", "kinesis"]).await;
    shell.json(&["list"]).await;
    shell.json(&["show", "Skyfall"]).await;
    shell.error(&["create", ""]).await;
    shell.json(&["delete", "Skyfall"]).await;
    shell.json(&["delete", "Skyfall"]).await;
    let lines = shell.admin.audit(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.expect("lists");
    let acts: Vec<_> = lines.iter().map(|line| (line.act.as_str(), line.detail.as_str())).collect();
    let expected = [
        ("application.delete", "Skyfall"),
        ("application.update", "route default to kinesis, environment prod to dev"),
        ("application.create", "Skyfall"),
    ];
    assert_eq!(acts, expected);
    assert!(lines.iter().all(|line| (line.actor.as_str(), line.via.as_str()) == ("local", "command-line")));
}

#[tokio::test]
async fn people_get_a_table_and_programs_get_times_in_utc() {
    let shell = Shell::new();
    assert!(shell.text(&["list"]).await.contains("headgate apps create"));
    let created = shell.json(&["create", "Skyfall", "--events-per-second", "250", "--bytes-burst", "1536KiB"]).await;
    let text = shell.text(&["list"]).await;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    assert!(text.starts_with("NAME "), "{text}");
    let id = created["application_id"].as_str().expect("an id");
    let time = created["created_at"].as_str().expect("a time");
    let for_people = time.replace('T', " ").replace('Z', " UTC");
    assert_eq!(time.len(), "2030-01-31T12:00:00Z".len());
    let cells: Vec<&str> = lines[1].iter().copied().filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells, ["Skyfall", id, "prod", "250", "default", "default", "1536KiB", "default", for_people.as_str()]);
}

#[tokio::test]
async fn deleting_says_what_went_and_is_no_error_when_nothing_was_there() {
    let shell = Shell::new();
    let created = shell.json(&["create", "Skyfall"]).await;
    let id: Uuid = created["application_id"].as_str().expect("an id").parse().expect("a UUID");
    let new = NewAuthorization {
        application_id: id,
        name: "server".to_owned(),
        description: None,
        hash: KeyHash::of("key"),
        masked_key: "****".to_owned(),
        expires_at_ms: None,
        scopes: Scopes::INGEST,
    };
    shell.registry.create_authorization(new).await.expect("creates");
    assert_eq!(shell.json(&["delete", "Skyfall"]).await["keys_deleted"], 1);
    for gone in ["Skyfall", &id.to_string()] {
        assert_eq!(shell.text(&["delete", gone]).await, format!("no application {gone}: nothing to delete"));
        assert_eq!(shell.json(&["delete", gone]).await["deleted"], false);
    }
}

#[tokio::test]
async fn a_name_that_leads_nowhere_or_to_several_is_an_error_that_helps() {
    let shell = Shell::new();
    assert!(shell.error(&["show", "Skyfal"]).await.to_string().contains("headgate apps create"));
    let first = shell.json(&["create", "Skyfall"]).await["application_id"].as_str().expect("an id").to_owned();
    let error = shell.error(&["show", "Skyfal"]).await;
    assert!(error.to_string().contains(&format!("Skyfall ({first})")), "{error}");
    assert_eq!(error.exit_code(), 1);

    let second = shell.json(&["create", "Skyfall"]).await["application_id"].as_str().expect("an id").to_owned();
    for line in [["show", "Skyfall"], ["delete", "Skyfall"]] {
        let error = shell.error(&line).await.to_string();
        assert!(error.contains(&first) && error.contains(&second), "{error}");
    }
    assert_eq!(shell.json(&["show", &second]).await["application_id"], second);
}

#[tokio::test]
async fn arguments_that_can_not_be_used_say_what_would_be_right() {
    let shell = Shell::new();
    shell.json(&["create", "Skyfall"]).await;
    let wrong: [(&[&str], &str); 5] = [
        (&["create", ""], "1 to 256"),
        (&["create", "x", "--bytes-burst", "1000"], "1024"),
        (&["create", "x", "--events-burst", "0"], "from 1 to"),
        (&["update", "Skyfall"], "--name"),
        (&["update", "Skyfall", "--bytes-per-second", "much"], "64MiB"),
    ];
    for (line, hint) in wrong {
        let error = shell.error(line).await;
        assert!(error.to_string().contains(hint), "{line:?}: {error}");
        assert_eq!(error.exit_code(), 2, "{line:?}");
    }
}
