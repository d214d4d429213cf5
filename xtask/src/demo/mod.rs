//! `cargo demo`: gateway, load, lake and first queries, live, on this machine and nothing else.
//!
//! Whatever happens, the gateway that it started is stopped when it ends: by SIGTERM where there is time, and by the
//! kernel if this process is killed.

mod build;
mod gateway;
mod group;
mod http;
mod interrupt;
mod live;
mod queries;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use gateway::Gateway;
use headgate_loadtest::health::ProcessUsage;
use headgate_loadtest::verify::compare;
use headgate_loadtest::verify::lake::Contents;
use headgate_loadtest::{Load, Report, RunConfig, Secrets, Transport};
use interrupt::Interrupt;

/// How long a server's client waits for more events: not long, since that is most of their latency.
const LINGER: Duration = Duration::from_millis(20);
use headgate_loadtest::terminal::{Line, Screen};
use headgate_loadtest::words;

/// What the demo can be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long players play.
    #[arg(long = "for", value_name = "DURATION", default_value = "20s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// End after the summary; status 0 only if everything checked out.
    #[arg(long)]
    exit: bool,
    /// Events a second.
    #[arg(long, value_name = "EVENTS", default_value_t = 20_000)]
    rate: u32,
    /// Players online and on a break.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    players: u32,
    /// Game servers, each with a client (`headgate-client`) of its own.
    #[arg(long, value_name = "N", default_value_t = 8)]
    servers: u32,
    /// The share of events that break a rule on purpose.
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    bad_share: f64,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The gateway's build profile.
    #[arg(long, default_value = "release")]
    profile: String,
}

/// Why the demo ended early.
enum Stop {
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// This went wrong.
    Failed(String),
}

