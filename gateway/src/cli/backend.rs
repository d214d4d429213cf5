//! What the commands for applications, keys, players and the audit log work on: the registry itself, with gateways running or
//! stopped, or a running gateway, by its `AdminService`.

mod local;
mod remote;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::Args;
use tonic::Status;
use uuid::Uuid;

use super::find::refused;
use super::{CliError, Context, earlier};
use crate::admin::{Admin, AdminError, HandedOut, KeyRequest, Rotation};
use crate::clock::Clock;
use crate::registry::{
    self, Application, AuditEntry, Authorization, IdentityField, IdentityOverview, NewApplication, RegistryError,
    Schema, SchemaMode, Scopes, Suppression,
};

pub(super) use local::Local;
pub(super) use remote::Remote;

/// A running gateway to work through, and how to get in.
#[derive(Debug, Default, Args)]
pub struct GatewayArgs {
    /// Work through this running gateway, such as http://127.0.0.1:50051, and not on the registry itself
    #[arg(long, global = true, value_name = "URL")]
    pub gateway: Option<String>,
    /// File with the gateway's admin token; without it HEADGATE_ADMIN_TOKEN is taken, or for a gateway on this machine the
    /// token in the data folder
    #[arg(long, global = true, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// PEM file with the authority of the gateway's certificate, for an https URL
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Why a back end did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackendError {
    /// It can't be done.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The gateway says no in another way, or can't be reached.
    #[error("{}", remote::describe(.0))]
    Gateway(Box<Status>),
    /// The gateway's answer is none.
    #[error("the gateway's answer can't be understood: {0}")]
    Garbled(String),
}

impl From<RegistryError> for BackendError {
    fn from(error: RegistryError) -> Self {
        Self::Admin(error.into())
    }
}

impl BackendError {
    /// Whether what was named is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Admin(AdminError::Registry(RegistryError::NotFound { .. })))
    }
}

/// Does what the commands ask for; each method as the one of [`Admin`] with its name.
#[async_trait]
pub(super) trait Backend: Send + Sync {
    async fn applications(&self) -> Result<Vec<Application>, BackendError>;
    async fn application(&self, id: Uuid) -> Result<Application, BackendError>;
    async fn create_application(&self, new: NewApplication) -> Result<Application, BackendError>;
    async fn update_application(&self, id: Uuid, change: NewApplication) -> Result<Application, BackendError>;
    async fn delete_application(&self, id: Uuid) -> Result<bool, BackendError>;
    async fn keys(&self, application: Uuid) -> Result<Vec<Authorization>, BackendError>;
    async fn key(&self, id: Uuid) -> Result<Authorization, BackendError>;
    async fn create_key(&self, request: KeyRequest) -> Result<HandedOut, BackendError>;
    async fn set_enabled(&self, id: Uuid, enabled: bool) -> Result<Authorization, BackendError>;
    async fn set_scopes(&self, id: Uuid, scopes: Scopes) -> Result<Authorization, BackendError>;
    async fn rotate(&self, old: Uuid, rotation: Rotation) -> Result<HandedOut, BackendError>;
    async fn delete_key(&self, id: Uuid) -> Result<bool, BackendError>;
    async fn schemas(&self, application: Uuid) -> Result<Vec<Schema>, BackendError>;
    async fn schema_versions(&self, application: Uuid, event_type: &str) -> Result<Vec<Schema>, BackendError>;
    /// Without a mode: that of the version before, or `warn` for the first one.
    async fn put_schema(
        &self,
        application: Uuid,
        event_type: &str,
        mode: Option<SchemaMode>,
        schema: &str,
    ) -> Result<Schema, BackendError>;
    async fn set_schema_mode(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, BackendError>;
    async fn delete_schema(&self, application: Uuid, event_type: &str) -> Result<bool, BackendError>;
    async fn suppress(&self, application: Uuid, player_id: &str) -> Result<Suppression, BackendError>;
    async fn unsuppress(&self, application: Uuid, player_id: &str) -> Result<bool, BackendError>;
    async fn suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, BackendError>;
    async fn identity(&self, application: Uuid) -> Result<IdentityOverview, BackendError>;
    async fn hash_fields(&self, application: Uuid, fields: &[IdentityField]) -> Result<IdentityOverview, BackendError>;
    async fn rotate_identity(&self, application: Uuid, forget_earlier: bool) -> Result<IdentityOverview, BackendError>;
    async fn stored_ids(&self, application: Uuid, id: &str) -> Result<Vec<String>, BackendError>;
    /// The registry itself, where that is what is worked on.
    fn registry(&self) -> Option<&Admin> {
        None
    }
    /// The newest lines of the audit log, of one application or of all.
    async fn audit(&self, application: Option<Uuid>, at_most: usize) -> Result<Vec<AuditEntry>, BackendError>;
}

/// The back end that the arguments name.
///
/// # Errors
/// If the registry can't be opened, or the arguments do not lead to a gateway.
pub(super) async fn open(args: &GatewayArgs, context: &Context, clock: &Clock) -> Result<Box<dyn Backend>, CliError> {
    match &args.gateway {
        Some(url) => Ok(Box::new(Remote::new(url, args, &context.settings.data_dir)?)),
        None => {
            args.refuse_without_gateway()?;
            earlier::refuse_to_migrate(&context.settings)?;
            let opened = registry::open(&context.settings, clock).await.map_err(refused)?;
            Ok(Box::new(Local::new(Admin::new(opened.registry, opened.books, clock.clone()))))
        }
    }
}

impl GatewayArgs {
    /// Refuses what means nothing on the registry itself.
    fn refuse_without_gateway(&self) -> Result<(), CliError> {
        let given = [("--admin-token-file", &self.admin_token_file), ("--ca-file", &self.ca_file)];
        match given.into_iter().find(|(_, value)| value.is_some()) {
            Some((flag, _)) => Err(CliError::usage(format!("{flag} is for a running gateway: give --gateway URL"))),
            None => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| CliError::failed(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
