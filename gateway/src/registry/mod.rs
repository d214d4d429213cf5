//! Applications and their API keys.
//!
//! A [`Registry`] keeps them; only hashes of keys are stored. When it can't be reached or read it says so with an error,
//! which admission must never take for "no such key".

#[cfg(feature = "aws")]
pub mod aws;
mod books;
pub mod demand;
mod environment;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod identity;
mod json_schema;
mod key_hash;
pub(crate) mod private_file;
mod route;
mod rules;
mod scopes;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{RegistryKind, Settings};

pub use books::{AuditEntry, AuditQuery, Books, Revisions, Schema, SchemaMode, Suppression, UnknownSchemaMode};
pub use environment::{Environment, UnknownEnvironment};
pub use identity::{
    Hasher, Identities, Identity, IdentityField, IdentityOverview, Secret, UnknownIdentityField, UnreadableIdentity,
    generation_of_hash,
};
pub use json_schema::{JsonSchema, Violation};
pub use key_hash::{KeyHash, KeyHashError};
pub use route::{Route, UnknownRoute};
pub use scopes::{Purpose, Scopes, UnknownScopes};
pub use sqlite::SqliteRegistry;
pub(crate) use sqlite::inspect as sqlite_inspection;

/// A registered game.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Application {
    /// Its id; events carry it as `application_id`.
    pub application_id: Uuid,
    /// Its name for people; 1 to 256 characters.
    pub name: String,
    /// What it is; at most 1,024 characters.
    pub description: Option<String>,
    /// What it may send.
    pub limits: Limits,
    /// Where its events go; `None` means the gateway's default (`delivery.destination`).
    pub route: Option<Route>,
    /// Which of the game's environments it is.
    pub environment: Environment,
    /// When it was registered, milliseconds since 1970-01-01 UTC.
    pub created_at_ms: i64,
    /// When it was last changed, milliseconds since 1970-01-01 UTC.
    pub updated_at_ms: i64,
}

/// What an application may send; `None` means the gateway's default (`admission.*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Events a second, at least 1.
    pub events_per_second: Option<u32>,
    /// Events at once, at least 1.
    pub events_burst: Option<u32>,
    /// Bytes of messages a second, at least 1 KiB.
    pub bytes_per_second: Option<u64>,
    /// Bytes of messages at once, at least 1 KiB.
    pub bytes_burst: Option<u64>,
}

/// An API key as the registry knows it: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authorization {
    /// The key's id.
    pub api_key_id: Uuid,
    /// The application it lets in.
    pub application_id: Uuid,
    /// Its name for people; 1 to 256 characters.
    pub name: String,
    /// What it is for; at most 1,024 characters.
    pub description: Option<String>,
    /// The key's prefix and last four characters.
    pub masked_key: String,
    /// Whether it lets anyone in.
    pub enabled: bool,
    /// When it stops letting anyone in, milliseconds since 1970-01-01 UTC; `None`: never.
    pub expires_at_ms: Option<i64>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it last let someone in, milliseconds since 1970-01-01 UTC, to about a minute; `None`: never, or unknown.
    pub last_used_at_ms: Option<i64>,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub created_at_ms: i64,
    /// When it was last changed, milliseconds since 1970-01-01 UTC.
    pub updated_at_ms: i64,
}

/// What a key's hash leads to: whom it lets in and whether it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub authorization: Authorization,
    /// The key's hash, to be compared in constant time.
    pub hash: KeyHash,
    /// The application.
    pub application: Application,
}

/// What a registry says of one key: an error is about that key alone, and says nothing about whether it exists.
pub type KeyAnswer = Result<Option<KeyRecord>, RegistryError>;

/// A key that another system keeps readable, see [`Registry::clear_keys`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearKey {
    /// Its id, as the registry has it.
    pub api_key_id: String,
    /// Its application's id, as the registry has it.
    pub application_id: String,
}

