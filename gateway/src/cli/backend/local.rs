//! The registry itself.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Backend, BackendError};
use crate::admin::{Actor, Admin, HandedOut, KeyRequest, Rotation};
use crate::registry::{
    Application, AuditEntry, AuditQuery, Authorization, IdentityField, IdentityOverview, NewApplication, Schema,
    SchemaMode, Scopes, Suppression,
};

/// What one look into the audit log brings at most.
const PAGE: usize = 1_000;

/// Works on the registry, as whoever may use its files or tables.
pub(in crate::cli) struct Local {
    admin: Arc<Admin>,
    actor: Actor,
}

impl Local {
    pub(in crate::cli) fn new(admin: Arc<Admin>) -> Self {
        Self { admin, actor: Actor::local() }
    }
}

#[async_trait]
impl Backend for Local {
    fn registry(&self) -> Option<&Admin> {
        Some(&self.admin)
    }

    async fn applications(&self) -> Result<Vec<Application>, BackendError> {
        Ok(self.admin.applications().await?)
    }

    async fn application(&self, id: Uuid) -> Result<Application, BackendError> {
        Ok(self.admin.application(id).await?)
    }

    async fn create_application(&self, new: NewApplication) -> Result<Application, BackendError> {
        Ok(self.admin.create_application(&self.actor, new).await?)
    }

    async fn update_application(&self, id: Uuid, change: NewApplication) -> Result<Application, BackendError> {
        Ok(self.admin.update_application(&self.actor, id, change).await?)
    }

    async fn delete_application(&self, id: Uuid) -> Result<bool, BackendError> {
        Ok(self.admin.delete_application(&self.actor, id).await?)
    }

    async fn keys(&self, application: Uuid) -> Result<Vec<Authorization>, BackendError> {
        Ok(self.admin.keys(application).await?)
    }

    async fn key(&self, id: Uuid) -> Result<Authorization, BackendError> {
        Ok(self.admin.key(id).await?)
    }

    async fn create_key(&self, request: KeyRequest) -> Result<HandedOut, BackendError> {
        Ok(self.admin.create_key(&self.actor, request).await?)
    }

    async fn set_enabled(&self, id: Uuid, enabled: bool) -> Result<Authorization, BackendError> {
        Ok(self.admin.set_enabled(&self.actor, id, enabled).await?)
    }

    async fn set_scopes(&self, id: Uuid, scopes: Scopes) -> Result<Authorization, BackendError> {
        Ok(self.admin.set_scopes(&self.actor, id, scopes).await?)
    }

    async fn rotate(&self, old: Uuid, rotation: Rotation) -> Result<HandedOut, BackendError> {
        Ok(self.admin.rotate(&self.actor, old, rotation).await?)
    }

    async fn delete_key(&self, id: Uuid) -> Result<bool, BackendError> {
        Ok(self.admin.delete_key(&self.actor, id).await?)
    }

    async fn schemas(&self, application: Uuid) -> Result<Vec<Schema>, BackendError> {
        Ok(self.admin.schemas(Some(application)).await?)
    }

    async fn schema_versions(&self, application: Uuid, event_type: &str) -> Result<Vec<Schema>, BackendError> {
        Ok(self.admin.schema_versions(application, event_type).await?)
    }

    async fn put_schema(
        &self,
        application: Uuid,
        event_type: &str,
        mode: Option<SchemaMode>,
        schema: &str,
    ) -> Result<Schema, BackendError> {
        Ok(self.admin.put_schema(&self.actor, application, event_type, mode, schema).await?)
    }

    async fn set_schema_mode(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, BackendError> {
        Ok(self.admin.set_schema_mode(&self.actor, application, event_type, mode).await?)
    }

    async fn delete_schema(&self, application: Uuid, event_type: &str) -> Result<bool, BackendError> {
        Ok(self.admin.delete_schema(&self.actor, application, event_type).await?)
    }

    async fn suppress(&self, application: Uuid, player_id: &str) -> Result<Suppression, BackendError> {
        Ok(self.admin.suppress(&self.actor, application, player_id).await?)
    }

    async fn unsuppress(&self, application: Uuid, player_id: &str) -> Result<bool, BackendError> {
        Ok(self.admin.unsuppress(&self.actor, application, player_id).await?)
    }

    async fn suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, BackendError> {
        Ok(self.admin.suppressions(application).await?)
    }

    async fn identity(&self, application: Uuid) -> Result<IdentityOverview, BackendError> {
        Ok(self.admin.identity(application).await?)
    }

    async fn hash_fields(&self, application: Uuid, fields: &[IdentityField]) -> Result<IdentityOverview, BackendError> {
        Ok(self.admin.hash_fields(&self.actor, application, fields).await?)
    }

    async fn rotate_identity(&self, application: Uuid, forget_earlier: bool) -> Result<IdentityOverview, BackendError> {
        Ok(self.admin.rotate_identity(&self.actor, application, forget_earlier).await?)
    }

    async fn stored_ids(&self, application: Uuid, id: &str) -> Result<Vec<String>, BackendError> {
        Ok(self.admin.stored_ids(&self.actor, application, id).await?)
    }

    async fn audit(&self, application: Option<Uuid>, at_most: usize) -> Result<Vec<AuditEntry>, BackendError> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        while entries.len() < at_most {
            let size = (at_most - entries.len()).min(PAGE);
            let query = AuditQuery {
                application_id: application,
                before: entries.last().map(|entry| entry.id),
                limit: u32::try_from(size).unwrap_or(u32::MAX),
            };
            let page = self.admin.audit(&query).await?;
            let is_last = page.len() < size;
            entries.extend(page);
            if is_last {
                break;
            }
        }
        Ok(entries)
    }
}
