//! `headgate keys`: hands out, rotates and disables API keys. Works on the registry itself, with the gateway running or
//! stopped, or through a running gateway. A key is shown once, when it is made: only its hash is kept.

mod expiry;
mod migrate;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::backend::{self, Backend, GatewayArgs};
use super::find::{self, key_id, refused};
use super::report::{Report, printable, properties, table, time, timestamp};
use super::{CliError, Context};
use crate::admin::{HandedOut, KeyRequest, Rotation};
use crate::clock::Clock;
use crate::registry::{Application, Authorization, Scopes};

pub use expiry::Expiry;
pub use migrate::MigrateArgs;
use migrate::Migration;

/// `headgate keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// A running gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

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
    /// Change what a key may be used for; open streams that may no longer be end within 5 seconds
    Scopes(ScopesArgs),
    /// Make a key that takes another's place, which is disabled at once or after an overlap
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
    /// What it may be used for: one or more of ingest-client (single batches), ingest-server (streams too) and read
    #[arg(long, default_value_t = Scopes::INGEST)]
    pub scopes: Scopes,
}

/// Which key.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The key's id, as `headgate keys list` shows it
    pub key: String,
}

/// Which key, and what for.
#[derive(Debug, Args)]
pub struct ScopesArgs {
    /// The key's id, as `headgate keys list` shows it
    pub key: String,
    /// What it may be used for from now on: one or more of ingest-client (single batches), ingest-server (streams too)
    /// and read
    #[arg(long)]
    pub scopes: Scopes,
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
    /// How long the old key still lets in, such as 24h; without it, it is disabled at once
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub overlap: Duration,
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
    scopes: Scopes,
    expires_at: Option<String>,
    last_used_at: Option<String>,
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
    // While the old key still lets in.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_expires_at: Option<String>,
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
/// If the registry or the gateway can't be used, or what the command names is not there.
pub async fn run(args: KeysArgs, context: &Context) -> Result<(), CliError> {
    let clock = Clock::system();
    context.show_warnings();
    let backend = backend::open(&args.gateway, context, &clock).await?;
    if let KeysCommand::Migrate(args) = args.command {
        let migration = migrate(&args, backend.as_ref(), &clock).await?;
        migration.report()?.show(context.output)?;
        return migration.verdict();
    }
    execute(args.command, backend.as_ref(), &clock).await?.show(context.output)
}

async fn execute(command: KeysCommand, backend: &dyn Backend, clock: &Clock) -> Result<Report, CliError> {
    let now = clock.wall_ms();
    match command {
        KeysCommand::Create(args) => create(args, backend, now).await,
        KeysCommand::List { app } => list(app.as_deref(), backend, now).await,
        KeysCommand::Disable(args) => set_enabled(key_id(&args.key)?, false, backend, now).await,
        KeysCommand::Enable(args) => set_enabled(key_id(&args.key)?, true, backend, now).await,
        KeysCommand::Scopes(args) => set_scopes(key_id(&args.key)?, args.scopes, backend, now).await,
        KeysCommand::Rotate(args) => rotate(args, backend, now).await,
        KeysCommand::Delete(args) => delete(key_id(&args.key)?, backend).await,
        KeysCommand::Migrate(args) => migrate(&args, backend, clock).await?.report(),
    }
}

async fn create(args: CreateArgs, backend: &dyn Backend, now: i64) -> Result<Report, CliError> {
    let expires_at_ms = args.expires.from(now)?;
    let application = find::application(backend, &args.app).await?;
    let request = KeyRequest {
        application_id: application.application_id,
        name: args.name,
        description: args.description.filter(|description| !description.is_empty()),
        expires_at_ms,
        scopes: args.scopes,
    };
    let made = backend.create_key(request).await.map_err(refused)?;
    handed_out(&made, &application, None, now)
}

async fn rotate(args: RotateArgs, backend: &dyn Backend, now: i64) -> Result<Report, CliError> {
    let old = key_id(&args.key)?;
    let expires_at_ms = args.expires.map(|expires| expires.from(now)).transpose()?;
    let rotation = Rotation { name: args.name, expires_at_ms, overlap: args.overlap };
    // Whatever may fail is asked before: the new key can be shown but once.
    let application_id = backend.key(old).await.map_err(refused)?.application_id;
    let application = backend.application(application_id).await.map_err(refused)?;
    let made = backend.rotate(old, rotation).await.map_err(refused)?;
    let replaced = Replaced { id: old, left: backend.key(old).await.ok() };
    handed_out(&made, &application, Some(&replaced), now)
}

async fn migrate(args: &MigrateArgs, backend: &dyn Backend, clock: &Clock) -> Result<Migration, CliError> {
    let Some(admin) = backend.registry() else {
        return Err(CliError::usage("keys migrate works on the registry itself: leave out --gateway"));
    };
    migrate::migrate(args, admin, clock).await
}

/// A key that another has taken the place of.
struct Replaced {
    id: Uuid,
    /// What is left of it, where that could be asked.
    left: Option<Authorization>,
}

/// The only place that shows a key.
fn handed_out(
    made: &HandedOut,
    application: &Application,
    replaced: Option<&Replaced>,
    now: i64,
) -> Result<Report, CliError> {
    let HandedOut { key, authorization } = made;
    let replaces = replaced.map_or_else(String::new, |old| format!("\n{}\n", old.parting(now)));
    let text = format!(
        "{}\n\nCopy the key now: only its hash is kept, so it can't be shown again.\n{replaces}\n{}",
        key.expose(),
        properties([
            ("application", application.name.clone()),
            ("key id", authorization.api_key_id.to_string()),
            ("name", authorization.name.clone()),
            ("scopes", authorization.scopes.to_string()),
            ("expires", expires(authorization)),
        ]),
    );
    let key_view = KeyView::of(application, authorization, now);
    let view = NewKeyView {
        api_key: key.expose(),
        key: key_view,
        replaced_api_key_id: replaced.map(|old| old.id),
        replaced_expires_at: replaced
            .and_then(|old| old.left.as_ref())
            .filter(|left| left.enabled)
            .and_then(|left| left.expires_at_ms)
            .map(timestamp),
    };
    Report::new(text, &view)
}

impl Replaced {
    /// What becomes of it.
    fn parting(&self, now: i64) -> String {
        let id = self.id;
        match &self.left {
            Some(left) if state(left, now) == "enabled" => format!("The old key {id} lets in until {}.", expires(left)),
            Some(left) if state(left, now) == "expired" => format!("The old key {id} has expired."),
            Some(_) => format!("The old key {id} is disabled."),
            None => format!("The old key {id} is replaced; what is left of it could not be asked."),
        }
    }
}

async fn list(app: Option<&str>, backend: &dyn Backend, now: i64) -> Result<Report, CliError> {
    let applications = match app {
        Some(app) => vec![find::application(backend, app).await?],
        None => backend.applications().await.map_err(refused)?,
    };
    let mut keys = Vec::new();
    for application in &applications {
        let of_application = backend.keys(application.application_id).await.map_err(refused)?;
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

async fn set_enabled(id: Uuid, enabled: bool, backend: &dyn Backend, now: i64) -> Result<Report, CliError> {
    let key = backend.set_enabled(id, enabled).await.map_err(refused)?;
    let application = backend.application(key.application_id).await.map_err(refused)?;
    let (done, effect) = match state(&key, now) {
        "enabled" => ("enabled", "a running gateway lets it in within 5 seconds"),
        "expired" => ("enabled", "but it has expired and lets nobody in: rotate it"),
        _ => ("disabled", "a running gateway refuses it within 5 seconds, open streams included"),
    };
    let text = format!("{done} {} of {} ({id}): {effect}", printable(&key.name), printable(&application.name));
    Report::new(text, &KeyView::of(&application, &key, now))
}

async fn set_scopes(id: Uuid, scopes: Scopes, backend: &dyn Backend, now: i64) -> Result<Report, CliError> {
    let key = backend.set_scopes(id, scopes).await.map_err(refused)?;
    let application = backend.application(key.application_id).await.map_err(refused)?;
    let text = format!(
        "{} of {} ({id}) may be used for {}: a running gateway heeds it within 5 seconds, open streams included",
        printable(&key.name),
        printable(&application.name),
        key.scopes,
    );
    Report::new(text, &KeyView::of(&application, &key, now))
}

async fn delete(id: Uuid, backend: &dyn Backend) -> Result<Report, CliError> {
    let nothing =
        || Report::new(format!("no key {id}: nothing to delete"), &DeletedView { deleted: false, api_key_id: id });
    let key = match backend.key(id).await {
        Ok(key) => key,
        Err(error) if error.is_not_found() => return nothing(),
        Err(error) => return Err(refused(error)),
    };
    if !backend.delete_key(id).await.map_err(refused)? {
        return nothing();
    }
    let text = format!("deleted {} ({id}, {})", printable(&key.name), key.masked_key);
    Report::new(text, &DeletedView { deleted: true, api_key_id: id })
}

/// Keys with the applications they let in, one a line.
pub(super) fn key_table<'a>(keys: impl Iterator<Item = (&'a Application, &'a Authorization)>, now: i64) -> String {
    table(
        ["APPLICATION", "NAME", "KEY ID", "KEY", "SCOPES", "STATE", "EXPIRES", "LAST USED", "CREATED"],
        keys.map(|(application, key)| {
            [
                application.name.clone(),
                key.name.clone(),
                key.api_key_id.to_string(),
                key.masked_key.clone(),
                key.scopes.to_string(),
                state(key, now).to_owned(),
                expires(key),
                key.last_used_at_ms.map_or_else(|| "-".to_owned(), time),
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
            scopes: key.scopes,
            expires_at: key.expires_at_ms.map(timestamp),
            last_used_at: key.last_used_at_ms.map(timestamp),
            created_at: timestamp(key.created_at_ms),
            updated_at: timestamp(key.updated_at_ms),
        }
    }
}

#[cfg(test)]
mod tests;
