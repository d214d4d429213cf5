//! Measures servers in turn, A B A B, on the same load.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::cpu::{CpuClock, MachineReading};
use crate::load::{Case, Load, Target};
use crate::machine::Machine;
use crate::measurement::{CaseResult, Measurement, Round};
use crate::options::Options;
use crate::report::Report;
use crate::server::{Gateway, Kind, Peer};
use crate::{Error, Result};

/// Events that a server takes before anything is measured: more than the gateway's dedupe window, whose steady state is
/// what is measured, and enough for allocators and caches to settle.
const WARM_UP_EVENTS: u64 = 1_500_000;
const WARM_UP_CASE: Case = Case { call: crate::load::Call::Stream, batch: 100 };

/// No measurement may take longer than this, whatever a server does.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server while it is measured.
struct Subject {
    name: &'static str,
    target: Target,
    clock: CpuClock,
}

impl Subject {
    fn new(name: &'static str, target: &Target, pid: u32) -> Result<Self> {
        eprintln!("{name}: process {pid}, {}", target.address);
        Ok(Self { name, target: target.clone(), clock: CpuClock::of(pid)? })
    }

    async fn warm_up(&self, connections: usize) -> Result<()> {
        let mut load = Load::start(&self.target, WARM_UP_CASE, connections).await?;
        load.until(WARM_UP_EVENTS).await?;
        load.stop().await?;
        Ok(())
    }

    /// One measurement: a load of its own, warmed up, between two marks.
    async fn measure(&self, case: Case, options: &Options) -> Result<Measurement> {
        let client = CpuClock::of(std::process::id())?;
        let seconds = Duration::from_secs_f64(options.seconds());
        let mut load = Load::start(&self.target, case, options.connections).await?;
        load.run_for(seconds.mul_f64(0.3)).await?;

        let events_before = load.accepted();
        let (began, machine_before) = (Instant::now(), MachineReading::take()?);
        let (server_before, client_before) = (self.clock.read()?, client.read()?);
        load.run_for(seconds).await?;
        let (server_after, client_after) = (self.clock.read()?, client.read()?);
        let (machine_after, elapsed) = (MachineReading::take()?, began.elapsed().as_secs_f64());
        let events = load.accepted() - events_before;
        load.stop().await?;
        if events == 0 {
            return Err("no event was accepted during the measurement".into());
        }

        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let server_cpu = server_after.seconds_since(&server_before);
        let client_cpu = client_after.seconds_since(&client_before);
        #[allow(clippy::cast_precision_loss, reason = "few cores")]
        let busy_cores = machine_after.busy_since(&machine_before) * cores as f64;
        Ok(Measurement {
            events,
            elapsed,
            server_cpu,
            server_system_share: server_after.system_share_since(&server_before),
            client_cpu,
            elsewhere_cores: (busy_cores - (server_cpu + client_cpu) / elapsed).max(0.0),
        })
    }
}

/// Measures and reports.
///
/// # Errors
/// If a server does not start, or does not accept every event.
pub async fn run(options: &Options, gateway_program: &Path, source: &Path) -> Result<Report> {
    let gateway = Gateway::start(gateway_program, &options.set).await?;
    let bare = Peer::start(Kind::Bare)?;
    let usual = if options.usual { Some(Peer::start(Kind::Usual)?) } else { None };
    let mut subjects = vec![
        Subject::new("bare", bare.target(), bare.pid())?,
        Subject::new("gateway", gateway.target(), gateway.pid())?,
    ];
    if let Some(usual) = &usual {
        subjects.push(Subject::new("usual", usual.target(), usual.pid())?);
    }
    for subject in &subjects {
        patiently(subject.name, subject.warm_up(options.connections)).await?;
    }
    let mut report = Report::new(Machine::look(source), options);
    for case in options.cases() {
        let mut result = CaseResult::new(case);
        for _ in 0..options.pairs() {
            let mut measured = Vec::new();
            for subject in &subjects {
                let measurement = patiently(subject.name, subject.measure(case, options)).await;
                measured.push(measurement.map_err(|error| format!("{case}: {error}"))?);
            }
            let mut measured = measured.into_iter();
            let (Some(bare), Some(gateway)) = (measured.next(), measured.next()) else { continue };
            let round = Round { bare, gateway, usual: measured.next() };
            eprintln!("{}", round.line(case));
            result.rounds.push(round);
        }
        report.cases.push(result);
    }
    Ok(report)
}

async fn patiently<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let result = tokio::time::timeout(PATIENCE, work).await;
    let result = result.unwrap_or_else(|_| Err(format!("it did not end within {PATIENCE:?}").into()));
    result.map_err(|error| Error::from(format!("{name}: {error}")))
}
