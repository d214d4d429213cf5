//! `headgate schemas`: how the `event_data` of event types is to look. Works on the registry itself, with the gateway
//! running or stopped, or through a running gateway; a running one takes a change in within seconds.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::backend::{self, Backend, GatewayArgs};
use super::find::{self, refused};
use super::report::{Report, printable, properties, table, time, timestamp};
use super::{CliError, Context};
use crate::clock::Clock;
use crate::registry::{Schema, SchemaMode};

/// `headgate schemas`.
#[derive(Debug, Args)]
pub struct SchemasArgs {
    /// A running gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: SchemasCommand,
}

/// What to do with schemas.
#[derive(Debug, Subcommand)]
pub enum SchemasCommand {
    /// Put a new version of an event type's schema; earlier versions are kept
    Put(PutArgs),
    /// Show the schemas of a game
    List(AppArgs),
    /// Show the schema of an event type
    Show(ShowArgs),
    /// Say what happens to events that do not fit
    Mode(ModeArgs),
    /// Remove every version of an event type's schema
    Delete(TypeArgs),
}

/// Which application.
#[derive(Debug, Args)]
pub struct AppArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
}

/// Which event type.
#[derive(Debug, Args)]
pub struct TypeArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
    /// The event type, such as `match_finished`
    pub event_type: String,
}

/// A new version.
#[derive(Debug, Args)]
pub struct PutArgs {
    /// Whose it is.
    #[command(flatten)]
    pub of: TypeArgs,
    /// File with the JSON Schema of `event_data`, at most 64 KiB; `-` is standard input
    pub file: PathBuf,
    /// What happens to events that do not fit [default: as before, or warn for the first version]
    #[arg(long, value_enum)]
    pub mode: Option<SchemaMode>,
}

/// Which version.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Whose it is.
    #[command(flatten)]
    pub of: TypeArgs,
    /// An earlier version [default: the latest one]
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
}

/// A mode.
#[derive(Debug, Args)]
pub struct ModeArgs {
    /// Whose it is.
    #[command(flatten)]
    pub of: TypeArgs,
    /// What happens to events that do not fit
    #[arg(value_enum)]
    pub mode: SchemaMode,
}

#[derive(Serialize)]
struct SchemaView<'a> {
    application_id: Uuid,
    event_type: &'a str,
    version: u32,
    mode: SchemaMode,
    created_at: String,
    schema: &'a RawValue,
}

#[derive(Serialize)]
struct SchemasView<'a> {
    schemas: Vec<SchemaView<'a>>,
}

#[derive(Serialize)]
struct DeletedView<'a> {
    deleted: bool,
    application_id: Uuid,
    event_type: &'a str,
}

/// Runs one of the commands and shows its result.
///
/// # Errors
/// If the registry or the gateway can't be used, or what the command names is not there.
pub async fn run(args: SchemasArgs, context: &Context) -> Result<(), CliError> {
    context.show_warnings();
    let backend = backend::open(&args.gateway, context, &Clock::system()).await?;
    execute(args.command, backend.as_ref()).await?.show(context.output)
}

async fn execute(command: SchemasCommand, backend: &dyn Backend) -> Result<Report, CliError> {
    match command {
        SchemasCommand::Put(args) => {
            let id = find::application(backend, &args.of.app).await?.application_id;
            let text = read(&args.file)?;
            let put = backend.put_schema(id, &args.of.event_type, args.mode, &text).await.map_err(refused)?;
            shown("put; running gateways hold events to it within seconds", &put)
        }
        SchemasCommand::List(args) => {
            let application = find::application(backend, &args.app).await?;
            list(&backend.schemas(application.application_id).await.map_err(refused)?)
        }
        SchemasCommand::Show(args) => show(&args, backend).await,
        SchemasCommand::Mode(args) => {
            let id = find::application(backend, &args.of.app).await?.application_id;
            let changed = backend.set_schema_mode(id, &args.of.event_type, args.mode).await.map_err(refused)?;
            shown("changed; running gateways follow within seconds", &changed)
        }
        SchemasCommand::Delete(args) => {
            let application_id = find::application(backend, &args.app).await?.application_id;
            let deleted = backend.delete_schema(application_id, &args.event_type).await.map_err(refused)?;
            let event_type = args.event_type.as_str();
            let text = if deleted { "deleted the schema of" } else { "nothing to delete: no schema of" };
            let view = DeletedView { deleted, application_id, event_type };
            Report::new(format!("{text} {}", printable(event_type)), &view)
        }
    }
}

async fn show(args: &ShowArgs, backend: &dyn Backend) -> Result<Report, CliError> {
    let application = find::application(backend, &args.of.app).await?;
    let versions = backend.schema_versions(application.application_id, &args.of.event_type).await;
    let versions = versions.map_err(refused)?;
    let found = match args.version {
        None => versions.first(),
        Some(version) => versions.iter().find(|schema| schema.version == version),
    };
    let Some(found) = found else {
        let event_type = printable(&args.of.event_type);
        let problem = match versions.first() {
            None => format!("no schema of {event_type}: `headgate schemas list` shows those there are"),
            Some(latest) => format!("no such version of {event_type}: there are 1 to {}", latest.version),
        };
        return Err(CliError::failed(problem));
    };
    shown("", found)
}

fn list(schemas: &[Schema]) -> Result<Report, CliError> {
    let text = if schemas.is_empty() {
        "no schemas: any JSON object is taken as event_data; put one with `headgate schemas put APP TYPE FILE`"
            .to_owned()
    } else {
        let rows = schemas.iter().map(|schema| {
            let Schema { event_type, version, mode, created_at_ms, .. } = schema;
            [event_type.clone(), version.to_string(), mode.to_string(), time(*created_at_ms)]
        });
        table(["EVENT TYPE", "VERSION", "MODE", "SINCE"], rows)
    };
    let views = schemas.iter().map(SchemaView::of).collect::<Result<_, _>>()?;
    Report::new(text, &SchemasView { schemas: views })
}

fn shown(done: &str, schema: &Schema) -> Result<Report, CliError> {
    let details = properties([
        ("event type", schema.event_type.clone()),
        ("version", schema.version.to_string()),
        ("mode", schema.mode.to_string()),
        ("since", time(schema.created_at_ms)),
    ]);
    let text = if done.is_empty() { format!("{details}\n{}", schema.schema) } else { format!("{done}\n\n{details}") };
    Report::new(text, &SchemaView::of(schema)?)
}

fn read(file: &Path) -> Result<String, CliError> {
    let failed = |error: std::io::Error| CliError::failed(format!("{}: {error}", file.display()));
    if file.as_os_str() == "-" {
        let mut text = String::new();
        // One byte more than is allowed shows that there is too much.
        std::io::stdin().take((64 << 10) + 1).read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(failed)
}

impl<'a> SchemaView<'a> {
    fn of(schema: &'a Schema) -> Result<Self, CliError> {
        Ok(Self {
            application_id: schema.application_id,
            event_type: &schema.event_type,
            version: schema.version,
            mode: schema.mode,
            created_at: timestamp(schema.created_at_ms),
            schema: serde_json::from_str(&schema.schema).map_err(CliError::failed)?,
        })
    }
}

#[cfg(test)]
mod tests;
