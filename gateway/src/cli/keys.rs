//! `headgate keys`: hands out, rotates and disables API keys. Works on the registry itself, with the gateway running or
//! stopped. A key is shown once, when it is made: only its hash is kept.

mod expiry;
mod migrate;

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::find::{self, key_id, refused};
use super::report::{Report, printable, properties, table, time, timestamp};
use super::{CliError, Context};
use crate::admission::key::ApiKey;
use crate::clock::Clock;
use crate::registry::{self, Application, Authorization, NewAuthorization, Registry, RegistryError};

pub use expiry::Expiry;
pub use migrate::MigrateArgs;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key for a game and show it, once
    Create(CreateArgs),
    /// Show the keys of one game, or of all
    List {
        /// The game's id, or its name if no other has the same
        app: Option<String>,
    },
    /// Stop letting a key in; open streams end within 5 seconds
    Disable(KeyArgs),
    /// Let a disabled key in again
    Enable(KeyArgs),
    /// Make a key that takes another's place, which is disabled at once
    Rotate(RotateArgs),
    /// Remove a key for good
    Delete(KeyArgs),
    /// Replace the keys that the AWS solution keeps readable by their hashes; they go on working
    Migrate(MigrateArgs),
}

/// A new key.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
    /// The key's name, 1 to 256 characters, such as the servers that will use it
    #[arg(long)]
    pub name: String,
    /// What it is for, at most 1,024 characters
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// When it stops letting in: 30d from now, 2030-01-31, 2030-01-31T12:00:00Z, or never
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub expires: Expiry,
}

/// Which key.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The key's id, as `headgate keys list` shows it
    pub key: String,
}

/// Which key, and what is different about the new one.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The old key's id, as `headgate keys list` shows it
    pub key: String,
    /// Another name for the new key
    #[arg(long)]
    pub name: Option<String>,
    /// When the new key stops letting in; without it, the new key gets the time that the old one was made for
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<Expiry>,
}

/// A key as programs see it.
#[derive(Serialize)]
pub(super) struct KeyView<'a> {
    api_key_id: Uuid,
    application_id: Uuid,
    application_name: &'a str,
    name: &'a str,
    description: Option<&'a str>,
    masked_key: &'a str,
    enabled: bool,
    state: &'static str,
    expires_at: Option<String>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct NewKeyView<'a> {
    api_key: &'a str,
    #[serde(flatten)]
    key: KeyView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_api_key_id: Option<Uuid>,
}

#[derive(Serialize)]
struct KeysView<'a> {
    keys: Vec<KeyView<'a>>,
}

#[derive(Serialize)]
struct DeletedView {
    deleted: bool,
    api_key_id: Uuid,
}

/// Runs one of the commands and shows its result.
///
/// # Errors
/// If the registry can't be used, or what the command names is not there.
pub async fn run(command: KeysCommand, context: &Context) -> Result<(), CliError> {
    let clock = Clock::system();
    context.show_warnings();
    let registry = registry::open(&context.settings, &clock).await.map_err(refused)?;
    if let KeysCommand::Migrate(args) = command {
        let migration = migrate::migrate(&args, registry.as_ref(), &clock).await?;
        migration.report()?.show(context.output)?;
        return migration.verdict();
    }
    execute(command, registry.as_ref(), &clock).await?.show(context.output)
}

async fn execute(command: KeysCommand, registry: &dyn Registry, clock: &Clock) -> Result<Report, CliError> {
    let now = clock.wall_ms();
    match command {
        KeysCommand::Create(args) => create(args, registry, now).await,
        KeysCommand::List { app } => list(app.as_deref(), registry, now).await,
        KeysCommand::Disable(args) => set_enabled(key_id(&args.key)?, false, registry, now).await,
        KeysCommand::Enable(args) => set_enabled(key_id(&args.key)?, true, registry, now).await,
        KeysCommand::Rotate(args) => rotate(args, registry, now).await,
        KeysCommand::Delete(args) => delete(key_id(&args.key)?, registry).await,
        KeysCommand::Migrate(args) => migrate::migrate(&args, registry, clock).await?.report(),
    }
}

async fn create(args: CreateArgs, registry: &dyn Registry, now: i64) -> Result<Report, CliError> {
    let expires_at_ms = args.expires.from(now)?;
    let application = find::application(registry, &args.app).await?;
    let key = ApiKey::generate().map_err(CliError::failed)?;
    let new = NewAuthorization {
        application_id: application.application_id,
        name: args.name,
        description: args.description.filter(|description| !description.is_empty()),
        hash: key.hash(),
        masked_key: key.masked(),
        expires_at_ms,
    };
    let authorization = registry.create_authorization(new).await.map_err(refused)?;
    handed_out(&key, &application, &authorization, None, now)
}

async fn rotate(args: RotateArgs, registry: &dyn Registry, now: i64) -> Result<Report, CliError> {
    let old = registry.get_authorization(key_id(&args.key)?).await.map_err(refused)?;
    let application = registry.get_application(old.application_id).await.map_err(refused)?;
    let same_time = old.expires_at_ms.map(|expires_at| now.saturating_add(expires_at - old.created_at_ms));
    let key = ApiKey::generate().map_err(CliError::failed)?;
    let new = NewAuthorization {
        application_id: old.application_id,
        name: args.name.unwrap_or(old.name),
        description: old.description,
        hash: key.hash(),
        masked_key: key.masked(),
        expires_at_ms: args.expires.map_or(Ok(same_time), |expires| expires.from(now))?,
    };
    let authorization = registry.rotate(old.api_key_id, new).await.map_err(refused)?;
    handed_out(&key, &application, &authorization, Some(old.api_key_id), now)
}

