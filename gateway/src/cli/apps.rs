//! `headgate apps`: registers games and says what they may send. Works on the registry itself, with the gateway running
//! or stopped, or through a running gateway; a running one takes a change in within seconds.

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::backend::{self, Backend, GatewayArgs};
use super::find::{self, Named, refused};
use super::keys::{KeyView, key_table};
use super::limits::{LimitArgs, shown};
use super::report::{Report, printable, properties, table, time, timestamp};
use super::route::RouteArg;
use super::{CliError, Context};
use crate::clock::Clock;
use crate::config::units::Size;
use crate::registry::{Application, Authorization, Environment, Limits, NewApplication, Route};

/// `headgate apps`.
#[derive(Debug, Args)]
pub struct AppsArgs {
    /// A running gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: AppsCommand,
}

/// What to do with applications.
#[derive(Debug, Subcommand)]
pub enum AppsCommand {
    /// Register a game
    Create(CreateArgs),
    /// Show every game
    List,
    /// Show one game, its limits and its keys
    Show(AppArgs),
    /// Change a game's name, description, limits, route or environment
    Update(UpdateArgs),
    /// Remove a game and its keys; the events it sent stay
    Delete(AppArgs),
}

/// A new application.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its name, 1 to 256 characters
    pub name: String,
    /// What it is, at most 1,024 characters
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Where its events go, or `default` for the gateway's destination
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<RouteArg>,
    /// Which of the game's environments it is
    #[arg(long, value_enum, default_value_t = Environment::Prod)]
    pub environment: Environment,
    /// What it may send.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Which application.
#[derive(Debug, Args)]
pub struct AppArgs {
    /// Its id, or its name if no other has the same
    pub app: String,
}

/// What to change.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Its id, or its name if no other has the same
    pub app: String,
    /// A new name, 1 to 256 characters
    #[arg(long)]
    pub name: Option<String>,
    /// A new description, at most 1,024 characters; an empty one removes it
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Where its events go, or `default` for the gateway's destination
    #[arg(long, value_name = "ROUTE")]
    pub route: Option<RouteArg>,
    /// Which of the game's environments it is
    #[arg(long, value_enum)]
    pub environment: Option<Environment>,
    /// What it may send.
    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Serialize)]
struct AppView<'a> {
    application_id: Uuid,
    name: &'a str,
    description: Option<&'a str>,
    environment: Environment,
    // A missing one is the gateway's default.
    limits: Limits,
    // A missing one is the gateway's destination.
    route: Option<Route>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct AppsView<'a> {
    applications: Vec<AppView<'a>>,
}

#[derive(Serialize)]
struct AppWithKeysView<'a> {
    #[serde(flatten)]
    application: AppView<'a>,
    keys: Vec<KeyView<'a>>,
}

#[derive(Serialize)]
struct DeletedView<'a> {
    deleted: bool,
    application_id: Option<Uuid>,
    name: Option<&'a str>,
    keys_deleted: usize,
}

/// Runs one of the commands and shows its result.
///
/// # Errors
/// If the registry or the gateway can't be used, or what the command names is not there.
pub async fn run(args: AppsArgs, context: &Context) -> Result<(), CliError> {
    let clock = Clock::system();
    context.show_warnings();
    let backend = backend::open(&args.gateway, context, &clock).await?;
    execute(args.command, backend.as_ref(), &clock).await?.show(context.output)
}

async fn execute(command: AppsCommand, backend: &dyn Backend, clock: &Clock) -> Result<Report, CliError> {
    match command {
        AppsCommand::Create(args) => create(args, backend).await,
        AppsCommand::List => list(backend).await,
        AppsCommand::Show(args) => show(&args.app, backend, clock).await,
        AppsCommand::Update(args) => update(args, backend).await,
        AppsCommand::Delete(args) => delete(&args.app, backend).await,
    }
}

async fn create(args: CreateArgs, backend: &dyn Backend) -> Result<Report, CliError> {
    let limits = args.limits.over(Limits::default());
    let route = RouteArg::over(args.route, None);
    let new = NewApplication {
        name: args.name,
        description: non_empty(args.description),
        limits,
        route,
        environment: args.environment,
    };
    let application = backend.create_application(new).await.map_err(refused)?;
    let text = format!(
        "registered\n\n{}\nnext: headgate keys create {} --name server\n",
        details(&application),
        application.application_id,
    );
    Report::new(text, &AppView::of(&application))
}

