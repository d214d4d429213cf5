//! The model: batches leave every 100 ms, and a gateway answers them after a log-normal time or when it wakes up.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_loadtest::result::{
    Class, Environment, Health, HealthState, Interval, RunResult, SCHEMA, Series, Usage, Verdict,
};
use headgate_loadtest::{Latencies, Ledger};

/// What the model is to do.
pub(crate) struct Shape {
    pub(crate) seconds: u32,
    /// Seconds in an interval.
    pub(crate) width: u32,
    /// Events a second at the peak.
    pub(crate) rate: f64,
    /// When the gateway stands still, from and to in seconds.
    pub(crate) stall: Option<(f64, f64)>,
    /// Seconds in which the load tester is the limit.
    pub(crate) saturated: Option<(u32, u32)>,
    /// Whether the load tester is late now and then.
    pub(crate) late: bool,
    /// The factor on every latency.
    pub(crate) slower: f64,
    pub(crate) seed: u64,
}

impl Shape {
    pub(crate) fn launch(seconds: u32) -> Self {
        Self { seconds, width: 1, rate: 60_000.0, stall: None, saturated: None, late: false, slower: 1.0, seed: 1 }
    }

    /// The share of the peak: closed doors, a rise, a decay.
    fn level(&self, second: f64) -> f64 {
        let at = second / f64::from(self.seconds);
        let rise = 1.0 / (1.0 + (-(at - 0.3) * 25.0).exp());
        0.05 + 0.95 * rise * (1.0 - 0.4 * (at - 0.5).max(0.0))
    }
}

struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal: the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A result of such a run.
pub(crate) fn run(shape: &Shape) -> RunResult {
    let mut dice = Dice(shape.seed);
    let intervals_of = |second: u32| (second / shape.width) as usize;
    let mut intervals: Vec<Interval> = (0..shape.seconds.div_ceil(shape.width))
        .map(|place| Interval { at: place * shape.width, width: shape.width, ..Interval::default() })
        .collect();
    let mut classes = BTreeMap::from([("good".to_owned(), Class::default()), ("hot".to_owned(), Class::default())]);
    let last = intervals.len() - 1;
    for second in 0..shape.seconds {
        let level = shape.level(f64::from(second) + 0.5);
        let now = intervals_of(second);
        intervals[now].planned += shape.rate * level;
        intervals[now].planned_online += 200_000.0 * level / f64::from(shape.width);
        intervals[now].online = (200_000.0 * level * (1.0 + 0.01 * dice.normal())) as u64;
        health(&mut intervals[now].health, shape, second, level, &mut dice);
        for (name, share) in [("good", 0.8), ("hot", 0.2)] {
            let class = classes.get_mut(name).expect("it is there");
            for batch in 0..8 {
                let left = f64::from(second) + f64::from(batch) / 8.0;
                let events = (shape.rate * level * share / 8.0 * (1.0 + 0.05 * dice.normal())).max(0.0) as u64;
                let service = 0.0012 * shape.slower * (1.0 + 2.0 * level * level) * (0.45 * dice.normal()).exp();
                let stalled =
                    shape.stall.filter(|(from, to)| (*from..*to).contains(&left)).map_or(0.0, |(_, to)| to - left);
                let lag = 0.0006 * (0.6 * dice.normal()).exp();
                book(
                    &mut intervals,
                    class,
                    name,
                    &Batch { now, left, events, service: service + stalled, lag },
                    &mut dice,
                    last,
                    shape,
                );
            }
        }
    }
    finish(shape, intervals, classes)
}

struct Batch {
    now: usize,
    left: f64,
    events: u64,
    service: f64,
    lag: f64,
}