/// The only place that shows a key.
fn handed_out(
    key: &ApiKey,
    application: &Application,
    authorization: &Authorization,
    replaced: Option<Uuid>,
    now: i64,
) -> Result<Report, CliError> {
    let replaces = replaced.map_or_else(String::new, |old| format!("\nThe old key {old} is disabled.\n"));
    let text = format!(
        "{}\n\nCopy the key now: only its hash is kept, so it can't be shown again.\n{replaces}\n{}",
        key.expose(),
        properties([
            ("application", application.name.clone()),
            ("key id", authorization.api_key_id.to_string()),
            ("name", authorization.name.clone()),
            ("expires", expires(authorization)),
        ]),
    );
    let key_view = KeyView::of(application, authorization, now);
    Report::new(text, &NewKeyView { api_key: key.expose(), key: key_view, replaced_api_key_id: replaced })
}

async fn list(app: Option<&str>, registry: &dyn Registry, now: i64) -> Result<Report, CliError> {
    let applications = match app {
        Some(app) => vec![find::application(registry, app).await?],
        None => registry.list_applications().await.map_err(refused)?,
    };
    let mut keys = Vec::new();
    for application in &applications {
        let of_application = registry.list_authorizations(application.application_id).await.map_err(refused)?;
        keys.extend(of_application.into_iter().map(|key| (application, key)));
    }
    let text = if keys.is_empty() {
        "no keys: make one with `headgate keys create APP --name NAME`".to_owned()
    } else {
        key_table(keys.iter().map(|(application, key)| (*application, key)), now)
    };
    let view = KeysView { keys: keys.iter().map(|(application, key)| KeyView::of(application, key, now)).collect() };
    Report::new(text, &view)
}

async fn set_enabled(id: Uuid, enabled: bool, registry: &dyn Registry, now: i64) -> Result<Report, CliError> {
    let key = registry.set_enabled(id, enabled).await.map_err(refused)?;
    let application = registry.get_application(key.application_id).await.map_err(refused)?;
    let (done, effect) = match state(&key, now) {
        "enabled" => ("enabled", "a running gateway lets it in within 5 seconds"),
        "expired" => ("enabled", "but it has expired and lets nobody in: rotate it"),
        _ => ("disabled", "a running gateway refuses it within 5 seconds, open streams included"),
    };
    let text = format!("{done} {} of {} ({id}): {effect}", printable(&key.name), printable(&application.name));
    Report::new(text, &KeyView::of(&application, &key, now))
}

async fn delete(id: Uuid, registry: &dyn Registry) -> Result<Report, CliError> {
    let nothing =
        || Report::new(format!("no key {id}: nothing to delete"), &DeletedView { deleted: false, api_key_id: id });
    let key = match registry.get_authorization(id).await {
        Ok(key) => key,
        Err(RegistryError::NotFound { .. }) => return nothing(),
        Err(error) => return Err(refused(error)),
    };
    if !registry.delete_authorization(id).await.map_err(refused)? {
        return nothing();
    }
    let text = format!("deleted {} ({id}, {})", printable(&key.name), key.masked_key);
    Report::new(text, &DeletedView { deleted: true, api_key_id: id })
}

/// Keys with the applications they let in, one a line.
pub(super) fn key_table<'a>(keys: impl Iterator<Item = (&'a Application, &'a Authorization)>, now: i64) -> String {
    table(
        ["APPLICATION", "NAME", "KEY ID", "KEY", "STATE", "EXPIRES", "CREATED"],
        keys.map(|(application, key)| {
            [
                application.name.clone(),
                key.name.clone(),
                key.api_key_id.to_string(),
                key.masked_key.clone(),
                state(key, now).to_owned(),
                expires(key),
                time(key.created_at_ms),
            ]
        }),
    )
}

fn state(key: &Authorization, now: i64) -> &'static str {
    if !key.enabled {
        "disabled"
    } else if key.expires_at_ms.is_some_and(|expires_at| expires_at <= now) {
        "expired"
    } else {
        "enabled"
    }
}

fn expires(key: &Authorization) -> String {
    key.expires_at_ms.map_or_else(|| "never".to_owned(), time)
}

impl<'a> KeyView<'a> {
    pub(super) fn of(application: &'a Application, key: &'a Authorization, now: i64) -> Self {
        Self {
            api_key_id: key.api_key_id,
            application_id: key.application_id,
            application_name: &application.name,
            name: &key.name,
            description: key.description.as_deref(),
            masked_key: &key.masked_key,
            enabled: key.enabled,
            state: state(key, now),
            expires_at: key.expires_at_ms.map(timestamp),
            created_at: timestamp(key.created_at_ms),
            updated_at: timestamp(key.updated_at_ms),
        }
    }
}

#[cfg(test)]
mod tests;
