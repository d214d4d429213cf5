//! Watches a run: once a second it samples the load tester itself, completes the second's interval, and tells whoever
//! shows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::server_metrics::ServerMetrics;
use crate::config::RunConfig;
use crate::health::{ProcessUsage, Sampler, Second, ServiceClock, assess, forget_startup};
use crate::load::Fleet;
use crate::progress::Tick;
use crate::result::{Class, Health, Interval};

/// What was noticed of the load tester's own use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noticed {
    /// CPU seconds of this process when the schedule began, and when it ended.
    pub(crate) cpu_at_start: f64,
    pub(crate) cpu_at_end: Option<f64>,
    /// Resident bytes in the middle of the run, and the most so far.
    pub(crate) resident: u64,
    pub(crate) peak_resident: u64,
    /// Drivers that panicked.
    pub(crate) missing: usize,
}

/// Watches a fleet until it is dropped.
pub(crate) struct Watch {
    fleet: Arc<Fleet>,
    config: Arc<RunConfig>,
    sampler: Sampler,
    service: ServiceClock,
    accepted_before: u64,
    noticed: Noticed,
    pub(crate) server: Option<ServerMetrics>,
}

impl Watch {
    pub(crate) fn new(fleet: Arc<Fleet>, config: Arc<RunConfig>, server: Option<ServerMetrics>) -> Self {
        Self {
            fleet,
            config,
            sampler: Sampler::new(tokio::runtime::Handle::current()),
            service: ServiceClock::default(),
            accepted_before: 0,
            noticed: Noticed::default(),
            server,
        }
    }

    /// Watches for ever; `each` is told of every second.
    pub(crate) async fn run(&mut self, mut each: impl FnMut(&Tick, &Self)) {
        let start = loop {
            match self.fleet.start() {
                Some(start) => break start.at,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        forget_startup();
        tokio::time::sleep_until(start).await;
        self.sampler.sample(Instant::now());
        self.noticed.cpu_at_start = own().cpu.as_secs_f64();
        let mut seconds = interval_at(start + Duration::from_secs(1), Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut second = 0;
        loop {
            seconds.tick().await;
            let tick = self.observe(second, start);
            if let Some(server) = &mut self.server {
                server.look(second).await;
            }
            each(&tick, self);
            second += 1;
        }
    }

    /// Completes the interval of a second that is over.
    fn observe(&mut self, second: u32, start: Instant) -> Tick {
        let sample = self.sampler.sample(Instant::now());
        let own = own();
        let scheduled = u64::from(second) < self.config.run_time.as_secs() && self.fleet.stopped().is_none();
        if !scheduled && self.noticed.cpu_at_end.is_none() {
            self.noticed.cpu_at_end = Some(own.cpu.as_secs_f64());
        }
        if u64::from(second) <= self.config.run_time.as_secs() / 2 {
            self.noticed.resident = own.resident;
        }
        self.noticed.peak_resident = own.peak_resident;
        self.noticed.missing = self.fleet.roll_call().missing();

        let (planned, planned_online) = if scheduled { self.planned(second) } else { (0.0, 0.0) };
        let recorder = &self.fleet.common.recorder;
        let mut collected = recorder.collect();
        let (online, in_flight) = (collected.online, collected.ledger.in_flight);
        let connections = collected.connections;
        let interval = collected.interval(second);
        let health = if scheduled {
            let service_flat = self.service.is_flat(&interval.service);
            let linger = self.config.linger;
            let Interval { lag, overflow, due, .. } = &*interval;
            let second = Second { lag, linger, overflow: *overflow, service_flat, due: *due, planned };
            assess(&sample, &second)
        } else {
            Health::default()
        };
        interval.planned += planned;
        interval.planned_online = planned_online;
        interval.online = online;
        interval.in_flight = in_flight;
        interval.connections = connections;
        interval.health.combine(&health);
        let last = interval.clone();
        let ack = std::mem::take(&mut collected.window).percentiles();
        let ledger = collected.ledger.clone();
        let codes = sum_of_codes(&collected.classes);
        let reconnects = collected.reconnects;
        drop(collected);
        let accepted_per_s = (ledger.accepted - self.accepted_before) as f64;
        self.accepted_before = ledger.accepted;
        Tick {
            elapsed: start.elapsed(),
            run_time: self.config.run_time,
            phase: self.phase(second),
            planned_per_s: planned,
            offered_per_s: last.due as f64,
            accepted_per_s,
            ack,
            service_p99: last.service.quantile(0.99),
            lag_p99: last.lag.quantile(0.99),
            ledger,
            codes,
            online,
            connections,
            reconnects,
            cpu_cores: sample.cpu_s,
            resident: own.resident,
            health: health.state,
        }
    }

    fn phase(&self, second: u32) -> Option<String> {
        let at = Duration::from_secs(second.into());
        let phase = self.config.phases.iter().find(|phase| (phase.from..phase.to).contains(&at));
        phase.map(|phase| phase.name.clone())
    }

    /// The events and the players online that the plan has in this second, as far as their servers came up.
    fn planned(&self, second: u32) -> (f64, f64) {
        let from = f64::from(second);
        let roll = self.fleet.roll_call();
        let up = if roll.servers == 0 { 0.0 } else { roll.manned.min(roll.servers) as f64 / roll.servers as f64 };
        let to = (from + 1.0).min(self.config.run_time.as_secs_f64());
        (self.fleet.plan.expected_events(from, to) * up, self.fleet.plan.expected_online(to) * up)
    }

    pub(crate) fn noticed(&self) -> Noticed {
        self.noticed
    }
}

/// CPU seconds of this process so far.
pub(crate) fn own_cpu_s() -> f64 {
    own().cpu.as_secs_f64()
}

fn own() -> ProcessUsage {
    ProcessUsage::of(std::process::id()).unwrap_or_default()
}

/// Answers of all classes by code.
pub(crate) fn sum_of_codes(classes: &[Class]) -> BTreeMap<String, u64> {
    let mut codes = BTreeMap::new();
    for (code, batches) in classes.iter().flat_map(|class| &class.codes) {
        *codes.entry(code.clone()).or_default() += batches;
    }
    codes
}
