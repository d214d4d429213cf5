//! Results made by hand, for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Driver, RunConfig};
use crate::record::{Latencies, Ledger};
use crate::result::{Environment, Interval, Phase, RunResult, SCHEMA, Series, Usage, Verdict};

/// A run of so many seconds in which nothing has happened yet.
pub(crate) fn result(seconds: u32, warm_up: u32) -> RunResult {
    let config = RunConfig {
        scenario: "test".to_owned(),
        driver: Driver::Native,
        players: 1_000,
        servers: 10,
        online: 1.0,
        run_time: Duration::from_secs(seconds.into()),
        warm_up: Duration::from_secs(warm_up.into()),
        linger: Duration::from_millis(50),
        ..RunConfig::default()
    };
    RunResult {
        schema: SCHEMA,
        version: "0".to_owned(),
        config,
        config_hash: String::new(),
        environment: Environment::default(),
        started_at: 0.0,
        elapsed: Duration::from_secs(seconds.into()),
        verdict: Verdict::Pass,
        findings: Vec::new(),
        slos: Vec::new(),
        ledger: Ledger::default(),
        latencies: Series::default(),
        classes: BTreeMap::new(),
        codes: BTreeMap::new(),
        problems: BTreeMap::new(),
        phases: Vec::new(),
        intervals: (0..seconds).map(|at| Interval { at, width: 1, ..Interval::default() }).collect(),
        gateways: Vec::new(),
        usage: Usage::default(),
        measures: BTreeMap::new(),
        unmeasured: BTreeMap::new(),
        verification: None,
        closed_loop: None,
        shards: Vec::new(),
    }
}

/// So many events due and acknowledged after this long, in batches of 10; whatever the interval held is forgotten.
pub(crate) fn play(interval: &mut Interval, events: u64, ack: Duration) {
    let mut latencies = Latencies::default();
    latencies.record(ack, events);
    let mut lag = Latencies::default();
    lag.record(Duration::from_millis(1), events / 10);
    *interval = Interval {
        at: interval.at,
        width: interval.width,
        planned: events as f64,
        due: events,
        sent: events,
        accepted: events,
        ack: latencies.clone(),
        service: latencies,
        lag,
        ..Interval::default()
    };
}

/// Makes the run's totals those of its intervals.
pub(crate) fn total(result: &mut RunResult) {
    result.ledger = Ledger::default();
    result.latencies = Series::default();
    for interval in &result.intervals {
        result.ledger.due += interval.due;
        result.ledger.sent += interval.sent;
        result.ledger.accepted += interval.accepted;
        result.ledger.failed += interval.failed;
        result.ledger.overflow += interval.overflow;
        result.latencies.ack.add(&interval.ack);
        result.latencies.service.add(&interval.service);
        result.latencies.event_age.add(&interval.ack);
        result.latencies.lag.add(&interval.lag);
    }
}

pub(crate) fn phase(name: &str, from_s: u32, to_s: u32) -> Phase {
    Phase { name: name.to_owned(), from_s, to_s }
}
