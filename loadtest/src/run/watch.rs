//! Watches a run: once a second it samples the load tester itself, completes the second's interval, and tells whoever
//! shows it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::config::RunConfig;
use crate::health::{ProcessUsage, Sampler, Second, ServiceClock, assess, forget_startup};
use crate::load::Fleet;
use crate::progress::Tick;
use crate::result::{Class, Health};

/// What was noticed of the load tester's own use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noticed {
    /// CPU seconds of this process when the schedule began, and when it ended.
    pub(crate) cpu_at_start: f64,
    pub(crate) cpu_at_end: Option<f64>,
    /// Resident bytes in the middle of the run, and the most so far.
    pub(crate) resident: u64,
    pub(crate) peak_resident: u64,
}

/// Watches a fleet until it is dropped.
pub(crate) struct Watch {
    fleet: Arc<Fleet>,
    config: Arc<RunConfig>,
    sampler: Sampler,
    service: ServiceClock,
    due_before: u64,
    overflow_before: u64,
    accepted_before: u64,
    retry_before: u64,
    refused_before: u64,
    noticed: Noticed,
}

impl Watch {
    pub(crate) fn new(fleet: Arc<Fleet>, config: Arc<RunConfig>) -> Self {
        Self {
            fleet,
            config,
            sampler: Sampler::new(tokio::runtime::Handle::current()),
            service: ServiceClock::default(),
            due_before: 0,
            overflow_before: 0,
            accepted_before: 0,
            retry_before: 0,
            refused_before: 0,
            noticed: Noticed::default(),
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
        // Seconds that were missed, because this process stood still, are looked at together: a sample of less than a
        // second says nothing.
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut second = 0;
        loop {
            seconds.tick().await;
            let over = start.elapsed().as_secs() as u32;
            let seen = second..over.max(second + 1);
            second = seen.end;
            let tick = self.observe(seen, start);
            each(&tick, self);
        }
    }

    /// Completes the intervals of the seconds that are over since the last look: one, unless this process stood still.
    fn observe(&mut self, seconds: Range<u32>, start: Instant) -> Tick {
        let sample = self.sampler.sample(Instant::now());
        let own = own();
        let last = seconds.end - 1;
        let run_s = self.config.run_time.as_secs_f64();
        let scheduled = f64::from(last) < run_s && self.fleet.stopped().is_none();
        if !scheduled && self.noticed.cpu_at_end.is_none() {
            self.noticed.cpu_at_end = Some(own.cpu.as_secs_f64());
        }
        if f64::from(last) <= run_s / 2.0 {
            self.noticed.resident = own.resident;
        }
        self.noticed.peak_resident = own.peak_resident;

        let stints = self.fleet.stints();
        let span = f64::from(seconds.end - seconds.start);
        let planned = self.fleet.plan.expected_events_of(&stints, f64::from(seconds.start), f64::from(seconds.end));
        let recorder = &self.fleet.common.recorder;
        let mut collected = recorder.collect();
        let (due, overflow) = collected.offered(|class| recorder.is_main(class));
        let new = |now: u64, before: u64| ((now - before) as f64 / span).round() as u64;
        let (due_per_s, overflow_per_s) = (new(due, self.due_before), new(overflow, self.overflow_before));
        let accepted_per_s = new(collected.ledger.accepted, self.accepted_before);
        // Of what a client was refused only what it sends again is known.
        let sends_again = self.config.transport.sends_again();
        let refused = if sends_again { collected.ledger.retry } else { collected.ledger.resent };
        let retry_per_s = new(refused, self.retry_before);
        // Batches rest for a second or two after a refusal: the second after it is not the load tester's fault either.
        let rested = std::mem::replace(&mut self.refused_before, retry_per_s);
        let refused_per_s = retry_per_s + rested + collected.held;
        let players = self.fleet.plan.players as f64;
        (self.due_before, self.overflow_before) = (due, overflow);
        (self.accepted_before, self.retry_before) = (collected.ledger.accepted, refused);
        let (online, in_flight) = (collected.online, collected.ledger.in_flight);
        let connections = collected.connections;

        let mut health = Health::default();
        for second in seconds {
            let at = f64::from(second);
            let interval = collected.interval(second);
            if f64::from(second) < run_s {
                let service_flat = self.service.is_flat(&interval.service);
                let (lag, linger) = (&interval.lag, self.config.linger);
                let planned = planned / span;
                health = assess(
                    &sample,
                    &Second {
                        lag,
                        linger,
                        overflow: overflow_per_s,
                        service_flat,
                        due: due_per_s,
                        planned,
                        refused: refused_per_s,
                        players,
                        planned_online: self.fleet.plan.expected_online_of(&stints, at),
                    },
                );
            }
            interval.planned += self.fleet.plan.expected_events_of(&stints, at, at + 1.0);
            interval.planned_online = self.fleet.plan.expected_online_of(&stints, (at + 1.0).min(run_s));
            interval.online = online;
            interval.in_flight = in_flight;
            interval.connections = connections;
            interval.health.combine(&health);
        }
        let interval = collected.interval(last).clone();
        let ack = std::mem::take(&mut collected.window).percentiles();
        Tick {
            elapsed: start.elapsed(),
            run_time: self.config.run_time,
            phase: self.phase(last),
            planned_per_s: planned / span,
            offered_per_s: due_per_s as f64,
            accepted_per_s: accepted_per_s as f64,
            ack,
            service_p99: interval.service.quantile(0.99),
            lag_p99: interval.lag.quantile(0.99),
            ledger: collected.ledger.clone(),
            codes: sum_of_codes(&collected.classes),
            online,
            connections,
            reconnects: collected.reconnects,
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
