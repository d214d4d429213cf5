//! What a registry keeps beside applications and keys: who changed what, how event types are to look, and whose events
//! are not to be kept, and how ids are hashed.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Identities, Identity, RegistryError};

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AuditEntry {
    /// Its id: a version 7 UUID, so that ids sort by time.
    pub id: Uuid,
    /// When, milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Who: `admin-token`, an admin access key's id, or `local` for whoever runs commands on the registry itself.
    pub actor: String,
    /// Through which door: `rest`, `grpc`, `console` or `command-line`.
    pub via: String,
    /// What was done, such as `application.create` or `key.disable`.
    pub act: String,
    /// The application it was done to or within.
    pub application_id: Option<Uuid>,
    /// What it was done to: the id of a key, an event type, a player's id in masked form.
    pub subject: Option<String>,
    /// What changed, in a few words for people. Never a secret.
    pub detail: String,
}

/// Which lines of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of one application; `None`: of all.
    pub application_id: Option<Uuid>,
    /// Older than this entry; `None`: from the newest.
    pub before: Option<Uuid>,
    /// At most so many; 1 to 1,000.
    pub limit: u32,
}

impl AuditQuery {
    /// The limit, brought into its range.
    pub(super) fn clamped_limit(&self) -> u32 {
        self.limit.clamp(1, 1_000)
    }
}

/// What happens to an event that does not fit its schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// Nothing: the schema is kept and not looked at.
    #[default]
    Off,
    /// It is accepted, counted and shown with what does not fit.
    Warn,
    /// It is rejected.
    Enforce,
}

/// A text that names no [`SchemaMode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mode of a schema: give off, warn or enforce")]
pub struct UnknownSchemaMode(String);

impl SchemaMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Off, Self::Warn, Self::Enforce];

    /// Its name, as it is kept and typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for SchemaMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SchemaMode {
    type Err = UnknownSchemaMode;

    fn from_str(text: &str) -> Result<Self, UnknownSchemaMode> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownSchemaMode(text.to_owned()))
    }
}

/// A JSON Schema for the `event_data` of an event type. Its versions count from 1; the latest one holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Schema {
    /// The application.
    pub application_id: Uuid,
    /// The event type.
    pub event_type: String,
    /// From 1.
    pub version: u32,
    /// What happens to events that do not fit.
    pub mode: SchemaMode,
    /// The schema, a JSON object, at most 64 KiB.
    pub schema: String,
    /// When this version was put, milliseconds since 1970-01-01 UTC.
    pub created_at_ms: i64,
}

/// A player whose events are not to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Suppression {
    /// The application.
    pub application_id: Uuid,
    /// `event_data.player_id`.
    pub player_id: String,
    /// Since when, milliseconds since 1970-01-01 UTC.
    pub since_ms: i64,
}

/// How often books were changed: two that are equal say that nothing was changed between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revisions {
    /// The schemas.
    pub schemas: u64,
    /// The suppressions.
    pub suppressions: u64,
    /// How ids are hashed.
    pub identities: u64,
}

/// Keeps the books.
#[async_trait]
pub trait Books: Send + Sync {
    /// How often each book was changed by now; cheap, for whoever asks every other second.
    async fn revisions(&self) -> Result<Revisions, RegistryError>;

    /// Adds a line to the audit log.
    async fn append_audit(&self, entry: AuditEntry) -> Result<(), RegistryError>;
    /// Lines of the audit log, newest first.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, RegistryError>;

    /// Puts a new version of a schema in the place of the one before; earlier versions are kept.
    async fn put_schema(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
        schema: &str,
    ) -> Result<Schema, RegistryError>;
    /// The latest version of every schema, of one application or of all.
    async fn schemas(&self, application: Option<Uuid>) -> Result<Vec<Schema>, RegistryError>;
    /// Every version of one schema, newest first.
    async fn schema_versions(&self, application: Uuid, event_type: &str) -> Result<Vec<Schema>, RegistryError>;
    /// Changes what happens to events that do not fit.
    async fn set_schema_mode(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, RegistryError>;
    /// Removes every version. Returns whether there was one.
    async fn delete_schema(&self, application: Uuid, event_type: &str) -> Result<bool, RegistryError>;

    /// From now on this player's events are not kept. Doing it twice is once.
    async fn suppress(&self, application: Uuid, player_id: &str) -> Result<Suppression, RegistryError>;
    /// They are kept again. Returns whether they were not.
    async fn unsuppress(&self, application: Uuid, player_id: &str) -> Result<bool, RegistryError>;
    /// Whose events are not kept, of one application or of all.
    async fn suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, RegistryError>;

    /// Keeps how an application has ids hashed, if nobody else has changed it meanwhile: its version is one more than that
    /// of what is kept, or 1 where nothing is. Returns whether it was kept.
    async fn put_identity(&self, identity: &Identity) -> Result<bool, RegistryError>;
    /// How an application has ids hashed; `None`: it never had any.
    async fn identity(&self, application: Uuid) -> Result<Option<Identity>, RegistryError>;
    /// The same of all that have ever had any. A row that can't be read is told, and hides no other.
    async fn identities(&self) -> Result<Identities, RegistryError>;
}
