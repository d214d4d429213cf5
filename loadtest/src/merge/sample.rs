//! Results made up for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Driver, RunConfig};
use crate::engine::{Draw, Purpose};
use crate::record::{Latencies, Ledger};
use crate::result::{
    Class, Environment, Health, HealthState, Interval, Phase, RunResult, SCHEMA, Series, Usage, Verdict,
};

pub(crate) fn config(seconds: u64) -> RunConfig {
    RunConfig {
        scenario: "steady".to_owned(),
        about: "The same load all the time.".to_owned(),
        driver: Driver::Native,
        players: 1_000_000,
        servers: 100,
        online: 0.5,
        run_time: Duration::from_secs(seconds),
        warm_up: Duration::ZERO,
        linger: Duration::from_millis(50),
        slos: vec!["ack.p99 < 50ms".to_owned()],
        ..RunConfig::default()
    }
}

/// A log-normal draw, from twelve uniform ones.
pub(crate) fn log_normal(draw: &mut Draw, median: f64, sigma: f64) -> f64 {
    let normal: f64 = (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0;
    median * (sigma * normal).exp()
}

/// A run of so many seconds, of which `second` makes each one: it is given a draw, the second, and the interval to fill
/// with latencies; the counts of the whole follow from what it recorded.
pub(crate) fn run(seconds: u32, seed: u64, mut second: impl FnMut(&mut Draw, u32, &mut Interval)) -> RunResult {
    let config = config(u64::from(seconds));
    let mut result = RunResult {
        schema: SCHEMA,
        version: "0.1.0".to_owned(),
        config_hash: config.hash(),
        config,
        environment: Environment { host: "one".to_owned(), cores: 2, memory: 1 << 30, ..Environment::default() },
        started_at: 1_000.0,
        elapsed: Duration::from_secs(seconds.into()),
        verdict: Verdict::Pass,
        findings: Vec::new(),
        slos: Vec::new(),
        ledger: Ledger::default(),
        latencies: Series::default(),
        classes: BTreeMap::new(),
        codes: BTreeMap::new(),
        problems: BTreeMap::new(),
        phases: vec![Phase { name: "hold".to_owned(), from_s: 0, to_s: seconds }],
        intervals: Vec::new(),
        gateways: Vec::new(),
        usage: Usage::default(),
        measures: BTreeMap::new(),
        unmeasured: BTreeMap::new(),
        verification: None,
        closed_loop: None,
        shards: Vec::new(),
    };
    let mut draw = Draw::new(seed, 0, 0, Purpose::Step);
    for at in 0..seconds {
        let mut interval = Interval { at, width: 1, ..Interval::default() };
        second(&mut draw, at, &mut interval);
        let events = interval.ack.count();
        (interval.due, interval.sent, interval.accepted) = (events, events, events);
        interval.planned = events as f64;
        result.ledger.due += events;
        result.ledger.sent += events;
        result.ledger.accepted += events;
        result.usage.cpu_s += interval.health.cpu_s;
        result.latencies.ack.add(&interval.ack);
        result.latencies.service.add(&interval.service);
        result.latencies.event_age.add(&interval.ack);
        result.latencies.lag.add(&interval.lag);
        *result.codes.entry("OK".to_owned()).or_default() += events / 20;
        result.intervals.push(interval);
    }
    result.usage.resident = 100 << 20;
    result.usage.peak_resident = 120 << 20;
    result.usage.events_per_batch = 20.0;
    let class =
        Class { ledger: result.ledger.clone(), latencies: result.latencies.clone(), codes: result.codes.clone() };
    result.classes.insert("good".to_owned(), class);
    result
}

/// Log-normal latencies around a median, `events` of them, and 1 µs of CPU for each.
pub(crate) fn fill(draw: &mut Draw, interval: &mut Interval, events: u32, median_us: f64) {
    let mut record = |latencies: &mut Latencies, median: f64| {
        latencies.record_us(log_normal(draw, median, 0.5) as u64, 1);
    };
    for _ in 0..events {
        record(&mut interval.ack, median_us);
        record(&mut interval.service, median_us * 0.9);
    }
    record(&mut interval.lag, 100.0);
    interval.health = Health { cpu_s: f64::from(events) * 1e-6, state: HealthState::Ok, ..Health::default() };
    interval.online = 100;
}