fn book(
    intervals: &mut [Interval],
    class: &mut Class,
    name: &str,
    batch: &Batch,
    dice: &mut Dice,
    last: usize,
    shape: &Shape,
) {
    let answered = ((batch.left + batch.lag + batch.service) as u32 / shape.width) as usize;
    let lag = Duration::from_secs_f64(batch.lag);
    let now = &mut intervals[batch.now];
    now.due += batch.events;
    now.sent += batch.events;
    class.ledger.due += batch.events;
    class.ledger.sent += batch.events;
    now.lag.record(lag, 1);
    class.latencies.lag.record(lag, 1);
    if answered > last {
        class.ledger.in_flight += batch.events;
        for interval in &mut intervals[batch.now..] {
            interval.in_flight += batch.events;
        }
        return;
    }
    for interval in &mut intervals[batch.now..answered] {
        interval.in_flight += batch.events;
    }
    let rejected = batch.events / 1_000;
    // A batch is a call for each server: a tail of its own for each twentieth of the events.
    for part in 0..20 {
        let events = (batch.events - rejected) / 20 + u64::from(part == 0) * ((batch.events - rejected) % 20);
        let service = Duration::from_secs_f64(batch.service * (0.25 * dice.normal()).exp().min(3.0));
        for (series, interval) in [(&mut class.latencies.ack, true), (&mut class.latencies.service, false)] {
            let latency = if interval { service + lag } else { service };
            series.record(latency, events);
            let mine = &mut intervals[batch.now];
            let all = if interval { &mut mine.ack } else { &mut mine.service };
            all.record(latency, events);
            if interval {
                mine.ack_of.entry(name.into()).or_default().record(latency, events);
            }
        }
        class.latencies.event_age.record(service + lag + Duration::from_secs_f64(0.1 * dice.unit()), events);
    }
    let then = &mut intervals[answered];
    then.accepted += batch.events - rejected;
    then.rejected += rejected;
    *then.accepted_of.entry(name.into()).or_default() += batch.events - rejected;
    class.ledger.accepted += batch.events - rejected;
    if rejected > 0 {
        *class.ledger.rejected.entry("bad_timestamp".into()).or_default() += rejected;
    }
    *class.codes.entry("OK".into()).or_default() += 10;
    if batch.service > 0.5 {
        refuse(then, class, "UNAVAILABLE", batch.events / 4, 5);
        refuse(then, class, "DEADLINE_EXCEEDED", 0, 2);
    } else if name == "hot" && dice.unit() < 0.06 {
        refuse(then, class, "RESOURCE_EXHAUSTED", batch.events / 10, 1);
    }
}

/// Refused at first, and sent again before the answer that counts.
fn refuse(then: &mut Interval, class: &mut Class, code: &str, events: u64, batches: u64) {
    *then.codes.entry(code.into()).or_default() += batches;
    *class.codes.entry(code.into()).or_default() += batches;
    then.retry += events;
    then.resent += events;
    class.ledger.retry += events;
    class.ledger.resent += events;
}

fn health(health: &mut Health, shape: &Shape, second: u32, level: f64, dice: &mut Dice) {
    let saturated = shape.saturated.is_some_and(|(from, to)| (from..to).contains(&second));
    let late =
        saturated || (shape.late && second % 2_000 < 60) || (shape.saturated.is_some() && second + 9 == shape.seconds);
    let state = if saturated {
        HealthState::Saturated
    } else if late {
        HealthState::Late
    } else {
        HealthState::Ok
    };
    let strain = if saturated { 20.0 } else { 1.0 + 3.0 * f64::from(u8::from(late)) };
    health.state = health.state.max(state);
    health.lag_p99_us = health.lag_p99_us.max((2_400.0 * strain * (0.2 * dice.normal()).exp()) as u64);
    health.cpu_s += 0.15 + 0.3 * level + if saturated { 0.4 } else { 0.0 };
    health.run_queue_s += 0.02 * strain * (1.0 + 0.5 * dice.unit());
    health.busy = health.busy.max((0.2 + 0.3 * level + 0.04 * strain.min(10.0)).min(1.0));
    health.pressure = Some(health.pressure.unwrap_or(0.0).max((0.03 * strain).min(0.9)));
}

fn finish(shape: &Shape, mut intervals: Vec<Interval>, classes: BTreeMap<String, Class>) -> RunResult {
    let (mut ledger, mut latencies, mut codes) = (Ledger::default(), Series::default(), BTreeMap::new());
    for class in classes.values() {
        ledger.add(&class.ledger);
        latencies.add(&class.latencies);
        for (code, batches) in &class.codes {
            *codes.entry(code.clone()).or_insert(0) += batches;
        }
    }
    for us in [900, 1_400, 2_100, 8_000] {
        latencies.connect.record_us(us, 25);
    }
    for interval in &mut intervals {
        interval.connections = 8;
        interval.lag.add(&Latencies::default());
    }
    let cpu_s: f64 = intervals.iter().map(|interval| interval.health.cpu_s).sum();
    let due = ledger.due;
    let config = super::config("launch", shape.seconds);
    RunResult {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        config_hash: config.hash(),
        config,
        environment: Environment {
            host: "load-1".into(),
            cpu: "AMD EPYC 9R45".into(),
            cores: 2,
            kernel: "6.18.5".into(),
            memory: 24 << 30,
        },
        started_at: 1_790_000_000.0,
        elapsed: Duration::from_secs(shape.seconds.into()),
        verdict: Verdict::Pass,
        findings: Vec::new(),
        slos: Vec::new(),
        ledger,
        latencies,
        classes,
        codes,
        problems: BTreeMap::new(),
        phases: super::phases(shape.seconds),
        intervals,
        gateways: Vec::new(),
        usage: Usage {
            cpu_s,
            resident: 53 << 20,
            peak_resident: 61 << 20,
            cpu_us_per_event: cpu_s * 1e6 / due.max(1) as f64,
            bytes_per_player: 46.8,
            events_per_batch: 45.3,
        },
        measures: BTreeMap::new(),
        unmeasured: BTreeMap::new(),
        verification: None,
        closed_loop: None,
        shards: Vec::new(),
    }
}
