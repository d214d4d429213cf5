//! What the commands for hashed ids do and show.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::admin::{Actor, Admin};
use crate::cli::backend::Local;
use crate::registry::{NewApplication, SqliteRegistry};

fn app() -> AppArgs {
    AppArgs { app: "Skyfall".to_owned() }
}

async fn run(backend: &Local, command: IdentityCommand) -> (String, Value) {
    let report = execute(command, backend).await.expect("it is done");
    (report.text, serde_json::from_str(&report.json).expect("JSON"))
}

#[tokio::test]
async fn ids_are_hashed_from_when_it_is_said_until_it_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = SqliteRegistry::open(&folder.path().join("registry.sqlite"), Clock::system()).expect("opens");
    let registry = Arc::new(registry);
    let admin = Admin::new(registry.clone(), registry, Clock::system());
    let new = NewApplication { name: "Skyfall".to_owned(), ..NewApplication::default() };
    admin.create_application(&Actor::local(), new).await.expect("creates");
    let backend = Local::new(admin);

    let (text, view) = run(&backend, IdentityCommand::Show(app())).await;
    assert!(text.contains("nothing") && text.contains("never"), "{text}");
    assert_eq!((&view["fields"], &view["generations"], &view["changed_at"]), (&json!([]), &json!([]), &json!(null)));

    let fields = vec![IdentityField::Device, IdentityField::PlayerId];
    let (text, view) = run(&backend, IdentityCommand::Hash(HashArgs { app: "Skyfall".to_owned(), fields })).await;
    assert!(text.contains("player_id, device"), "{text}");
    assert_eq!((&view["fields"], &view["generations"]), (&json!(["player_id", "device"]), &json!([1])));

    let rotate = RotateArgs { app: "Skyfall".to_owned(), forget_earlier: false };
    assert_eq!(run(&backend, IdentityCommand::Rotate(rotate)).await.1["generations"], json!([1, 2]));
    let ids = IdsArgs { app: "Skyfall".to_owned(), id: "anna".to_owned() };
    let (text, view) = run(&backend, IdentityCommand::Ids(ids)).await;
    assert_eq!(view["ids"][0], "anna");
    assert!(view["ids"][1].as_str().is_some_and(|hash| hash.starts_with("h2-") && text.contains(hash)), "{view}");

    let (_, view) = run(&backend, IdentityCommand::Off(app())).await;
    assert_eq!((&view["fields"], &view["generations"]), (&json!([]), &json!([1, 2])));
}
