//! What the commands do, and that a key is shown once and never again.

use std::sync::Arc;

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::admin::Admin;
use crate::admission::key::ApiKey;
use crate::cli::backend::Local;
use crate::registry::KeyHash;
use crate::registry::{AuditQuery, Books, NewApplication, Registry, SqliteRegistry};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: KeysCommand,
}

struct Shell {
    registry: Arc<SqliteRegistry>,
    clock: Clock,
    _folder: TempDir,
}

impl Shell {
    async fn with_apps(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("registry.sqlite");
        let registry = Arc::new(SqliteRegistry::open(&file, Clock::system()).expect("opens"));
        for name in names {
            let new = NewApplication { name: (*name).to_owned(), ..NewApplication::default() };
            registry.create_application(new).await.expect("creates");
        }
        Self { registry, clock: Clock::system(), _folder: folder }
    }

    async fn type_in(&self, line: &[&str]) -> Result<Report, CliError> {
        let line = Line::try_parse_from(std::iter::once(&"keys").chain(line)).map_err(CliError::usage)?;
        let admin = Admin::new(self.registry.clone(), self.registry.clone(), self.clock.clone());
        execute(line.command, &Local::new(admin), &self.clock).await
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

    async fn registered(&self, key: &str) -> Authorization {
        let found = self.registry.find_key(&KeyHash::of(key), key).await.expect("looks up");
        found.expect("is registered").authorization
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a text")
}

#[tokio::test]
async fn a_key_is_shown_once_and_only_its_hash_is_kept() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let text = shell.text(&["create", "Skyfall", "--name", "eu servers"]).await;
    let key = text.lines().next().expect("the key comes first, on a line of its own");
    assert!(ApiKey::parse(key).is_ok() && key.starts_with("hg_"), "{key}");
    assert!(text.contains("can't be shown again"), "{text}");
    let registered = shell.registered(key).await;
    assert!(registered.enabled);
    assert_eq!((registered.name.as_str(), registered.expires_at_ms), ("eu servers", None));

    let created = shell.json(&["create", "Skyfall", "--name", "us servers"]).await;
    assert_eq!(
        shell.registered(field(&created, "api_key")).await.api_key_id.to_string(),
        field(&created, "api_key_id")
    );

    let list = shell.type_in(&["list"]).await.expect("lists");
    for secret in [key, field(&created, "api_key")] {
        assert!(!list.text.contains(secret) && !list.json.contains(secret));
        assert!(list.text.contains(&ApiKey::parse(secret).expect("a key").masked()), "{}", list.text);
    }
}

#[tokio::test]
async fn keys_are_listed_for_one_game_or_for_all_with_their_state() {
    let shell = Shell::with_apps(&["Skyfall", "Deep"]).await;
    assert!(shell.text(&["list"]).await.contains("headgate keys create"));
    let first = shell.json(&["create", "Skyfall", "--name", "one", "--expires", "30d"]).await;
    let second = shell.json(&["create", "Deep", "--name", "two"]).await;
    shell.json(&["disable", field(&second, "api_key_id")]).await;

    let all = shell.json(&["list"]).await;
    let states: Vec<_> = all["keys"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|key| (field(key, "application_name"), field(key, "name"), field(key, "state")))
        .collect();
    assert_eq!(states, [("Skyfall", "one", "enabled"), ("Deep", "two", "disabled")]);
    let of_one = shell.json(&["list", "Skyfall"]).await;
    assert_eq!(of_one["keys"].as_array().expect("an array").len(), 1);
    let text = shell.text(&["list", "Skyfall"]).await;
    let expires = field(&first, "expires_at").replace('T', " ").replace('Z', " UTC");
    assert!(text.contains(&expires) && text.contains("enabled"), "{text}");
}

#[tokio::test]
async fn a_key_expires_when_it_was_told_to() {
    let mut shell = Shell::with_apps(&["Skyfall"]).await;
    let (clock, wall) = Clock::shifted();
    shell.clock = clock;
    let before = shell.clock.wall_ms();
    let created = shell.json(&["create", "Skyfall", "--name", "one", "--expires", "1h"]).await;
    let expires_at = shell.registered(field(&created, "api_key")).await.expires_at_ms.expect("a time");
    assert!((before + 3_600_000..=shell.clock.wall_ms() + 3_600_000).contains(&expires_at));
    wall.store(3_700_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(shell.json(&["list"]).await["keys"][0]["state"], "expired");
    let text = shell.text(&["enable", field(&created, "api_key_id")]).await;
    assert!(text.contains("rotate it"), "{text}");
    assert_eq!(shell.error(&["create", "Skyfall", "--name", "x", "--expires", "2001-01-01"]).await.exit_code(), 2);
}

#[tokio::test]
async fn a_disabled_key_can_be_enabled_again() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let created = shell.json(&["create", "Skyfall", "--name", "one"]).await;
    let id = field(&created, "api_key_id");
    let text = shell.text(&["disable", id]).await;
    assert!(text.starts_with("disabled one of Skyfall") && text.contains("within 5 seconds"), "{text}");
    assert!(!shell.registered(field(&created, "api_key")).await.enabled);
    assert_eq!(shell.json(&["enable", id]).await["enabled"], true);
    assert!(shell.registered(field(&created, "api_key")).await.enabled);
}

#[tokio::test]
async fn what_a_key_may_be_used_for_can_be_changed() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let created = shell.json(&["create", "Skyfall", "--name", "one"]).await;
    let id = field(&created, "api_key_id");
    assert_eq!(field(&created, "scopes"), "ingest-client,ingest-server");
    let text = shell.text(&["scopes", id, "--scopes", "ingest-client,read"]).await;
    assert!(text.starts_with("one of Skyfall") && text.contains("for ingest-client,read:"), "{text}");
    let registered = shell.registered(field(&created, "api_key")).await;
    assert_eq!((registered.scopes.to_string().as_str(), registered.enabled), ("ingest-client,read", true));
    let query = AuditQuery { limit: 1, ..AuditQuery::default() };
    let noted = shell.registry.audit(&query).await.expect("lists").remove(0);
    assert_eq!((noted.act.as_str(), noted.subject.as_deref()), ("key.scopes", Some(id)));
    assert_eq!(noted.detail, "ingest-client,ingest-server to ingest-client,read");

