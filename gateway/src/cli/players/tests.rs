use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::admin::Admin;
use crate::cli::Output;
use crate::cli::backend::Local;
use crate::config::Settings;
use crate::registry::{NewApplication, SqliteRegistry};

struct Desk {
    folder: TempDir,
    backend: Local,
}

impl Desk {
    async fn with_skyfall() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("registry.sqlite");
        let registry = Arc::new(SqliteRegistry::open(&path, Clock::system()).expect("opens"));
        let backend = Local::new(Admin::new(registry.clone(), registry, Clock::system()));
        let new = NewApplication { name: "skyfall".to_owned(), ..NewApplication::default() };
        backend.create_application(new).await.expect("creates");
        Self { folder, backend }
    }

    async fn listed(&self, app: Option<&str>) -> serde_json::Value {
        let which = ListArgs { app: app.map(str::to_owned) };
        json(list(&which, &self.backend).await)["players"].take()
    }

    fn context(&self) -> Context {
        let settings = Settings { data_dir: self.folder.path().to_owned(), ..Settings::default() };
        Context { settings, output: Output::Json }
    }
}

fn json(report: Result<Report, CliError>) -> serde_json::Value {
    serde_json::from_str(&report.expect("is done").json).expect("JSON")
}

fn alice() -> PlayerArgs {
    PlayerArgs { app: "skyfall".to_owned(), player: "alice".to_owned() }
}

#[tokio::test]
async fn a_player_is_suppressed_until_that_is_taken_back() {
    let desk = Desk::with_skyfall().await;
    let suppressed = json(suppress(&alice(), &desk.backend).await);
    assert_eq!(suppressed["player_id"], "alice");
    assert_eq!(desk.listed(Some("skyfall")).await, serde_json::json!([suppressed]));
    for was_suppressed in [true, false] {
        assert_eq!(json(unsuppress(&alice(), &desk.backend).await)["unsuppressed"], was_suppressed);
    }
    assert_eq!(desk.listed(None).await, serde_json::json!([]));
}

#[tokio::test]
async fn without_a_gateway_the_command_deletes_by_itself_and_keeps_what_it_did() {
    let desk = Desk::with_skyfall().await;
    let context = desk.context();
    let deleter = Deleter::find(&GatewayArgs::default(), &context, &Clock::system()).await.expect("nobody has it");
    let application = deleter.application("skyfall").await.expect("is there");
    let erasure = deleter.delete(application, "somebody-of-that-name", false, &Clock::system()).await.expect("deletes");
    assert_eq!((erasure.state, erasure.player_id.as_str()), (State::Done, "****name"));
    let shown = deletion_shown(&erasure).expect("can be shown");
    assert!(shown.text.contains("rows removed") && !shown.json.contains("somebody"), "{}", shown.text);
    let other = Deleter::find(&GatewayArgs::default(), &context, &Clock::system()).await;
    assert!(other.is_err(), "it holds the folder");
    drop(deleter);
    let deleter = Deleter::find(&GatewayArgs::default(), &context, &Clock::system()).await.expect("it is free");
    assert_eq!(deleter.deletions(None).await.expect("lists"), [erasure]);
    assert_eq!(desk.listed(None).await[0]["player_id"], "somebody-of-that-name");
}
