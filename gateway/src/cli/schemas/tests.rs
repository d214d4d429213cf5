//! What the commands for schemas do and show.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::admin::{Actor, Admin};
use crate::cli::backend::Local;
use crate::registry::{NewApplication, SqliteRegistry};

struct House {
    folder: TempDir,
    backend: Local,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = SqliteRegistry::open(&folder.path().join("registry.sqlite"), Clock::system()).expect("opens");
        let registry = Arc::new(registry);
        let admin = Admin::new(registry.clone(), registry, Clock::system());
        let new = NewApplication { name: "Skyfall".to_owned(), ..NewApplication::default() };
        admin.create_application(&Actor::local(), new).await.expect("creates");
        Self { folder, backend: Local::new(admin) }
    }

    fn of(event_type: &str) -> TypeArgs {
        TypeArgs { app: "Skyfall".to_owned(), event_type: event_type.to_owned() }
    }

    async fn put(&self, schema: &str, mode: Option<SchemaMode>) -> Result<Value, CliError> {
        let file = self.folder.path().join("schema.json");
        std::fs::write(&file, schema).expect("writes");
        self.run(SchemasCommand::Put(PutArgs { of: Self::of("login"), file, mode })).await
    }

    async fn run(&self, command: SchemasCommand) -> Result<Value, CliError> {
        let report = execute(command, &self.backend).await?;
        Ok(serde_json::from_str(&report.json).expect("JSON"))
    }
}

#[tokio::test]
async fn versions_count_up_and_keep_the_mode_until_it_is_changed() {
    let house = House::new().await;
    let first = house.put(r#"{"type":"object"}"#, None).await.expect("puts");
    assert_eq!((&first["version"], &first["mode"]), (&1.into(), &"warn".into()));
    let mode = ModeArgs { of: House::of("login"), mode: SchemaMode::Enforce };
    let changed = house.run(SchemasCommand::Mode(mode)).await.expect("changes");
    assert_eq!((&changed["version"], &changed["mode"]), (&1.into(), &"enforce".into()));
    let second = house.put(r#"{"required":["a"]}"#, None).await.expect("puts");
    assert_eq!((&second["version"], &second["mode"]), (&2.into(), &"enforce".into()));

    let show = |version| SchemasCommand::Show(ShowArgs { of: House::of("login"), version });
    assert_eq!(house.run(show(None)).await.expect("shows")["schema"]["required"][0], "a");
    assert_eq!(house.run(show(Some(1))).await.expect("shows")["schema"]["type"], "object");
    let error = house.run(show(Some(3))).await.expect_err("there are two").to_string();
    assert!(error.contains("there are 1 to 2"), "{error}");
    let all = house.run(SchemasCommand::List(AppArgs { app: "Skyfall".to_owned() })).await.expect("lists");
    assert_eq!(all["schemas"].as_array().map(Vec::len), Some(1));

    for deleted in [true, false] {
        let answer = house.run(SchemasCommand::Delete(House::of("login"))).await.expect("deletes");
        assert_eq!(answer["deleted"], deleted);
    }
    let error = house.run(show(None)).await.expect_err("it is gone").to_string();
    assert!(error.contains("no schema of login"), "{error}");
}

#[tokio::test]
async fn what_is_no_schema_is_a_wrong_argument_and_says_why() {
    let house = House::new().await;
    for (schema, says) in [("no JSON", "must be a JSON object"), (r#"{"type":"strnig"}"#, "is no JSON Schema at /type")]
    {
        let error = house.put(schema, None).await.expect_err("it is none");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(says), "{error}");
    }
}