    let nobody = Uuid::new_v4().to_string();
    for (line, code) in [
        (vec!["scopes", id], 2),
        (vec!["scopes", id, "--scopes", ""], 2),
        (vec!["scopes", id, "--scopes", "write"], 2),
        (vec!["scopes", "no-id", "--scopes", "read"], 2),
        (vec!["scopes", &nobody, "--scopes", "read"], 1),
    ] {
        assert_eq!(shell.error(&line).await.exit_code(), code, "{line:?}");
    }
    assert_eq!(shell.registered(field(&created, "api_key")).await.scopes, registered.scopes);
}

#[tokio::test]
async fn rotating_shows_a_new_key_and_disables_the_old_one() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let line = ["create", "Skyfall", "--name", "one", "--description", "eu", "--expires", "30d"];
    let old = shell.json(&line).await;
    let new = shell.json(&["rotate", field(&old, "api_key_id")]).await;
    assert_eq!(field(&new, "replaced_api_key_id"), field(&old, "api_key_id"));
    assert_ne!(field(&new, "api_key"), field(&old, "api_key"));
    assert!(!shell.registered(field(&old, "api_key")).await.enabled);
    let registered = shell.registered(field(&new, "api_key")).await;
    assert!(registered.enabled);
    assert_eq!((registered.name.as_str(), registered.description.as_deref()), ("one", Some("eu")));
    let lifetime = registered.expires_at_ms.expect("a time") - registered.created_at_ms;
    assert!((lifetime - 30 * 86_400_000).abs() < 60_000, "the new key lasts as long as the old one was to last");

    let newest = shell.text(&["rotate", field(&new, "api_key_id"), "--name", "two", "--expires", "never"]).await;
    let registered = shell.registered(newest.lines().next().expect("a key")).await;
    assert_eq!((registered.name.as_str(), registered.expires_at_ms), ("two", None));
    assert!(newest.contains("is disabled") && newest.contains("can't be shown again"), "{newest}");
}

