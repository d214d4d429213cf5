//! `headgate identity`: which ids of people a game has hashed before anything of its events is kept. Works on the registry
//! itself, with the gateway running or stopped, or through a running gateway; a running one takes a change in within seconds.

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::backend::{self, Backend, GatewayArgs};
use super::find::{self, refused};
use super::report::{Report, printable, properties, time, timestamp};
use super::{CliError, Context, earlier};
use crate::clock::Clock;
use crate::registry::{IdentityField, IdentityOverview};

/// `headgate identity`.
#[derive(Debug, Args)]
pub struct IdentityArgs {
    /// A running gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: IdentityCommand,
}

/// What to do with ids.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Show which ids are hashed, and with which secrets' generations
    Show(AppArgs),
    /// Hash these ids from now on, and no others
    Hash(HashArgs),
    /// Hash nothing any more; the secrets are kept
    Off(AppArgs),
    /// Hash with a new secret from now on: everybody has another hash than before
    Rotate(RotateArgs),
    /// Show under which ids events of a player, a session or a device may be stored
    Ids(IdsArgs),
}

/// Which application.
#[derive(Debug, Args)]
pub struct AppArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
}

/// Which ids.
#[derive(Debug, Args)]
pub struct HashArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
    /// The members of `event_data` to hash
    #[arg(required = true, value_enum)]
    pub fields: Vec<IdentityField>,
}

/// What becomes of earlier secrets.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
    /// Destroy the earlier secrets: nobody can find a player's earlier events by the player's id any more, nor delete them
    #[arg(long)]
    pub forget_earlier: bool,
}

/// Whose ids.
#[derive(Debug, Args)]
pub struct IdsArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
    /// The id as the game has it
    pub id: String,
}

#[derive(Serialize)]
struct IdentityView {
    application_id: Uuid,
    fields: Vec<&'static str>,
    generations: Vec<u32>,
    changed_at: Option<String>,
}

#[derive(Serialize)]
struct IdsView {
    application_id: Uuid,
    ids: Vec<String>,
}

/// Runs one of the commands and shows its result.
///
/// # Errors
/// If the registry or the gateway can't be used, or what the command names is not there.
pub async fn run(args: IdentityArgs, context: &Context) -> Result<(), CliError> {
    context.show_warnings();
    if args.gateway.gateway.is_none() && matches!(args.command, IdentityCommand::Hash(_)) {
        earlier::refuse_to_hash(&context.settings.data_dir)?;
    }
    let backend = backend::open(&args.gateway, context, &Clock::system()).await?;
    execute(args.command, backend.as_ref()).await?.show(context.output)
}

async fn execute(command: IdentityCommand, backend: &dyn Backend) -> Result<Report, CliError> {
    let id = async |app: &str| Ok::<_, CliError>(find::application(backend, app).await?.application_id);
    match command {
        IdentityCommand::Show(args) => shown("", &backend.identity(id(&args.app).await?).await.map_err(refused)?),
        IdentityCommand::Hash(args) => {
            let identity = backend.hash_fields(id(&args.app).await?, &args.fields).await.map_err(refused)?;
            shown(
                "running gateways hash these within seconds, but those of 0.1.0 keep ids as they are: none may run; what is \
                 stored stays as it is\n\n",
                &identity,
            )
        }
        IdentityCommand::Off(args) => {
            let identity = backend.hash_fields(id(&args.app).await?, &[]).await.map_err(refused)?;
            shown("running gateways hash nothing within seconds; what is stored stays as it is\n\n", &identity)
        }
        IdentityCommand::Rotate(args) => {
            let application = id(&args.app).await?;
            let identity = backend.rotate_identity(application, args.forget_earlier).await.map_err(refused)?;
            shown("a new secret hashes within seconds: who plays on counts as somebody new\n\n", &identity)
        }
        IdentityCommand::Ids(args) => {
            let application_id = id(&args.app).await?;
            let ids = backend.stored_ids(application_id, &args.id).await.map_err(refused)?;
            let text: String = ids.iter().map(|id| format!("{}\n", printable(id))).collect();
            Report::new(text, &IdsView { application_id, ids })
        }
    }
}

fn shown(done: &str, identity: &IdentityOverview) -> Result<Report, CliError> {
    let named = |fields: &[IdentityField]| fields.iter().map(|field| field.as_str()).collect::<Vec<_>>();
    let numbers: Vec<String> = identity.generations.iter().map(u32::to_string).collect();
    let or_nothing = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
    let table = properties([
        ("hashed", or_nothing(named(&identity.fields).join(", "))),
        ("secrets", or_nothing(numbers.join(", "))),
        ("changed", identity.changed_at_ms.map_or_else(|| "never".to_owned(), time)),
    ]);
    let view = IdentityView {
        application_id: identity.application_id,
        fields: named(&identity.fields),
        generations: identity.generations.clone(),
        changed_at: identity.changed_at_ms.map(timestamp),
    };
    Report::new(format!("{done}{table}"), &view)
}

#[cfg(test)]
mod tests;
