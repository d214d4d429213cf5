//! What the gateway adds to latency: an open-loop load that keeps its core busy for a share of the time, and the same load,
//! as many events a second, on a bare tonic + prost server beside it, by turns. Each server has one core to itself, the
//! load another.
//!
//! The share is of the core, not of the most events that it takes: where more is under way, more buckets are sealed together
//! and an event costs less, so that half of the most events is much more than half of the work.
//!
//! The gateway discards and does not linger: what a destination takes is its own, and lingering is a setting.

mod options;
mod plot;
mod report;

use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tokio::time::Instant;

pub use self::options::Options;
pub use self::plot::draw;
pub use self::report::Report;
use self::report::{AtLoad, Round};
use crate::Result;
use crate::events::Size;
use crate::load::{Call, Case, Pace, Target, paced};
use crate::machine::Machine;
use crate::server::{Destination, Ground, House, Kind, Peer, Programs};
use crate::subject::{Subject, Work};

/// Before latencies count.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long the most that the gateway takes is measured, from where the search for a load begins.
const MOST_TIME: Duration = Duration::from_secs(2);
/// Steps of the search for the events a second that keep the core busy as asked. Each is as long as a measurement.
const STEPS: u32 = 5;
/// The search's first step, as a share of the most.
const FIRST: f64 = 0.2;
/// A step offers at most so many times what the one before did: a server that is behind seems no busier than one that is
/// not.
const LARGEST_STEP: f64 = 1.6;

/// Measures and reports.
///
/// # Errors
/// If a server does not start, or does not accept every event, or there is but one core.
pub async fn run(options: &Options, source: &Path) -> Result<Report> {
    let programs = Programs::of_gateway(options.gateway.as_deref())?;
    let machine = Machine::look(source);
    leave_the_first_core()?;
    let ground = Ground { pinned: Some(1), ..Ground::new()? };
    let mut settings = vec!["gather.linger=0s".to_owned()];
    settings.extend(options.set.iter().cloned());
    let mut gateway = House::start_on("gateway", Destination::Discard, &programs, &settings, ground).await?;
    let bare = Peer::start_pinned(Kind::Bare, Some(1))?;
    let (pid, target) = (bare.pid(), bare.target().clone());
    let mut bare = Subject::new("bare", bare, pid, target)?;
    gateway.warm_up(options.connections, Size::Usual).await?;
    bare.warm_up(options.connections, Size::Usual).await?;

    let most = most(&mut gateway, options).await?;
    let mut report = Report::new(machine, options, most);
    let mut events_per_second = most * FIRST;
    for load in options.loads() {
        eprintln!("{load} % load");
        events_per_second = rate_at(&gateway, options, f64::from(load) / 100.0, events_per_second).await?;
        let mut at = AtLoad::new(load, events_per_second);
        for _ in 0..options.rounds() {
            let bare = measure(bare.target(), options, events_per_second).await?;
            let gateway = measure(gateway.target(), options, events_per_second).await?;
            at.rounds.push(Round::of(bare, gateway));
        }
        report.loads.push(at.done());
    }
    Ok(report)
}

/// This thread, and so the load, runs anywhere but where the servers do.
fn leave_the_first_core() -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        return Err("latency is measured with a core for the server and one for the load: this machine has one".into());
    }
    let mut others = CpuSet::new();
    for core in 1..cores {
        others.set(core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &others)?)
}

/// Events a second that the gateway takes at most, in a closed loop.
async fn most(gateway: &mut Subject<House>, options: &Options) -> Result<f64> {
    let case = Case::new(Call::Stream, options.batch);
    let work = Work { case, size: Size::Usual, connections: options.connections, time: MOST_TIME };
    Ok(gateway.measure(work).await?.rate())
}

/// Events a second at which the gateway's core is busy for this share of the time.
async fn rate_at(gateway: &Subject<House>, options: &Options, busy: f64, from: f64) -> Result<f64> {
    let mut rate = from;
    for _ in 0..STEPS {
        let (before, began) = (gateway.cpu()?, Instant::now());
        measure(gateway.target(), options, rate).await?;
        let was_busy = gateway.cpu()?.seconds_since(&before) / began.elapsed().as_secs_f64();
        rate *= (busy / was_busy).clamp(1.0 / LARGEST_STEP, LARGEST_STEP);
    }
    Ok(rate)
}

async fn measure(target: &Target, options: &Options, events_per_second: f64) -> Result<Vec<Duration>> {
    let (batch, connections) = (options.batch, options.connections);
    let pace = Pace { batch, connections, events_per_second, warm_up: WARM_UP, time: options.time() };
    // What is not answered long after it was due never is.
    let patience = 3 * options.time() + Duration::from_secs(20);
    match tokio::time::timeout(patience, paced(target, &pace)).await {
        Ok(latencies) => latencies,
        Err(_) => Err(format!("not everything was answered within {patience:?}").into()),
    }
}
