//! NDJSON for container logs: one object in a line when a run starts, every 5 s, and when it ends.
//!
//! The keys are an interface: plain numbers with the unit in the name; keys may be added, but none is renamed. `kind`
//! tells the lines apart: `start`, `progress`, `note`, `end`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{Opening, Tick};
use crate::record::Ledger;
use crate::result::{HealthState, RunResult, SloResult, Verdict};

/// How often there is a line.
const EVERY: Duration = Duration::from_secs(5);

/// The line before a run.
#[derive(Debug, Serialize)]
pub struct Start<'a> {
    kind: &'static str,
    scenario: &'a str,
    endpoint: &'a str,
    config_hash: String,
    players: u32,
    servers: u32,
    planned_events_per_s: f64,
    run_time_s: f64,
    shard: u32,
    shards: u32,
    results: String,
}

impl<'a> Start<'a> {
    /// What will run.
    #[must_use]
    pub fn new(what: &Opening<'a>) -> Self {
        let config = what.config;
        Self {
            kind: "start",
            scenario: &config.scenario,
            endpoint: &config.endpoint,
            config_hash: config.hash(),
            players: config.players,
            servers: config.servers,
            planned_events_per_s: rounded(what.planned_per_s),
            run_time_s: config.run_time.as_secs_f64(),
            shard: config.shard.index,
            shards: config.shard.of,
            results: what.results.display().to_string(),
        }
    }
}

/// The line of 5 s. Rates are means since the line before, latencies and health those of the worst second since then,
/// and everything else is of the latest second or, where it is a count of events, of the run so far.
#[derive(Debug, Serialize)]
pub struct Progressed {
    kind: &'static str,
    elapsed_s: f64,
    run_time_s: f64,
    phase: String,
    planned_events_per_s: f64,
    offered_events_per_s: f64,
    accepted_events_per_s: f64,
    ack_p50_ms: f64,
    ack_p99_ms: f64,
    ack_p999_ms: f64,
    service_p99_ms: f64,
    lag_p99_ms: f64,
    due_events: u64,
    accepted_events: u64,
    rejected_events: u64,
    retry_events: u64,
    resent_events: u64,
    unknown_events: u64,
    failed_events: u64,
    overflow_events: u64,
    in_flight_events: u64,
    answered_batches: BTreeMap<String, u64>,
    online_players: u64,
    connections: u64,
    reconnects: u64,
    cpu_cores: f64,
    resident_bytes: u64,
    health: HealthState,
}

/// The line after a run.
#[derive(Debug, Serialize)]
pub struct End<'a> {
    kind: &'static str,
    verdict: Verdict,
    exit_code: u8,
    findings: &'a [String],
    elapsed_s: f64,
    accepted_events_per_s: f64,
    ack_p50_ms: f64,
    ack_p99_ms: f64,
    ack_p999_ms: f64,
    service_p99_ms: f64,
    lag_p99_ms: f64,
    cpu_us_per_event: f64,
    ledger: &'a Ledger,
    slos: &'a [SloResult],
    files: Vec<String>,
}

impl<'a> End<'a> {
    /// What came of a run, and the files that were written.
    #[must_use]
    pub fn new(result: &'a RunResult, files: &[PathBuf]) -> Self {
        let ack = result.latencies.ack.percentiles();
        let elapsed_s = result.elapsed.as_secs_f64();
        Self {
            kind: "end",
            verdict: result.verdict,
            exit_code: result.verdict.exit_code(),
            findings: &result.findings,
            elapsed_s,
            accepted_events_per_s: rounded(result.ledger.accepted as f64 / elapsed_s.max(f64::MIN_POSITIVE)),
            ack_p50_ms: millis(ack.p50),
            ack_p99_ms: millis(ack.p99),
            ack_p999_ms: millis(ack.p999),
            service_p99_ms: millis(result.latencies.service.quantile(0.99)),
            lag_p99_ms: millis(result.latencies.lag.quantile(0.99)),
            cpu_us_per_event: rounded(result.usage.cpu_us_per_event),
            ledger: &result.ledger,
            slos: &result.slos,
            files: files.iter().map(|file| file.display().to_string()).collect(),
        }
    }
}

/// The seconds since the latest line.
#[derive(Default)]
pub(super) struct Window {
    ticks: u32,
    /// Sums of the rates, and the worst of the rest.
    sum: Tick,
    /// When the latest line was.
    since: Duration,
}

impl Window {
    /// Adds a second; every 5 s, and when the last event is answered, there is a line.
    pub(super) fn add(&mut self, tick: &Tick) -> Option<Progressed> {
        self.ticks += 1;
        let sum = &mut self.sum;
        sum.planned_per_s += tick.planned_per_s;
        sum.offered_per_s += tick.offered_per_s;
        sum.accepted_per_s += tick.accepted_per_s;
        sum.ack.p50 = sum.ack.p50.max(tick.ack.p50);
        sum.ack.p99 = sum.ack.p99.max(tick.ack.p99);
        sum.ack.p999 = sum.ack.p999.max(tick.ack.p999);
        sum.service_p99 = sum.service_p99.max(tick.service_p99);
        sum.lag_p99 = sum.lag_p99.max(tick.lag_p99);
        sum.health = sum.health.max(tick.health);
        // A tick that comes a little early is not put off for a second.
        let due = tick.elapsed + Duration::from_millis(500) >= self.since + EVERY;
        due.then(|| {
            let line = self.line(tick);
            *self = Self { since: tick.elapsed, ..Self::default() };
            line
        })
    }

    fn line(&self, tick: &Tick) -> Progressed {
        let (sum, ledger) = (&self.sum, &tick.ledger);
        let mean = |rate: f64| rounded(rate / f64::from(self.ticks.max(1)));
        Progressed {
            kind: "progress",
            elapsed_s: rounded(tick.elapsed.as_secs_f64()),
            run_time_s: tick.run_time.as_secs_f64(),
            phase: tick.stage().to_owned(),
            planned_events_per_s: mean(sum.planned_per_s),
            offered_events_per_s: mean(sum.offered_per_s),
            accepted_events_per_s: mean(sum.accepted_per_s),
            ack_p50_ms: millis(sum.ack.p50),
            ack_p99_ms: millis(sum.ack.p99),
            ack_p999_ms: millis(sum.ack.p999),
            service_p99_ms: millis(sum.service_p99),
            lag_p99_ms: millis(sum.lag_p99),
            due_events: ledger.due,
            accepted_events: ledger.accepted,
            rejected_events: ledger.rejected_total(),
            retry_events: ledger.retry,
            resent_events: ledger.resent,
            unknown_events: ledger.unknown,
            failed_events: ledger.failed,
            overflow_events: ledger.overflow,
            in_flight_events: ledger.in_flight,
            answered_batches: tick.codes.clone(),
            online_players: tick.online,
            connections: tick.connections,
            reconnects: tick.reconnects,
            cpu_cores: rounded(tick.cpu_cores),
            resident_bytes: tick.resident,
            health: sum.health,
        }
    }
}

/// Something that stays to be said, as a line.
pub(super) fn note(text: &str) -> String {
    serde_json::json!({ "kind": "note", "text": text }).to_string()
}

/// What is serialised here has string keys and finite numbers: it can't fail.
pub(super) fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

fn millis(latency: Duration) -> f64 {
    latency.as_micros() as f64 / 1e3
}
