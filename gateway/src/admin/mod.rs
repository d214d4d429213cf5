//! What administrators do with applications and their keys, whichever door they come through: the REST API,
//! `AdminService`, the console and the command line. Every change is written to the audit log, before its doer is told.

pub mod authority;
mod books;
pub mod erasures;
mod identity;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::admission::key::{ApiKey, NoRandomness};
use crate::clock::Clock;
use crate::registry::{
    Application, AuditEntry, AuditQuery, Authorization, Books, ClearKey, NewApplication, NewAuthorization, Registry,
    RegistryError, Scopes,
};

/// Who does something, and through which door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// See [`AuditEntry::actor`].
    pub name: String,
    /// The door.
    pub via: Via,
}

impl Actor {
    /// Whoever runs commands on the registry itself.
    #[must_use]
    pub fn local() -> Self {
        Self { name: "local".to_owned(), via: Via::CommandLine }
    }

    /// The same, by a connection whose client has shown this certificate: the name then says both.
    #[must_use]
    pub fn with_certificate(self, certificate: Option<&impl std::fmt::Display>) -> Self {
        let Some(certificate) = certificate else { return self };
        Self { name: format!("{} ({certificate})", self.name), ..self }
    }
}

/// The doors that administrators come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// The REST API.
    Rest,
    /// `AdminService`.
    Grpc,
    /// The console.
    Console,
    /// `headgate apps`, `headgate keys` and their like, on the registry itself.
    CommandLine,
}

impl Via {
    /// Every door.
    pub const ALL: [Self; 4] = [Self::Rest, Self::Grpc, Self::Console, Self::CommandLine];

    /// Its name in the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
            Self::Console => "console",
            Self::CommandLine => "command-line",
        }
    }
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// What the registry says.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No key could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A deletion can't be written down in the data folder, so it is not begun.
    #[error("can't keep the deletion in the data folder: {0}")]
    Erasures(std::io::Error),
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// The application it lets in; must exist.
    pub application_id: Uuid,
    /// See [`Authorization::name`].
    pub name: String,
    /// See [`Authorization::description`].
    pub description: Option<String>,
    /// See [`Authorization::expires_at_ms`].
    pub expires_at_ms: Option<i64>,
    /// See [`Authorization::scopes`].
    pub scopes: Scopes,
}

/// What is different about the key that takes another's place.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// Another name; `None`: the old key's.
    pub name: Option<String>,
    /// When the new key stops letting in. `None`: it gets the time that the old one was made for.
    pub expires_at_ms: Option<Option<i64>>,
    /// How long the old key still lets in; zero disables it at once.
    pub overlap: Duration,
}

/// A key that was just made: the only time that it can be read.
#[derive(Debug)]
pub struct HandedOut {
    /// The key.
    pub key: ApiKey,
    /// What the registry keeps of it.
    pub authorization: Authorization,
}

/// Does what administrators ask for.
pub struct Admin {
    registry: Arc<dyn Registry>,
    books: Arc<dyn Books>,
    clock: Clock,
}

