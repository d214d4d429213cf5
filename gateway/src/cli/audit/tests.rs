//! What the audit log shows to people and programs.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::admin::{Actor, Admin};
use crate::cli::backend::Local;
use crate::registry::{NewApplication, SqliteRegistry};

async fn shown(admin: &Arc<Admin>, app: Option<&str>, limit: u32) -> Report {
    let args = AuditArgs { app: app.map(str::to_owned), limit, gateway: GatewayArgs::default() };
    show(&args, &Local::new(Arc::clone(admin))).await.expect("shows")
}

fn admin() -> (TempDir, Arc<Admin>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.sqlite");
    let registry = Arc::new(SqliteRegistry::open(&path, Clock::system()).expect("opens"));
    (folder, Admin::new(registry.clone(), registry, Clock::system()))
}

#[tokio::test]
async fn the_newest_lines_come_first_and_as_many_as_were_asked_for() {
    let (_folder, admin) = admin();
    assert_eq!(shown(&admin, None, 50).await.text, "nothing was changed");
    let mut ids = Vec::new();
    for name in ["Skyfall", "Deep", "Third"] {
        let new = NewApplication { name: name.to_owned(), ..NewApplication::default() };
        ids.push(admin.create_application(&Actor::local(), new).await.expect("creates").application_id);
    }
    assert!(admin.delete_application(&Actor::local(), ids[0]).await.expect("deletes"));

    let report = shown(&admin, None, 2).await;
    let json: Value = serde_json::from_str(&report.json).expect("JSON");
    let acts: Vec<_> = json["entries"].as_array().expect("an array").iter().map(|entry| &entry["act"]).collect();
    assert_eq!(acts, ["application.delete", "application.create"]);
    assert_eq!(json["entries"][1]["application_id"], ids[2].to_string());
    assert_eq!((&json["entries"][1]["actor"], &json["entries"][1]["via"]), (&"local".into(), &"command-line".into()));

    let text = shown(&admin, None, 50).await.text;
    assert!(text.starts_with("WHEN ") && text.lines().count() == 5, "{text}");
    assert!(text.contains("Third"), "a game that is there by its name: {text}");
    assert!(text.contains(&ids[0].to_string()), "one that is not by its id: {text}");
}

#[tokio::test]
async fn one_game_is_named_by_its_name_or_after_its_end_by_its_id() {
    let (_folder, admin) = admin();
    let mut ids = Vec::new();
    for name in ["Skyfall", "Deep"] {
        let new = NewApplication { name: name.to_owned(), ..NewApplication::default() };
        ids.push(admin.create_application(&Actor::local(), new).await.expect("creates").application_id);
    }
    assert!(admin.delete_application(&Actor::local(), ids[0]).await.expect("deletes"));
    let acts = |report: Report| report.json.matches("\"act\"").count();
    assert_eq!(acts(shown(&admin, Some("Deep"), 50).await), 1);
    assert_eq!(acts(shown(&admin, Some(&ids[0].to_string()), 50).await), 2);
}
