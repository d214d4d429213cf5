//! The guarantees of the registry, on real files.

mod contents;
mod files;
mod sharing;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::admission::key::ApiKey;
use crate::registry::{Environment, KeyRecord, Limits, Route};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("registry.sqlite")
    }

    fn open(&self) -> SqliteRegistry {
        self.try_open().expect("opens")
    }

    fn try_open(&self) -> Result<SqliteRegistry, RegistryError> {
        SqliteRegistry::open(&self.file(), Clock::system())
    }

    fn open_error(&self) -> RegistryError {
        self.try_open().map(|_| ()).expect_err("does not open")
    }
}

fn application(name: &str) -> NewApplication {
    NewApplication { name: name.to_owned(), ..NewApplication::default() }
}

fn key_of(application: &Application, key: &str) -> NewAuthorization {
    let key = ApiKey::parse(key).expect("a key");
    NewAuthorization {
        application_id: application.application_id,
        name: "server".to_owned(),
        description: None,
        hash: key.hash(),
        masked_key: key.masked(),
        expires_at_ms: None,
        scopes: Scopes::INGEST,
    }
}

async fn with_key(registry: &SqliteRegistry, key: &str) -> (Application, Authorization) {
    let application = registry.create_application(application("skyfall")).await.expect("creates");
    let authorization = registry.create_authorization(key_of(&application, key)).await.expect("creates");
    (application, authorization)
}

async fn look_up(registry: &SqliteRegistry, key: &str) -> Result<Option<KeyRecord>, RegistryError> {
    registry.keys_by_hash(&[KeyHash::of(key)]).await?.pop().unwrap_or(Ok(None))
}
