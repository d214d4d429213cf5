//! `calibrate`: how many events this machine can offer, found by running the players without a network.

use std::time::Duration;

use clap::Args;

use super::Failure;
use super::run_args::duration;
use crate::config::RunConfig;
use crate::engine::{DryPlan, dry_run};
use crate::words;

/// Long enough to tell what is far too much.
pub(super) const BRIEFLY: Duration = Duration::from_millis(300);
/// Players that are played to tell what is far too much. More of them make an event a little dearer, since they leave the
/// caches; but they would take more memory than the run after them, whose peak would then say nothing.
pub(super) const MOST_PLAYERS: u32 = 200_000;
/// Sending costs about so much for each event and each batch beside what the players cost: measured over loopback.
const SEND_EVENT_S: f64 = 200e-9;
const SEND_BATCH_S: f64 = 30e-6;

/// Flags of `calibrate`.
#[derive(Args)]
pub(super) struct CalibrateArgs {
    /// How long to measure.
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "5s")]
    duration: Duration,
    /// Players.
    #[arg(long, default_value_t = 1_000_000)]
    players: u32,
}

/// What a machine can offer.
pub(super) struct Capacity {
    /// On all cores that this process may use.
    pub(super) events_per_second: f64,
    /// CPU seconds for an event, without sending it.
    pub(super) per_event_s: f64,
    pub(super) cores: u32,
}

impl Capacity {
    /// Runs the players of this shard, at most so many, on one core for so long.
    pub(super) fn measure(config: &RunConfig, budget: Duration, most_players: u32) -> Self {
        let speed = config.speed;
        let of_shard = config.players_of_shard().max(1);
        let players = of_shard.min(most_players);
        // As many on each server as in the run.
        let servers = (f64::from(config.servers_of_shard()) * f64::from(players) / f64::from(of_shard)).ceil() as u32;
        let dry = dry_run(&DryPlan {
            model: config.model.clone(),
            seed: config.seed,
            players,
            servers: servers.max(1),
            online: config.online,
            game_time: Duration::from_secs_f64(3_600.0 * speed),
            game_linger: config.linger.mul_f64(speed),
            cpu_limit: Some(budget),
        });
        let per_event_s = dry.cpu.as_secs_f64() / (dry.events.max(1) as f64);
        let rate = config.events_per_second();
        let per_batch = (rate * config.linger.as_secs_f64() / f64::from(config.servers.max(1)))
            .clamp(1.0, f64::from(config.max_batch));
        let cost = per_event_s + SEND_EVENT_S + SEND_BATCH_S / per_batch;
        let cores = crate::health::environment().cores.max(1);
        Self { events_per_second: f64::from(cores) / cost, per_event_s, cores }
    }
}

/// Measures and shows.
pub(super) fn calibrate(args: &CalibrateArgs) -> Result<u8, Failure> {
    let config = RunConfig { players: args.players, ..RunConfig::default() }.resolved();
    config.check().map_err(Failure::usage)?;
    let capacity = Capacity::measure(&config, args.duration, args.players);
    println!(
        "{} players cost {:.0} ns of CPU an event, without sending it; with sending, {} cores can offer about {} events/s \
         at a linger of {}. Plans above 70 % of that are refused.",
        words::count(args.players.into()),
        capacity.per_event_s * 1e9,
        capacity.cores,
        words::count(capacity.events_per_second as u64),
        words::duration(config.linger),
    );
    Ok(0)
}
