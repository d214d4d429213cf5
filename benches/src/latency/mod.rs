//! What the gateway adds to latency: an open-loop load at shares of its capacity, and the same load, as many events a
//! second, on a bare tonic + prost server beside it, by turns. Each server has one core to itself, the load another.
//!
//! The gateway discards and does not linger: what a destination takes is its own, and lingering is a setting.

mod options;
mod plot;
mod report;

use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

pub use self::options::Options;
pub use self::plot::draw;
pub use self::report::Report;
use self::report::{AtLoad, Round};
use crate::Result;
use crate::events::Size;
use crate::load::{Call, Case, Pace, Target, paced};
use crate::machine::Machine;
use crate::measurement::{Measurement, Spread};
use crate::server::{Destination, Ground, House, Kind, Peer, Programs};
use crate::subject::{Subject, Work};

/// Before latencies count.
const WARM_UP: Duration = Duration::from_millis(300);
/// How often and how long the gateway's capacity is measured.
const CAPACITY_ROUNDS: u32 = 3;
const CAPACITY_TIME: Duration = Duration::from_secs(2);

/// Measures and reports.
///
/// # Errors
/// If a server does not start, or does not accept every event, or there is but one core.
pub async fn run(options: &Options, source: &Path) -> Result<Report> {
    let programs = Programs::of_gateway(options.gateway.as_deref())?;
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

    let capacity = capacity(&mut gateway, options).await?;
    let mut report = Report::new(Machine::look(source), options, capacity);
    for load in options.loads() {
        eprintln!("{load} % load");
        let events_per_second = capacity * f64::from(load) / 100.0;
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

/// Events a second that the gateway takes at most.
async fn capacity(gateway: &mut Subject<House>, options: &Options) -> Result<f64> {
    let case = Case::new(Call::Stream, options.batch);
    let work = Work { case, size: Size::Usual, connections: options.connections, time: CAPACITY_TIME };
    let mut measured = Vec::new();
    for _ in 0..CAPACITY_ROUNDS {
        measured.push(gateway.measure(work).await?);
    }
    Ok(Spread::over(&measured, Measurement::rate).median)
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
