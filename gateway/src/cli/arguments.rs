//! The command line's shape.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use headgate_proto::build;

use super::apps::AppsArgs;
use super::audit::AuditArgs;
use super::doctor::DoctorArgs;
use super::healthcheck::HealthcheckArgs;
use super::identity::IdentityArgs;
use super::keys::KeysArgs;
use super::lake::LakeCommand;
use super::players::PlayersArgs;
use super::replay::ReplayArgs;
use super::schemas::SchemasArgs;
use super::{
    CliError, Context, Output, apps, audit, check_config, doctor, healthcheck, identity, keys, lake, players, replay,
    schemas, serve,
};
use crate::admission::refusal;
use crate::config::{self, DestinationKind, Loaded, RegistryKind};
use crate::metrics;

/// The front door of a game's analytics: takes telemetry events from game servers over gRPC and stores each before it
/// acknowledges it.
///
/// With no settings at all it runs on one machine: SQLite for applications and keys, a local lake of Parquet files for
/// events. Settings come from a TOML file, HEADGATE_… environment variables (HEADGATE_GRPC__LISTEN for grpc.listen) and
/// flags, later ones winning.
#[derive(Debug, Parser)]
#[command(name = "headgate", version = build::DESCRIPTION, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// TOML file with settings
    #[arg(long, global = true, value_name = "FILE", env = "HEADGATE_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of the registry, the lake and the demo key [default: headgate-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where applications and keys are kept [default: sqlite]
    #[arg(long, global = true, value_enum)]
    registry: Option<RegistryKind>,
    /// One setting, such as lake.segment_age=10s; may be repeated
    #[arg(long = "set", global = true, value_name = "SETTING=VALUE")]
    set: Vec<String>,
    /// How to show results
    #[arg(long, global = true, value_enum, default_value = "table", env = "HEADGATE_OUTPUT")]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take events until told to stop
    Serve(ServeArgs),
    /// Say what would run and where each setting comes from; exit 64 on a bad one
    CheckConfig(ServeArgs),
    /// Ask a running gateway of these settings whether it lives; exit 1 if not
    Healthcheck(HealthcheckArgs),
    /// Check what the gateway needs, here and in AWS, and say what to do about what fails; exit 1 if something does
    Doctor {
        #[command(flatten)]
        serve: ServeArgs,
        #[command(flatten)]
        doctor: DoctorArgs,
    },
    /// Register games
    Apps(AppsArgs),
    /// Hand out, rotate and disable API keys
    Keys(KeysArgs),
    /// Say how the event_data of event types is to look
    Schemas(SchemasArgs),
    /// Forget players: keep none of their events any more, and delete what is stored of them
    Players(PlayersArgs),
    /// Hash ids of players, sessions and devices before anything of an event is kept
    Identity(IdentityArgs),
    /// Show who changed what, newest first
    Audit(AuditArgs),
    /// Look after the local lake
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Send bad rows or a range of the lake again
    Replay(ReplayArgs),
    /// Print a page of the documentation that is made from the code, in Markdown
    #[command(subcommand)]
    Reference(Reference),
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Reference {
    /// Every metric
    Metrics,
    /// Every reason to refuse, with its status
    Status,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Address for game servers [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address for clients of the REST API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    rest_listen: Option<SocketAddr>,
    /// Address for operators [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    operate_listen: Option<SocketAddr>,
    /// Where events go [default: lake]
    #[arg(long, value_enum)]
    destination: Option<DestinationKind>,
    /// What is logged, such as info,headgate::door=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Runs a command.
///
/// # Errors
/// [`CliError`] with the exit code.
pub fn run(arguments: Arguments) -> Result<(), CliError> {
    let Arguments { global, command } = arguments;
    if let Command::Reference(page) = command {
        let page = match page {
            Reference::Metrics => metrics::reference(),
            Reference::Status => refusal::reference(),
        };
        print!("{page}");
        return Ok(());
    }
    let serve_args = match &command {
        Command::Serve(args) | Command::CheckConfig(args) | Command::Doctor { serve: args, .. } => Some(args),
        _ => None,
    };
    let loaded = load(&global, serve_args)?;
    let mut runtime = match &command {
        // One question; it is asked every few seconds beside a gateway that needs the cores.
        Command::Healthcheck(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime
        .enable_all()
        .thread_name("headgate")
        .build()
        .map_err(|error| CliError::failed(format!("the runtime can't start: {error}")))?;
    let result = runtime.block_on(execute(command, loaded, global.output));
    // Whatever still runs on other threads by now hangs on a disk; waiting for it would break the drain's deadline.
    runtime.shutdown_background();
    result
}

async fn execute(command: Command, loaded: Loaded, output: Output) -> Result<(), CliError> {
    let context = |loaded: Loaded| Context { settings: loaded.settings, output };
    match command {
        Command::Serve(_) => serve::run(loaded).await,
        Command::CheckConfig(_) => check_config::run(&loaded, output),
        Command::Healthcheck(args) => healthcheck::run(args, &context(loaded)).await,
        Command::Doctor { doctor, .. } => doctor::run(&doctor, &loaded, output).await,
        Command::Apps(args) => apps::run(args, &context(loaded)).await,
        Command::Keys(args) => keys::run(args, &context(loaded)).await,
        Command::Schemas(args) => schemas::run(args, &context(loaded)).await,
        Command::Players(args) => players::run(args, &context(loaded)).await,
        Command::Identity(args) => identity::run(args, &context(loaded)).await,
        Command::Audit(args) => audit::run(args, &context(loaded)).await,
        Command::Lake(command) => lake::run(command, &context(loaded)).await,
        Command::Replay(args) => replay::run(args, &context(loaded)).await,
        Command::Reference(_) => Ok(()),
    }
}

fn load(global: &Global, serve: Option<&ServeArgs>) -> Result<Loaded, CliError> {
    let mut flags: Vec<(String, String)> = Vec::new();
    for pair in &global.set {
        let (setting, value) =
            pair.split_once('=').ok_or_else(|| CliError::usage(format!("--set {pair}: write it as SETTING=VALUE")))?;
        flags.push((setting.trim().to_owned(), value.trim().to_owned()));
    }
    let mut flag = |setting: &str, value: Option<String>| {
        flags.extend(value.map(|value| (setting.to_owned(), value)));
    };
    // Quoted, so that a folder or a filter that looks like a number stays text.
    let quoted = |text: String| format!("{text:?}");
    flag("data_dir", global.data_dir.as_ref().map(|dir| quoted(dir.display().to_string())));
    flag("registry.kind", global.registry.as_ref().and_then(word));
    if let Some(serve) = serve {
        flag("grpc.listen", serve.listen.map(|address| address.to_string()));
        flag("rest.listen", serve.rest_listen.map(|address| address.to_string()));
        flag("operate.listen", serve.operate_listen.map(|address| address.to_string()));
        flag("delivery.destination", serve.destination.as_ref().and_then(word));
        flag("operate.log", serve.log.clone().map(quoted));
    }
    config::load(global.config.as_deref(), &flags).map_err(CliError::configuration)
}

fn word<T: ValueEnum>(value: &T) -> Option<String> {
    value.to_possible_value().map(|value| value.get_name().to_owned())
}
