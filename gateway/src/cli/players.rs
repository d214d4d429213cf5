//! `headgate players`: players who ask to be forgotten. Suppressing works on the registry itself, with the gateway running
//! or stopped, or through a running gateway. Deleting is done by whoever has the data folder: the gateway that runs there
//! or at `--gateway`, or, where none does, this command, holding the folder's lock.

mod deleting;
mod shown;

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use self::deleting::Deleter;
use self::shown::{SuppressionView, SuppressionsView, deletion_shown, deletions_shown, suppressions_shown};
use super::backend::{self, Backend, GatewayArgs};
use super::find::{self, refused};
use super::report::Report;
use super::{CliError, Context};
use crate::admin::erasures::{Erasure, State};
use crate::clock::Clock;

/// `headgate players`.
#[derive(Debug, Args)]
pub struct PlayersArgs {
    /// A running gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: PlayersCommand,
}

/// What to do with players.
#[derive(Debug, Subcommand)]
pub enum PlayersCommand {
    /// Keep none of a player's events any more; clients are answered as before
    Suppress(PlayerArgs),
    /// Keep a player's events again
    Unsuppress(PlayerArgs),
    /// Show whose events are not kept
    List(ListArgs),
    /// Suppress a player and delete what is stored of them
    Delete(DeleteArgs),
    /// Show the deletions that were asked for, and what they did
    Deletions(ListArgs),
}

/// Which player.
#[derive(Debug, Args)]
pub struct PlayerArgs {
    /// The game's id, or its name if no other has the same
    pub app: String,
    /// The player's id, as it stands in event_data.player_id
    pub player: String,
}

/// Which game's players.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this game's: its id, or its name if no other has the same
    #[arg(long)]
    pub app: Option<String>,
}

/// Whose data to delete.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which player.
    #[command(flatten)]
    pub player: PlayerArgs,
    /// Wait until it is over and print the report; exit 1 if something could not be looked at or lies elsewhere
    #[arg(long)]
    pub wait: bool,
}

#[derive(Serialize)]
struct UnsuppressedView<'a> {
    unsuppressed: bool,
    application_id: Uuid,
    player_id: &'a str,
}

/// Runs one of the commands and shows its result.
///
/// # Errors
/// If the registry, the gateway or the data folder can't be used, what the command names is not there, or a deletion that
/// was waited for is incomplete.
pub async fn run(args: PlayersArgs, context: &Context) -> Result<(), CliError> {
    let clock = Clock::system();
    context.show_warnings();
    match args.command {
        PlayersCommand::Delete(delete) => {
            // Whoever has the data folder is found first: nothing is done where nobody can delete.
            let deleter = Deleter::find(&args.gateway, context, &clock).await?;
            let application = deleter.application(&delete.player.app).await?;
            let erasure = deleter.delete(application, &delete.player.player, delete.wait, &clock).await?;
            deletion_shown(&erasure)?.show(context.output)?;
            fail_if_incomplete(&erasure)
        }
        PlayersCommand::Deletions(list) => {
            let deleter = Deleter::find(&args.gateway, context, &clock).await?;
            let application = match &list.app {
                Some(app) => Some(deleter.application(app).await?),
                None => None,
            };
            deletions_shown(&deleter.deletions(application).await?)?.show(context.output)
        }
        PlayersCommand::Suppress(player) => {
            let backend = backend::open(&args.gateway, context, &clock).await?;
            suppress(&player, backend.as_ref()).await?.show(context.output)
        }
        PlayersCommand::Unsuppress(player) => {
            let backend = backend::open(&args.gateway, context, &clock).await?;
            unsuppress(&player, backend.as_ref()).await?.show(context.output)
        }
        PlayersCommand::List(which) => {
            let backend = backend::open(&args.gateway, context, &clock).await?;
            list(&which, backend.as_ref()).await?.show(context.output)
        }
    }
}

fn fail_if_incomplete(erasure: &Erasure) -> Result<(), CliError> {
    match erasure.state {
        State::Incomplete => Err(CliError::failed("not everything could be deleted: see the report")),
        _ => Ok(()),
    }
}

async fn suppress(args: &PlayerArgs, backend: &dyn Backend) -> Result<Report, CliError> {
    let application = find::application(backend, &args.app).await?;
    let one = backend.suppress(application.application_id, &args.player).await.map_err(refused)?;
    let text = "suppressed: events of this player are answered as accepted and not kept, within seconds\n\n\
                what is stored already stays until `headgate players delete`\n";
    Report::new(text, &SuppressionView::of(&one))
}

async fn unsuppress(args: &PlayerArgs, backend: &dyn Backend) -> Result<Report, CliError> {
    let application = find::application(backend, &args.app).await?.application_id;
    let unsuppressed = backend.unsuppress(application, &args.player).await.map_err(refused)?;
    let text = if unsuppressed {
        "events of this player are kept again, within seconds"
    } else {
        "this player was not suppressed: nothing to do"
    };
    Report::new(text, &UnsuppressedView { unsuppressed, application_id: application, player_id: &args.player })
}

async fn list(args: &ListArgs, backend: &dyn Backend) -> Result<Report, CliError> {
    let application = match &args.app {
        Some(app) => Some(find::application(backend, app).await?.application_id),
        None => None,
    };
    let suppressed = backend.suppressions(application).await.map_err(refused)?;
    let applications = backend.applications().await.map_err(refused)?;
    let view = SuppressionsView { players: suppressed.iter().map(SuppressionView::of).collect() };
    Report::new(suppressions_shown(&suppressed, &applications), &view)
}

#[cfg(test)]
mod tests;
