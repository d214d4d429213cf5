//! The registry in DynamoDB: the AWS solution's own two tables, rows of theirs and of ours side by side, and a table of
//! our own for the books (`books`).
//!
//! Any number of gateways share it, and so may the AWS solution's console and Lambda functions: keys in use are read
//! again by their primary keys (`lookup`), so that whoever changes a row is noticed within `admission.key_refresh`.
//! Writes are conditional, and what belongs together is one transaction. When DynamoDB is away, slow or throttles, every
//! call says so with an error within `registry.dynamodb.operation_timeout`; it never takes that for "no such key".

mod attributes;
mod batch;
mod books;
mod client;
mod errors;
mod lists;
mod lookup;
mod migrate;
mod places;
mod removal;
mod rotation;
mod rows;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::Settings;
use crate::registry::{
    Application, Authorization, ClearKey, Identity, KeyAnswer, KeyHash, NewApplication, NewAuthorization, Registry,
    RegistryError, Schema, Scopes, Suppression, UnreadableIdentity,
};
use books::Cached;
use errors::BadRows;
use places::Places;

/// The index of the AWS solution that finds an application's keys.
const APPLICATION_AUTHORIZATIONS: &str = "ApplicationAuthorizations";
/// The index of the AWS solution that finds a readable key.
const API_KEY_VALUES: &str = "ApiKeyValues";
/// Our index, which finds a key by its hash.
const API_KEY_HASHES: &str = "ApiKeyHashes";

/// A [`Registry`] in DynamoDB.
pub struct DynamoDbRegistry {
    client: Client,
    applications: Arc<str>,
    authorizations: Arc<str>,
    books: Arc<str>,
    operation_timeout: std::time::Duration,
    places: Places,
    bad_rows: BadRows,
    known_schemas: Cached<Schema>,
    known_suppressions: Cached<Suppression>,
    known_identities: Cached<Result<Identity, UnreadableIdentity>>,
    clock: Clock,
}

impl DynamoDbRegistry {
    /// The registry in the tables that the settings name. Asks nothing yet.
    #[must_use]
    pub fn new(shared: &SdkConfig, settings: &Settings, clock: Clock) -> Self {
        let dynamodb = &settings.registry.dynamodb;
        Self {
            client: client::new(shared, dynamodb),
            applications: Arc::from(dynamodb.applications_table.as_str()),
            authorizations: Arc::from(dynamodb.authorizations_table.as_str()),
            books: Arc::from(dynamodb.books_table.as_str()),
            operation_timeout: dynamodb.operation_timeout,
            places: Places::new(settings.admission.key_cache_entries, clock.clone()),
            bad_rows: BadRows::default(),
            known_schemas: Cached::default(),
            known_suppressions: Cached::default(),
            known_identities: Cached::default(),
            clock,
        }
    }
}

#[async_trait]
impl Registry for DynamoDbRegistry {
    async fn keys_by_hash(&self, hashes: &[KeyHash]) -> Result<Vec<KeyAnswer>, RegistryError> {
        self.look_up(hashes).await
    }

    async fn find_key(&self, hash: &KeyHash, presented: &str) -> KeyAnswer {
        self.look_up_presented(hash, presented).await
    }

    async fn create_application(&self, new: NewApplication) -> Result<Application, RegistryError> {
        self.put_application(new).await
    }

    async fn list_applications(&self) -> Result<Vec<Application>, RegistryError> {
        self.all_applications().await
    }

    async fn get_application(&self, id: Uuid) -> Result<Application, RegistryError> {
        self.read_application(id).await
    }

    async fn update_application(&self, id: Uuid, change: NewApplication) -> Result<Application, RegistryError> {
        self.change_application(id, change).await
    }

    async fn delete_application(&self, id: Uuid) -> Result<bool, RegistryError> {
        self.remove_application(id).await
    }

    async fn create_authorization(&self, new: NewAuthorization) -> Result<Authorization, RegistryError> {
        self.put_key(new).await
    }

    async fn list_authorizations(&self, application: Uuid) -> Result<Vec<Authorization>, RegistryError> {
        self.keys_of(application).await
    }

    async fn get_authorization(&self, key: Uuid) -> Result<Authorization, RegistryError> {
        self.read_key(key).await
    }

    async fn set_enabled(&self, key: Uuid, enabled: bool) -> Result<Authorization, RegistryError> {
        self.change_key(key, "enabled", AttributeValue::Bool(enabled)).await
    }

    async fn set_scopes(&self, key: Uuid, scopes: Scopes) -> Result<Authorization, RegistryError> {
        scopes.check()?;
        self.change_key(key, "scopes", attributes::text(scopes)).await
    }

    async fn rotate(
        &self,
        old: Uuid,
        new: NewAuthorization,
        old_expires_at_ms: Option<i64>,
    ) -> Result<Authorization, RegistryError> {
        self.replace_key(old, new, old_expires_at_ms).await
    }

    async fn note_used(&self, used: &[(Uuid, Uuid, i64)]) -> Result<(), RegistryError> {
        self.note_keys_used(used).await
    }

    async fn delete_authorization(&self, key: Uuid) -> Result<bool, RegistryError> {
        self.remove_key(key).await
    }

    async fn clear_keys(&self) -> Result<Vec<ClearKey>, RegistryError> {
        self.readable_keys().await
    }

    async fn hash_clear_key(&self, key: &ClearKey) -> Result<bool, RegistryError> {
        self.hash_readable_key(key).await
    }
}
