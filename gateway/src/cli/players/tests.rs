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

    async fn json(&self, command: PlayersCommand) -> serde_json::Value {
        let report = execute(command, &self.backend).await.expect("is done");
        serde_json::from_str(&report.json).expect("JSON")
    }

    fn context(&self) -> Context {
        let settings = Settings { data_dir: self.folder.path().to_owned(), ..Settings::default() };
        Context { settings, output: Output::Json }
    }
}

fn alice() -> PlayerArgs {
    PlayerArgs { app: "skyfall".to_owned(), player: "alice".to_owned() }
}

#[tokio::test]
async fn a_player_is_suppressed_until_that_is_taken_back() {
    let desk = Desk::with_skyfall().await;
    let suppressed = desk.json(PlayersCommand::Suppress(alice())).await;
    assert_eq!(suppressed["player_id"], "alice");
    let listed = desk.json(PlayersCommand::List(ListArgs { app: Some("skyfall".to_owned()) })).await;
    assert_eq!(listed["players"], serde_json::json!([suppressed]));
    for was_suppressed in [true, false] {
        assert_eq!(desk.json(PlayersCommand::Unsuppress(alice())).await["unsuppressed"], was_suppressed);
    }
    assert_eq!(desk.json(PlayersCommand::List(ListArgs { app: None })).await["players"], serde_json::json!([]));
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
    let suppressed = desk.json(PlayersCommand::List(ListArgs { app: None })).await;
    assert_eq!(suppressed["players"][0]["player_id"], "somebody-of-that-name");
}