#[tokio::test]
async fn a_key_may_be_used_for_what_it_was_made_for_and_so_may_the_one_after_it() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let usual = shell.json(&["create", "Skyfall", "--name", "one"]).await;
    assert_eq!(field(&usual, "scopes"), "ingest-client,ingest-server");
    let reader = shell.json(&["create", "Skyfall", "--name", "two", "--scopes", "read,ingest-client"]).await;
    assert_eq!(field(&reader, "scopes"), "ingest-client,read");
    assert_eq!(field(&shell.json(&["rotate", field(&reader, "api_key_id")]).await, "scopes"), "ingest-client,read");
    assert!(shell.text(&["list"]).await.contains("ingest-client,read"));
    let wrong = shell.error(&["create", "Skyfall", "--name", "x", "--scopes", "write"]).await;
    assert!(wrong.to_string().contains("ingest-server and read"), "{wrong}");
    assert_eq!(wrong.exit_code(), 2);
}

#[tokio::test]
async fn rotating_with_an_overlap_lets_both_keys_in_until_it_is_over() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let old = shell.json(&["create", "Skyfall", "--name", "one"]).await;
    let before = shell.clock.wall_ms();
    let new = shell.json(&["rotate", field(&old, "api_key_id"), "--overlap", "24h"]).await;
    let replaced = shell.registered(field(&old, "api_key")).await;
    let left = replaced.expires_at_ms.expect("a time") - before;
    assert!(replaced.enabled && (86_400_000..86_460_000).contains(&left), "{left}");
    assert!(new["replaced_expires_at"].is_string(), "{new}");
    let (enabled, expires_at_ms) = {
        let new = shell.registered(field(&new, "api_key")).await;
        (new.enabled, new.expires_at_ms)
    };
    assert_eq!((enabled, expires_at_ms), (true, None));
    let text = shell.text(&["rotate", field(&new, "api_key_id"), "--overlap", "1h"]).await;
    assert!(text.contains("lets in until"), "{text}");
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_and_no_key_is() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let first = shell.json(&["create", "Skyfall", "--name", "one"]).await;
    let second = shell.json(&["rotate", field(&first, "api_key_id")]).await;
    shell.json(&["disable", field(&second, "api_key_id")]).await;
    shell.json(&["enable", field(&second, "api_key_id")]).await;
    shell.json(&["list"]).await;
    for _ in 0..2 {
        shell.json(&["delete", field(&first, "api_key_id")]).await;
    }
    let lines = shell.registry.audit(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.expect("lists");
    let acts: Vec<_> = lines.iter().map(|line| (line.act.as_str(), line.subject.as_deref())).collect();
    let (first_id, second_id) = (Some(field(&first, "api_key_id")), Some(field(&second, "api_key_id")));
    let expected = [
        ("key.delete", first_id),
        ("key.enable", second_id),
        ("key.disable", second_id),
        ("key.rotate", second_id),
        ("key.create", first_id),
    ];
    assert_eq!(acts, expected);
    for secret in [field(&first, "api_key"), field(&second, "api_key")] {
        assert!(!format!("{lines:?}").contains(secret));
    }
}

#[tokio::test]
async fn deleting_says_what_went_and_is_no_error_when_nothing_was_there() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let created = shell.json(&["create", "Skyfall", "--name", "one"]).await;
    let id = field(&created, "api_key_id");
    let text = shell.text(&["delete", id]).await;
    assert_eq!(text, format!("deleted one ({id}, {})", field(&created, "masked_key")));
    assert_eq!(shell.text(&["delete", id]).await, format!("no key {id}: nothing to delete"));
    assert_eq!(shell.json(&["delete", id]).await["deleted"], false);
}

#[tokio::test]
async fn errors_help_and_never_repeat_a_key() {
    let shell = Shell::with_apps(&["Skyfall"]).await;
    let created = shell.json(&["create", "Skyfall", "--name", "one"]).await;
    let key = field(&created, "api_key");
    for command in ["disable", "enable", "rotate", "delete"] {
        let error = shell.error(&[command, key]).await;
        assert!(!error.to_string().contains(key), "{error}");
        assert!(error.to_string().contains("headgate keys list"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
    let nobody = Uuid::from_u128(7).to_string();
    for command in ["disable", "enable", "rotate"] {
        let error = shell.error(&[command, &nobody]).await;
        assert!(error.to_string().contains("headgate keys list"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
    let no_app = shell.error(&["create", "Skyfal", "--name", "one"]).await;
    assert!(no_app.to_string().contains("Skyfall ("), "{no_app}");
}