/// A new application.
#[derive(Clone, Debug, Default)]
pub struct NewApplication {
    /// See [`Application::name`].
    pub name: String,
    /// See [`Application::description`].
    pub description: Option<String>,
    /// See [`Application::limits`].
    pub limits: Limits,
    /// See [`Application::route`].
    pub route: Option<Route>,
    /// See [`Application::environment`].
    pub environment: Environment,
}

/// A new key. Whoever makes it keeps the key; the registry gets its hash.
#[derive(Clone, Debug)]
pub struct NewAuthorization {
    /// The application it lets in; must exist.
    pub application_id: Uuid,
    /// See [`Authorization::name`].
    pub name: String,
    /// See [`Authorization::description`].
    pub description: Option<String>,
    /// The key's hash.
    pub hash: KeyHash,
    /// See [`Authorization::masked_key`].
    pub masked_key: String,
    /// See [`Authorization::expires_at_ms`].
    pub expires_at_ms: Option<i64>,
    /// See [`Authorization::scopes`].
    pub scopes: Scopes,
}

/// What went wrong with the registry.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is nothing of that id.
    #[error("no {what} with id {id}")]
    NotFound {
        /// `application` or `key`.
        what: &'static str,
        /// The id asked for.
        id: Uuid,
    },
    /// A value breaks a rule.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The registry can't be reached or is busy. Says nothing about whether a key exists.
    #[error("the registry can't be used: {0}")]
    Unavailable(Arc<str>),
    /// The registry answers, but something of it is missing or may not be used. Says nothing about whether a key exists.
    #[error("the registry can't be used: {problem}: {mend}")]
    NotSetUp {
        /// What is missing or refused, by its name.
        problem: Arc<str>,
        /// What would mend it.
        mend: Arc<str>,
    },
    /// The installation has no table for the books, as it may: there is no audit log, no schema, no suppressed player and no
    /// hashed id.
    #[error("the registry keeps no books: {problem}: {mend}")]
    NoBooks {
        /// What is missing, by its name.
        problem: Arc<str>,
        /// What would mend it.
        mend: Arc<str>,
    },
    /// One row can't be understood. Says nothing about other rows.
    #[error("the row {row} of table {table} can't be used: {attribute} {problem}")]
    BadRow {
        /// The table.
        table: Arc<str>,
        /// The row's key.
        row: Arc<str>,
        /// The attribute at fault.
        attribute: &'static str,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// The registry's file can't be read as one.
    #[error(
        "the registry file {} is damaged ({detail}): stop the gateway, move the file and its -wal and -shm files \
         away, and put a backup in its place or start with an empty registry",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: Arc<str>,
    },
    /// The registry's file was written by a later version of Headgate.
    #[error(
        "the registry file {} has schema version {found}, this headgate knows versions up to {known}: run the version \
         that wrote it, or a later one",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// The file is a database, but not a registry.
    #[error(
        "{} is a database of something else: set `data_dir` to a folder of the gateway's own, or move the file away",
        path.display()
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
    },
}