impl Admin {
    /// Over a registry and its books.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>, books: Arc<dyn Books>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { registry, books, clock })
    }

    /// Every application, oldest first.
    ///
    /// # Errors
    /// What the registry says; so of all that follow.
    pub async fn applications(&self) -> Result<Vec<Application>, AdminError> {
        Ok(self.registry.list_applications().await?)
    }

    /// One application.
    pub async fn application(&self, id: Uuid) -> Result<Application, AdminError> {
        Ok(self.registry.get_application(id).await?)
    }

    /// Registers an application.
    pub async fn create_application(&self, actor: &Actor, new: NewApplication) -> Result<Application, AdminError> {
        self.check_audit().await?;
        let application = self.registry.create_application(new).await?;
        let id = application.application_id;
        self.note(actor, "application.create", Some(id), None, application.name.clone()).await?;
        Ok(application)
    }

    /// Replaces an application's name, description, limits, route and environment.
    pub async fn update_application(
        &self,
        actor: &Actor,
        id: Uuid,
        change: NewApplication,
    ) -> Result<Application, AdminError> {
        self.check_audit().await?;
        let before = self.registry.get_application(id).await?;
        let after = self.registry.update_application(id, change).await?;
        self.note(actor, "application.update", Some(id), None, difference(&before, &after)).await?;
        Ok(after)
    }

    /// Removes an application with its keys. Returns whether it was there.
    pub async fn delete_application(&self, actor: &Actor, id: Uuid) -> Result<bool, AdminError> {
        self.check_audit().await?;
        // A row that can't be read can be removed.
        let name = self.registry.get_application(id).await.map(|application| application.name).unwrap_or_default();
        let was_there = self.registry.delete_application(id).await?;
        if was_there {
            self.note(actor, "application.delete", Some(id), None, name).await?;
        }
        Ok(was_there)
    }

    /// An application's keys, oldest first; none for an unknown application.
    pub async fn keys(&self, application: Uuid) -> Result<Vec<Authorization>, AdminError> {
        Ok(self.registry.list_authorizations(application).await?)
    }

    /// One key.
    pub async fn key(&self, id: Uuid) -> Result<Authorization, AdminError> {
        Ok(self.registry.get_authorization(id).await?)
    }

    /// Makes a key.
    pub async fn create_key(&self, actor: &Actor, request: KeyRequest) -> Result<HandedOut, AdminError> {
        self.check_audit().await?;
        let KeyRequest { application_id, name, description, expires_at_ms, scopes } = request;
        let key = ApiKey::generate()?;
        let new = NewAuthorization {
            application_id,
            name,
            description,
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms,
            scopes,
        };
        let authorization = self.registry.create_authorization(new).await?;
        self.note_key(actor, "key.create", &authorization, format!("{}, {scopes}", authorization.name)).await?;
        Ok(HandedOut { key, authorization })
    }

    /// Enables or disables a key. A running gateway heeds it within `admission.key_refresh`.
    pub async fn set_enabled(&self, actor: &Actor, id: Uuid, enabled: bool) -> Result<Authorization, AdminError> {
        self.check_audit().await?;
        let key = self.registry.set_enabled(id, enabled).await?;
        self.note_key(actor, if enabled { "key.enable" } else { "key.disable" }, &key, key.name.clone()).await?;
        Ok(key)
    }

    /// Changes what a key may be used for. A running gateway heeds it within `admission.key_refresh`, open streams
    /// included.
    pub async fn set_scopes(&self, actor: &Actor, id: Uuid, scopes: Scopes) -> Result<Authorization, AdminError> {
        self.check_audit().await?;
        let before = self.registry.get_authorization(id).await?.scopes;
        let key = self.registry.set_scopes(id, scopes).await?;
        self.note_key(actor, "key.scopes", &key, format!("{before} to {scopes}")).await?;
        Ok(key)
    }

    /// Makes a key that takes another's place.
    pub async fn rotate(&self, actor: &Actor, old: Uuid, rotation: Rotation) -> Result<HandedOut, AdminError> {
        self.check_audit().await?;
        let old = self.registry.get_authorization(old).await?;
        let now = self.clock.wall_ms();
        let same_time = old.expires_at_ms.map(|expires_at| now.saturating_add(expires_at - old.created_at_ms));
        let key = ApiKey::generate()?;
        let new = NewAuthorization {
            application_id: old.application_id,
            name: rotation.name.unwrap_or_else(|| old.name.clone()),
            description: old.description.clone(),
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms: rotation.expires_at_ms.unwrap_or(same_time),
            scopes: old.scopes,
        };
        let overlap_ms = i64::try_from(rotation.overlap.as_millis()).unwrap_or(i64::MAX);
        let old_expires_at_ms = (overlap_ms > 0).then(|| now.saturating_add(overlap_ms));
        let authorization = self.registry.rotate(old.api_key_id, new, old_expires_at_ms).await?;
        let detail = format!("in the place of {}", old.api_key_id);
        self.note_key(actor, "key.rotate", &authorization, detail).await?;
        Ok(HandedOut { key, authorization })
    }

    /// Removes a key. Returns whether it was there.
    pub async fn delete_key(&self, actor: &Actor, id: Uuid) -> Result<bool, AdminError> {
        self.check_audit().await?;
        let key = match self.registry.get_authorization(id).await {
            Ok(key) => key,
            Err(RegistryError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let was_there = self.registry.delete_authorization(id).await?;
        if was_there {
            self.note_key(actor, "key.delete", &key, key.name.clone()).await?;
        }
        Ok(was_there)
    }

    /// The audit log, newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, AdminError> {
        Ok(self.books.audit(query).await?)
    }

    /// The keys that another system has left readable.
    pub async fn clear_keys(&self) -> Result<Vec<ClearKey>, AdminError> {
        Ok(self.registry.clear_keys().await?)
    }

    /// Puts a hash in the place of a readable key. Returns whether there was something to do.
    pub async fn hash_clear_key(&self, key: &ClearKey) -> Result<bool, AdminError> {
        Ok(self.registry.hash_clear_key(key).await?)
    }

    /// Writes down that readable keys were replaced by their hashes.
    pub async fn note_migrated(&self, actor: &Actor, keys: usize) -> Result<(), AdminError> {
        self.note(actor, "key.migrate", None, None, format!("{keys} readable keys replaced by their hashes")).await
    }

    /// What can't be written down is not done: an error here comes before anything has changed.
    pub async fn check_audit(&self) -> Result<(), AdminError> {
        self.books.audit(&AuditQuery { limit: 1, ..AuditQuery::default() }).await?;
        Ok(())
    }

    async fn note_key(&self, actor: &Actor, act: &str, key: &Authorization, detail: String) -> Result<(), AdminError> {
        self.note(actor, act, Some(key.application_id), Some(key.api_key_id.to_string()), detail).await
    }

    async fn note(
        &self,
        actor: &Actor,
        act: &str,
        application_id: Option<Uuid>,
        subject: Option<String>,
        detail: String,
    ) -> Result<(), AdminError> {
        let entry = AuditEntry {
            id: Uuid::now_v7(),
            at_ms: self.clock.wall_ms(),
            actor: actor.name.clone(),
            via: actor.via.as_str().to_owned(),
            act: act.to_owned(),
            application_id,
            subject,
            detail,
        };
        Ok(self.books.append_audit(entry).await?)
    }
}

/// What changed, in a few words.
fn difference(before: &Application, after: &Application) -> String {
    let mut changed = Vec::new();
    if before.name != after.name {
        changed.push(format!("name {:?} to {:?}", before.name, after.name));
    }
    if before.description != after.description {
        changed.push("description".to_owned());
    }
    if before.limits != after.limits {
        changed.push(format!("limits to {:?}", after.limits));
    }
    if before.route != after.route {
        let shown = |application: &Application| application.route.map_or("default", |route| route.as_str());
        changed.push(format!("route {} to {}", shown(before), shown(after)));
    }
    if before.environment != after.environment {
        changed.push(format!("environment {} to {}", before.environment, after.environment));
    }
    if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") }
}