async fn list(backend: &dyn Backend) -> Result<Report, CliError> {
    let applications = backend.applications().await.map_err(refused)?;
    let text = if applications.is_empty() {
        "no applications: make one with `headgate apps create NAME`".to_owned()
    } else {
        table(
            ["NAME", "ID", "ENVIRONMENT", "EVENTS/S", "BURST", "BYTES/S", "BURST", "ROUTE", "CREATED"],
            applications.iter().map(|application| {
                let limits = application.limits;
                [
                    application.name.clone(),
                    application.application_id.to_string(),
                    application.environment.to_string(),
                    shown(limits.events_per_second),
                    shown(limits.events_burst),
                    shown(limits.bytes_per_second.map(Size)),
                    shown(limits.bytes_burst.map(Size)),
                    shown(application.route),
                    time(application.created_at_ms),
                ]
            }),
        )
    };
    Report::new(text, &AppsView { applications: applications.iter().map(AppView::of).collect() })
}

async fn show(named: &str, backend: &dyn Backend, clock: &Clock) -> Result<Report, CliError> {
    let application = find::application(backend, named).await?;
    let keys = backend.keys(application.application_id).await.map_err(refused)?;
    let now = clock.wall_ms();
    let keys_text = if keys.is_empty() {
        format!("no keys: make one with `headgate keys create {} --name server`\n", application.application_id)
    } else {
        key_table(keys.iter().map(|key| (&application, key)), now)
    };
    let view = AppWithKeysView {
        application: AppView::of(&application),
        keys: keys.iter().map(|key: &Authorization| KeyView::of(&application, key, now)).collect(),
    };
    Report::new(format!("{}\n{keys_text}", details(&application)), &view)
}

async fn update(args: UpdateArgs, backend: &dyn Backend) -> Result<Report, CliError> {
    if args.name.is_none()
        && args.description.is_none()
        && args.route.is_none()
        && args.environment.is_none()
        && args.limits.is_empty()
    {
        return Err(CliError::usage(
            "nothing to change: give --name, --description, --route, --environment or a limit",
        ));
    }
    let before = find::application(backend, &args.app).await?;
    let change = NewApplication {
        name: args.name.unwrap_or(before.name),
        description: if args.description.is_some() { non_empty(args.description) } else { before.description },
        limits: args.limits.over(before.limits),
        route: RouteArg::over(args.route, before.route),
        environment: args.environment.unwrap_or(before.environment),
    };
    let application = backend.update_application(before.application_id, change).await.map_err(refused)?;
    Report::new(format!("changed\n\n{}", details(&application)), &AppView::of(&application))
}

async fn delete(named: &str, backend: &dyn Backend) -> Result<Report, CliError> {
    let application = match find::look_for(backend, named).await? {
        Named::One(application) => application,
        Named::None(_) => return nothing_to_delete(named),
    };
    let id = application.application_id;
    let keys = backend.keys(id).await.map_err(refused)?.len();
    if !backend.delete_application(id).await.map_err(refused)? {
        return nothing_to_delete(named);
    }
    let counted = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
    let view =
        DeletedView { deleted: true, application_id: Some(id), name: Some(&application.name), keys_deleted: keys };
    Report::new(format!("deleted {} ({id}) and {counted}", printable(&application.name)), &view)
}

fn nothing_to_delete(named: &str) -> Result<Report, CliError> {
    let view = DeletedView { deleted: false, application_id: None, name: None, keys_deleted: 0 };
    Report::new(format!("no application {}: nothing to delete", printable(named)), &view)
}

fn details(application: &Application) -> String {
    let limits = application.limits;
    properties([
        ("name", application.name.clone()),
        ("id", application.application_id.to_string()),
        ("environment", application.environment.to_string()),
        ("description", application.description.clone().unwrap_or_default()),
        ("events a second", shown(limits.events_per_second)),
        ("events burst", shown(limits.events_burst)),
        ("bytes a second", shown(limits.bytes_per_second.map(Size))),
        ("bytes burst", shown(limits.bytes_burst.map(Size))),
        ("route", shown(application.route)),
        ("created", time(application.created_at_ms)),
        ("changed", time(application.updated_at_ms)),
    ])
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl<'a> AppView<'a> {
    fn of(application: &'a Application) -> Self {
        Self {
            application_id: application.application_id,
            name: &application.name,
            description: application.description.as_deref(),
            environment: application.environment,
            limits: application.limits,
            route: application.route,
            created_at: timestamp(application.created_at_ms),
            updated_at: timestamp(application.updated_at_ms),
        }
    }
}

#[cfg(test)]
mod tests;