/// Keeps applications and keys.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What the keys with these hashes lead to, in the order asked; `None` where there is no such key. A registry that
    /// holds keys which another system keeps readable finds those here once [`Registry::find_key`] has found them.
    async fn keys_by_hash(&self, hashes: &[KeyHash]) -> Result<Vec<KeyAnswer>, RegistryError>;
    /// What a key leads to that was presented for the first time; `hash` is its hash.
    async fn find_key(&self, hash: &KeyHash, presented: &str) -> KeyAnswer {
        let _ = presented;
        self.keys_by_hash(std::slice::from_ref(hash)).await?.pop().unwrap_or(Ok(None))
    }

    /// Registers an application.
    async fn create_application(&self, new: NewApplication) -> Result<Application, RegistryError>;
    /// Every application, oldest first.
    async fn list_applications(&self) -> Result<Vec<Application>, RegistryError>;
    /// One application.
    async fn get_application(&self, id: Uuid) -> Result<Application, RegistryError>;
    /// Replaces an application's name, description, limits, route and environment.
    async fn update_application(&self, id: Uuid, change: NewApplication) -> Result<Application, RegistryError>;
    /// Removes an application with its keys; removing an unknown one succeeds. Returns whether it was there.
    async fn delete_application(&self, id: Uuid) -> Result<bool, RegistryError>;

    /// Adds a key.
    async fn create_authorization(&self, new: NewAuthorization) -> Result<Authorization, RegistryError>;
    /// An application's keys, oldest first; none for an unknown application.
    async fn list_authorizations(&self, application: Uuid) -> Result<Vec<Authorization>, RegistryError>;
    /// One key.
    async fn get_authorization(&self, key: Uuid) -> Result<Authorization, RegistryError>;
    /// Enables or disables a key.
    async fn set_enabled(&self, key: Uuid, enabled: bool) -> Result<Authorization, RegistryError>;
    /// Changes what a key may be used for.
    async fn set_scopes(&self, key: Uuid, scopes: Scopes) -> Result<Authorization, RegistryError>;
    /// Replaces a key: adds `new`, and disables `old` or has it expire at an instant (never later than it would anyway),
    /// both or neither.
    async fn rotate(
        &self,
        old: Uuid,
        new: NewAuthorization,
        old_expires_at_ms: Option<i64>,
    ) -> Result<Authorization, RegistryError>;
    /// Removes a key; removing an unknown one succeeds. Returns whether it was there.
    async fn delete_authorization(&self, key: Uuid) -> Result<bool, RegistryError>;

    /// Notes when keys were used last: `(application, key, milliseconds since 1970-01-01 UTC)`. Later times win; keys
    /// that are gone are passed over.
    async fn note_used(&self, used: &[(Uuid, Uuid, i64)]) -> Result<(), RegistryError>;

    /// The keys that another system has left readable in the registry. None where only hashes are kept.
    async fn clear_keys(&self) -> Result<Vec<ClearKey>, RegistryError> {
        Ok(Vec::new())
    }
    /// Puts a hash in the place of a readable key, which goes on working all the while. Returns whether there was
    /// something to do; doing it twice, or going on after an interruption, is safe.
    async fn hash_clear_key(&self, key: &ClearKey) -> Result<bool, RegistryError> {
        let _ = key;
        Ok(false)
    }
}

/// A registry and its books.
pub struct Opened {
    /// Applications and keys.
    pub registry: Arc<dyn Registry>,
    /// What is kept beside them.
    pub books: Arc<dyn Books>,
}

impl Opened {
    fn of<R: Registry + Books + 'static>(both: R) -> Self {
        let both = Arc::new(both);
        Self { registry: both.clone(), books: both }
    }
}

/// Opens the registry that the settings name; the one place that knows where it is. Makes the data folder and an empty
/// file where there is none (tables in AWS are the operator's). Waits for another process that does the same, so it
/// belongs before serving begins.
///
/// # Errors
/// If the registry can't be used; says what to do.
pub async fn open(settings: &Settings, clock: &Clock) -> Result<Opened, RegistryError> {
    match settings.registry.kind {
        RegistryKind::Sqlite => {
            private_file::make_folder(&settings.data_dir)?;
            Ok(Opened::of(SqliteRegistry::open(&settings.data_dir.join("registry.sqlite"), clock.clone())?))
        }
        #[cfg(feature = "aws")]
        RegistryKind::Dynamodb => {
            let shared = crate::aws::shared_config(&settings.aws).await.map_err(|error| RegistryError::NotSetUp {
                problem: Arc::from("registry.kind is dynamodb"),
                mend: Arc::from(error.to_string()),
            })?;
            Ok(Opened::of(aws::DynamoDbRegistry::new(&shared, settings, clock.clone())))
        }
        #[cfg(not(feature = "aws"))]
        RegistryKind::Dynamodb => Err(RegistryError::NotSetUp {
            problem: Arc::from("registry.kind is dynamodb"),
            mend: Arc::from("this headgate was built without the feature `aws`"),
        }),
    }
}
