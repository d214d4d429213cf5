//! A dry run: players and encoding in virtual time without a network, to learn what one core can offer.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::{Encoder, Engine, Framing, Seat};
use crate::workload::{Curve, Model, World, WorldConfig};

/// What a dry run plays through.
#[derive(Clone, Debug)]
pub struct DryPlan {
    /// What players do; a checked one.
    pub model: Model,
    /// Everything random follows from it.
    pub seed: u64,
    /// Players of all servers together.
    pub players: u32,
    /// Game servers; at least 1.
    pub servers: u32,
    /// The share of the players that is online, 0 to 1.
    pub online: f64,
    /// How much game time passes.
    pub game_time: Duration,
    /// How much game time passes between two batches of a server: the linger times the speed.
    pub game_linger: Duration,
    /// If given, no further tick begins once so much CPU time was taken.
    pub cpu_limit: Option<Duration>,
}

/// What came out of a dry run.
#[derive(Clone, Copy, Debug)]
pub struct Dry {
    /// Events made and encoded.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Batches that they came in.
    pub batches: u64,
    /// The game time that passed; less than planned if the limit cut it.
    pub game_time: Duration,
    /// Players online at its end.
    pub online: u32,
    /// CPU time of this thread to place the players.
    pub build_cpu: Duration,
    /// CPU time of this thread to make and encode the events.
    pub cpu: Duration,
    /// Memory of the process that became resident for players and servers, in bytes; nothing where the system does not
    /// tell.
    pub resident_bytes: u64,
}

impl Dry {
    /// Nanoseconds of CPU time for an event.
    #[must_use]
    pub fn ns_per_event(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.events.max(1) as f64
    }
}

/// Plays on the calling thread, which it blocks.
#[must_use]
pub fn dry_run(plan: &DryPlan) -> Dry {
    let resident_before = resident_bytes();
    let begin = cpu_time();
    let world = Arc::new(World::new(plan.seed, &WorldConfig { model: plan.model.clone(), ..WorldConfig::default() }));
    let servers = plan.servers.max(1);
    let bound = |server: u32| (u64::from(plan.players) * u64::from(server) / u64::from(servers)) as u32;
    let mut engines: Vec<Engine> = (0..servers)
        .map(|server| {
            let numbers = bound(server)..bound(server + 1);
            let seat = Seat { server, numbers, online: plan.online, curve: Curve::flat(1.0), start_ms: 0 };
            Engine::new(world.clone(), seat)
        })
        .collect();
    let built = cpu_time();
    let resident_bytes = resident_bytes().saturating_sub(resident_before);

    let mut encoder = Encoder::new(world, Framing::Stream);
    let linger_ms = (plan.game_linger.as_millis() as u64).max(1);
    let end_ms = plan.game_time.as_millis() as u64;
    let (mut events, mut bytes, mut batches, mut now_ms) = (0, 0, 0, 0);
    while now_ms < end_ms && plan.cpu_limit.is_none_or(|limit| cpu_time().saturating_sub(built) < limit) {
        now_ms = (now_ms + linger_ms).min(end_ms);
        for engine in &mut engines {
            engine.advance(now_ms, |number, player, happening| {
                let lead_us = (now_ms - happening.due) as u32 * 1_000;
                encoder.push(number, player, happening, EPOCH_NS + happening.due * 1_000_000, lead_us);
            });
            let batch = encoder.take();
            events += batch.events() as u64;
            bytes += batch.events_bytes().len() as u64;
            batches += u64::from(batch.events() > 0);
        }
    }
    Dry {
        events,
        bytes,
        batches,
        game_time: Duration::from_millis(now_ms),
        online: engines.iter().map(Engine::online).sum(),
        build_cpu: built.saturating_sub(begin),
        cpu: cpu_time().saturating_sub(built),
        resident_bytes,
    }
}

/// When a dry run's game begins: a Unix time of ordinary length.
const EPOCH_NS: u64 = 1_790_000_000_000_000_000;

/// The CPU time that this thread has taken.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The memory of the process that is resident, from the kernel's count of pages.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(players: u32, servers: u32, game_s: u64, linger_ms: u64) -> DryPlan {
        DryPlan {
            model: Model::default(),
            seed: 1,
            players,
            servers,
            online: 1.0,
            game_time: Duration::from_secs(game_s),
            game_linger: Duration::from_millis(linger_ms),
            cpu_limit: None,
        }
    }

    #[test]
    fn a_dry_run_counts_what_the_model_promises_and_stops_at_its_limit() {
        let dry = dry_run(&plan(20_000, 4, 20, 100));
        let world = World::new(1, &WorldConfig::default());
        let ratio = dry.events as f64 / (world.events_per_online_second() * 20_000.0 * 20.0);
        assert!((0.95..1.05).contains(&ratio), "{ratio} of the promised events");
        assert!((200..500).contains(&(dry.bytes / dry.events)), "{} bytes an event", dry.bytes / dry.events);
        assert_eq!((dry.batches, dry.game_time), (800, Duration::from_secs(20)));
        let cut = dry_run(&DryPlan { cpu_limit: Some(Duration::ZERO), ..plan(1_000, 1, 60, 100) });
        assert_eq!((cut.events, cut.game_time), (0, Duration::ZERO));
    }

    // Run by hand, in release: what an event, a player and a start cost at sizes from small to large.
    #[test]
    #[ignore = "a measurement; run it in release, alone"]
    fn what_events_and_players_cost() {
        let plans = [
            ("1M on 100, 100 ms", plan(1_000_000, 100, 60, 100)),
            ("1M on 1", plan(1_000_000, 1, 60, 100)),
            ("1M on 1,000", plan(1_000_000, 1_000, 60, 100)),
            ("1M on 100, ticks of 1 ms", plan(1_000_000, 100, 5, 1)),
            ("1M on 100, ticks of 20 s", plan(1_000_000, 100, 100, 20_000)),
            ("1M on 100, 60 % online", DryPlan { online: 0.6, ..plan(1_000_000, 100, 100, 100) }),
            ("10M on 1,000", plan(10_000_000, 1_000, 6, 100)),
            ("10M on 100", plan(10_000_000, 100, 6, 100)),
        ];
        for (what, plan) in plans {
            let dry = dry_run(&plan);
            println!(
                "{what}: {:.0} ns an event, {:.1} B a player, {} B an event, {:.1} events a batch, built in {:.0?}",
                dry.ns_per_event(),
                dry.resident_bytes as f64 / f64::from(plan.players),
                dry.bytes / dry.events.max(1),
                dry.events as f64 / dry.batches.max(1) as f64,
                dry.build_cpu,
            );
        }
    }
}
