//! A server while it is measured: what it spends on a load, and what whatever it delivers to spends.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::{Instant, sleep};

use crate::cpu::{CpuClock, CpuReading, MachineReading};
use crate::events::Size;
use crate::load::{Call, Case, Load, Protocol, Target};
use crate::measurement::Measurement;
use crate::{Error, Result};

/// Events that a server takes before anything is measured: more than the gateway's dedupe window, whose steady state is
/// what is measured, and enough for allocators and caches to settle.
const WARM_UP_EVENTS: u64 = 1_500_000;
/// Who has no such window and is slow is warm after this.
const WARM_UP_TIME: Duration = Duration::from_secs(4);

/// No measurement may take longer than this, whatever a server does.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that works on after its last answer is done when it has been idle for this long.
const IDLE: Duration = Duration::from_millis(1_500);
const IDLE_CORES: f64 = 0.05;

/// Which load a measurement is made with.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// How batches are sent.
    pub case: Case,
    /// How large events are.
    pub size: Size,
    /// On so many connections.
    pub connections: usize,
    /// For so long.
    pub time: Duration,
}

/// See the module. `S` keeps the server running.
pub struct Subject<S> {
    name: String,
    server: S,
    targets: Vec<Target>,
    clock: CpuClock,
    behind: Option<CpuClock>,
    works_on: bool,
    warms_by_time: bool,
    events: u64,
}

impl<S> Subject<S> {
    /// A server that runs as the process `pid`, and takes loads at `target`.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn new(name: impl Into<String>, server: S, pid: u32, target: Target) -> Result<Self> {
        let name = name.into();
        eprintln!("{name}: process {pid}, {}", target.address);
        Ok(Self {
            name,
            server,
            targets: vec![target],
            clock: CpuClock::of(pid)?,
            behind: None,
            works_on: false,
            warms_by_time: false,
            events: 0,
        })
    }

    /// The same, with another value that keeps it running.
    #[must_use]
    pub fn map<T>(self, map: impl FnOnce(S) -> T) -> Subject<T> {
        let Self { name, server, targets, clock, behind, works_on, warms_by_time, events } = self;
        Subject { name, server: map(server), targets, clock, behind, works_on, warms_by_time, events }
    }

    /// It is sent to with these keys, by turns.
    #[must_use]
    pub fn with_keys(mut self, keys: &[HeaderValue]) -> Self {
        let first = self.targets[0].clone();
        self.targets = keys.iter().map(|key| Target { key: key.clone(), ..first.clone() }).collect();
        self
    }

    /// It delivers to another process, which is counted apart.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn delivers_to(mut self, pid: u32) -> Result<Self> {
        self.behind = Some(CpuClock::of(pid)?);
        Ok(self)
    }

    /// It works on after its last answer, which is a part of what events cost.
    #[must_use]
    pub fn works_on(mut self) -> Self {
        self.works_on = true;
        self
    }

    /// It has no window of ids to fill and may be slow.
    #[must_use]
    pub fn warms_by_time(mut self) -> Self {
        self.warms_by_time = true;
        self
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &S {
        &self.server
    }

    /// Its process's CPU time so far.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu(&self) -> Result<CpuReading> {
        self.clock.read()
    }

    /// Its process's resident memory, bytes.
    ///
    /// # Errors
    /// If it has ended.
    pub fn resident(&self) -> Result<u64> {
        self.clock.resident()
    }

    /// Where it is sent to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.targets[0]
    }

    fn protocol(&self) -> Protocol {
        self.targets[0].protocol
    }

    /// Whether it can be measured with this load.
    #[must_use]
    pub fn takes(&self, case: Case) -> bool {
        self.protocol().has(case.call)
    }

    /// The server, and how many events it took.
    #[must_use]
    pub fn into_server(self) -> (S, u64) {
        (self.server, self.events)
    }

    /// Has it run in.
    ///
    /// # Errors
    /// If it does not accept every event.
    pub async fn warm_up(&mut self, connections: usize, size: Size) -> Result<()> {
        let call = if self.takes(Case::new(Call::Stream, 100)) { Call::Stream } else { Call::Unary };
        let warming = async {
            let mut load = Load::spread(&self.targets, Case::new(call, 100), connections, size).await?;
            if self.protocol().has_window() && !self.warms_by_time {
                load.until(WARM_UP_EVENTS).await?;
            } else {
                load.run_for(WARM_UP_TIME).await?;
            }
            load.stop().await
        };
        let events = patiently(&self.name, warming).await?;
        self.events += events;
        if self.works_on {
            patiently(&self.name, self.idle()).await?;
        }
        Ok(())
    }

    /// One measurement: a load of its own, warmed up, between two marks.
    ///
    /// # Errors
    /// If it does not accept every event.
    pub async fn measure(&mut self, work: Work) -> Result<Measurement> {
        let (measurement, events) = patiently(&self.name, self.measured(work)).await?;
        self.events += events;
        Ok(measurement)
    }

    async fn measured(&self, work: Work) -> Result<(Measurement, u64)> {
        let client = CpuClock::of(std::process::id())?;
        let read = || -> Result<_> {
            let behind = self.behind.map(|clock| clock.read()).transpose()?;
            Ok((self.clock.read()?, behind, client.read()?, MachineReading::take()?, Instant::now()))
        };
        let all_of_it = self.works_on.then(read).transpose()?;
        let mut load = Load::spread(&self.targets, work.case, work.connections, work.size).await?;
        load.run_for(work.time.mul_f64(0.3)).await?;
        let events_before = load.accepted();
        let before = read()?;
        load.run_for(work.time).await?;
        let after = read()?;
        let events = load.accepted() - events_before;
        let all_events = load.stop().await?;
        // Who works on is measured from the load's first event until it is done.
        let (before, after, events) = match all_of_it {
            Some(before) => {
                self.idle().await?;
                (before, read()?, all_events)
            }
            None => (before, after, events),
        };
        if events == 0 {
            return Err("no event was accepted during the measurement".into());
        }

        let elapsed = (after.4 - before.4).as_secs_f64();
        let server_cpu = after.0.seconds_since(&before.0);
        let behind_cpu = after.1.zip(before.1).map_or(0.0, |(after, before)| after.seconds_since(&before));
        let client_cpu = after.2.seconds_since(&before.2);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        #[allow(clippy::cast_precision_loss, reason = "few cores")]
        let busy_cores = after.3.busy_since(&before.3) * cores as f64;
        let measurement = Measurement {
            events,
            elapsed,
            server_cpu,
            server_system_share: after.0.system_share_since(&before.0),
            behind_cpu,
            client_cpu,
            elsewhere_cores: (busy_cores - (server_cpu + behind_cpu + client_cpu) / elapsed).max(0.0),
        };
        Ok((measurement, all_events))
    }

    /// Waits until it does nothing any more.
    async fn idle(&self) -> Result<()> {
        let mut before = self.clock.read()?;
        loop {
            sleep(IDLE).await;
            let after = self.clock.read()?;
            if after.seconds_since(&before) < IDLE_CORES * IDLE.as_secs_f64() {
                return Ok(());
            }
            before = after;
        }
    }
}

async fn patiently<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let result = tokio::time::timeout(PATIENCE, work).await;
    let result = result.unwrap_or_else(|_| Err(format!("it did not end within {PATIENCE:?}").into()));
    result.map_err(|error| Error::from(format!("{name}: {error}")))
}