impl From<String> for Stop {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

/// Where the demo keeps its things.
struct Folders {
    demo: PathBuf,
    data: PathBuf,
    gateway_log: PathBuf,
    python: PathBuf,
    python_log: PathBuf,
}

impl Folders {
    fn below(target: &Path) -> Self {
        let demo = target.join("demo");
        Self {
            data: demo.join("headgate-data"),
            gateway_log: demo.join("gateway.log"),
            python: target.join("python"),
            python_log: demo.join("python.log"),
            demo,
        }
    }
}

/// Runs the demo.
pub(crate) fn run(args: &Args) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("can't start a runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(demo(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Interrupted) => ExitCode::from(130),
        Err(Stop::Failed(what)) => {
            eprintln!("\ncargo demo: {what}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(args: &Args) -> Result<(), Stop> {
    // Known now rather than after minutes of building.
    load_config(args, String::new()).check().map_err(|error| error.to_string())?;
    let mut interrupt = Interrupt::listen()?;
    let screen = Screen::new();
    screen.line(&Line::strong("Headgate, live on this machine: ").then_plain(format!(
        "build the gateway, start it, play {} players on {} servers for {} at {} events/s through headgate-client, \
         check that every acknowledged event is in the lake, and query it.",
        words::count(args.players.into()),
        args.servers,
        words::duration(args.duration),
        words::count(args.rate.into()),
    )));

    let folders = Folders::below(&build::target_dir());
    fs::create_dir_all(&folders.demo).map_err(|error| format!("can't create {}: {error}", folders.demo.display()))?;
    let _only_one = only_one(&folders)?;
    // DuckDB for the queries is fetched while the gateway is built, so that neither takes CPU from the load.
    let (binary, duckdb) =
        interrupt.or(async { Ok(tokio::join!(build::gateway(&args.profile), queries::find_duckdb(&folders))) }).await?;
    let binary = binary?;

    let mut gateway = interrupt.or(Gateway::start(&binary, &folders, &screen)).await?;
    let result = with_gateway(args, &screen, &folders, &mut gateway, duckdb, &mut interrupt).await;
    if matches!(result, Err(Stop::Interrupted)) {
        screen.line(&Line::plain("\nStopping the gateway …"));
    }
    let stopped = tokio::select! {
        stopped = gateway.stop() => stopped,
        () = interrupt.wait() => Err("the gateway was killed, since the second signal came".to_owned()),
    };
    match result {
        Ok(()) => stopped.map_err(Stop::Failed),
        Err(stop) => {
            if let Err(what) = stopped {
                eprintln!("{what}");
            }
            Err(stop)
        }
    }
}

/// Everything that needs the gateway; it is stopped afterwards, whatever the outcome.
async fn with_gateway(
    args: &Args,
    screen: &Screen,
    folders: &Folders,
    gateway: &mut Gateway,
    duckdb: Result<queries::DuckDb, String>,
    interrupt: &mut Interrupt,
) -> Result<(), Stop> {
    interrupt.or(gateway.ready()).await?;
    screen.line(&Line::dim(format!(
        "The gateway takes events at {}; its log goes to {}.",
        gateway.endpoint(),
        folders.gateway_log.display()
    )));
    let report = interrupt.or(play(args, screen, gateway)).await?;

    let compacted = interrupt.or(gateway.compact_lake()).await?;
    let lake = folders.data.join("lake");
    let contents = Contents::read(&lake.join("raw_events")).map_err(|error| error.to_string())?;
    let verification = compare(&contents.ids, &report.ids);
    let own = ProcessUsage::of(std::process::id()).unwrap_or_default();
    let figures = summary::Figures { report: &report, gateway: gateway.usage(), own, contents: &contents, compacted };
    summary::show(screen, &figures);
    let problems = summary::verdict(screen, &report, &verification);

    interrupt.or(queries::show(screen, &lake, &contents, duckdb)).await?;
    if args.exit {
        return if problems.is_empty() { Ok(()) } else { Err(Stop::Failed(problems.join("; "))) };
    }
    summary::what_next(screen, folders, gateway);
    tokio::select! {
        () = interrupt.wait() => {
            screen.line(&Line::plain("\nStopping the gateway …"));
            Ok(())
        }
        what = gateway.ended() => Err(Stop::Failed(what)),
    }
}

fn load_config(args: &Args, endpoint: String) -> RunConfig {
    RunConfig {
        servers: args.servers,
        players: args.players,
        run_time: args.duration,
        transport: Transport::Client,
        linger: LINGER,
        bad_share: args.bad_share,
        seed: args.seed,
        ..RunConfig::new(endpoint)
    }
    .at_rate(args.rate.into())
}

/// Lets the players play, with a live view.
async fn play(args: &Args, screen: &Screen, gateway: &mut Gateway) -> Result<Report, Stop> {
    let secrets = Secrets { api_keys: vec![gateway.api_key()?], tls_ca: None };
    let config = load_config(args, gateway.endpoint());
    let mut load = Load::start(&config, &secrets, true).map_err(|error| error.to_string())?;
    screen.line(&Line::dim(format!(
        "The game runs at {:.1} times its natural pace, so that {} players make {} events a second.",
        load.speed(),
        words::count(args.players.into()),
        words::count(args.rate.into())
    )));
    let mut view = live::View::new(screen, args.duration, f64::from(args.rate));
    let mut redraw = tokio::time::interval(view.period());
    loop {
        tokio::select! {
            report = load.finished() => {
                view.finish(&load.snapshot(), gateway);
                return Ok(report.map_err(|error| error.to_string())?);
            }
            _ = redraw.tick() => view.draw(&load.snapshot(), gateway),
            what = gateway.ended() => return Err(Stop::Failed(what)),
        }
    }
}

/// A lock that only one demo holds at a time, since each begins with a fresh data folder.
fn only_one(folders: &Folders) -> Result<fs::File, Stop> {
    let path = folders.demo.join("demo.lock");
    let lock = fs::File::create(&path).map_err(|error| format!("can't create {}: {error}", path.display()))?;
    lock.try_lock().map_err(|_| format!("another demo is running ({} is locked): stop it first", path.display()))?;
    Ok(lock)
}
