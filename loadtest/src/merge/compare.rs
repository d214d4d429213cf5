//! Whether one run is better than another: the change of each figure, with an interval that tells it from noise.

use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use super::blocks::Blocks;
use super::bootstrap::{Figure, changes, interval};
use super::difference::{Difference, differences, list};
use crate::result::{RunResult, Verdict};

/// How two runs are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompareOptions {
    /// A change up to this share does not matter. Above 0, default 0.05.
    pub tolerance: f64,
    /// Compare runs with different settings, or invalid ones, all the same.
    pub force: bool,
    /// How long the blocks are that are drawn, at least; they are lengthened while neighbours resemble one another.
    /// Default 10 s.
    pub block: Duration,
    /// How often both runs are drawn anew. At least 100, default 2,000.
    pub resamples: u32,
    /// What the draws follow from: the same seed gives the same intervals.
    pub seed: u64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { tolerance: 0.05, force: false, block: Duration::from_secs(10), resamples: 2_000, seed: 1 }
    }
}

/// Why two runs can't be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// They ran with different settings.
    #[error("the runs have different settings: {}; compare like with like, or use --force", list(.0))]
    Settings(Vec<Difference>),
    /// An option is out of its range.
    #[error("{0}")]
    Option(&'static str),
}

/// Two runs held against one another.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The run before, the baseline.
    pub a: Side,
    /// The run that is judged.
    pub b: Side,
    /// The change that does not matter, as a share.
    pub tolerance: f64,
    /// Whether it was asked for all the same, whatever speaks against it.
    pub forced: bool,
    /// Settings that differ, if that was allowed.
    pub differences: Vec<Difference>,
    /// Each figure.
    pub metrics: Vec<Metric>,
    /// `worse` if the 99th percentile of `ack`, the throughput or the CPU time is; otherwise `unclear` if one of them is,
    /// then `better` if one of them is, then `same`. None if there are too few blocks.
    pub verdict: Option<Change>,
    /// What a reader ought to know; one sentence each.
    pub findings: Vec<String>,
}

/// One of the two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Its scenario.
    pub scenario: String,
    /// Its configuration's hash.
    pub config_hash: String,
    /// Where it ran.
    pub host: String,
    /// When it began, in seconds of Unix time.
    pub started_at: f64,
    /// Its own verdict.
    pub verdict: Verdict,
    /// Seconds that are compared.
    pub seconds: f64,
    /// Blocks that they make.
    pub blocks: usize,
}

/// A figure in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Such as `ack.p99` or `throughput`.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// In the baseline.
    pub a: f64,
    /// In the other run.
    pub b: f64,
    /// B over A, less 1; none where A is 0.
    pub change: Option<f64>,
    /// The 95 % interval of the change; none where there are too few blocks, or no intervals to draw from.
    pub interval: Option<[f64; 2]>,
    /// The judgement; none without an interval.
    pub verdict: Option<Change>,
}

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds.
    Us,
    /// Events a second; the only one of which more is better.
    EventsPerSecond,
    /// Microseconds of the load tester's CPU time for each event.
    CpuUsPerEvent,
}

/// How a figure changed from A to B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// For the better by more than the tolerance: the whole interval is beyond it.
    Better,
    /// By no more than the tolerance: the whole interval is within.
    Same,
    /// For the worse by more than the tolerance: the whole interval is beyond it.
    Worse,
    /// The interval holds more than one of these: measure longer, or on a quieter machine.
    Unclear,
}

/// Fewer blocks than this say nothing about how much a run varies.
const LEAST_BLOCKS: usize = 3;
/// Blocks are not lengthened beyond where this many remain.
const BLOCKS_KEPT: usize = 12;
const PERCENTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
const ACK: [&str; 4] = ["ack.p50", "ack.p90", "ack.p99", "ack.p99.9"];
const SERVICE: [&str; 4] = ["service.p50", "service.p90", "service.p99", "service.p99.9"];
const EVENT_AGE: [&str; 4] = ["event_age.p50", "event_age.p90", "event_age.p99", "event_age.p99.9"];
/// The figures that decide.
const DECISIVE: [&str; 3] = ["ack.p99", "throughput", "cpu_per_event"];

/// Holds run `b` against the baseline `a`, without warm-up and drain.
///
/// # Errors
/// The settings differ and `force` is not set, or an option is out of its range.
pub fn compare(a: &RunResult, b: &RunResult, options: &CompareOptions) -> Result<Comparison, CompareError> {
    if !(options.tolerance.is_finite() && options.tolerance > 0.0) {
        return Err(CompareError::Option("a tolerance is a share above 0, such as 0.05"));
    }
    if options.resamples < 100 {
        return Err(CompareError::Option("fewer than 100 resamples give no 95 % interval: give 2,000"));
    }
    let differing = differences(&a.config, &b.config);
    if a.config_hash != b.config_hash && !options.force {
        return Err(CompareError::Settings(differing));
    }
    let (blocks_a, blocks_b, told) = blocks(a, b, options.block);
    let counts = (blocks_a.len(), blocks_b.len());
    let enough = counts.0.min(counts.1) >= LEAST_BLOCKS;
    let mut findings = findings(a, b, counts);
    findings.extend(told);

    let figures = figures();
    let functions: Vec<&Figure> = figures.iter().map(|(_, _, figure)| &**figure).collect();
    let resamples = if enough { options.resamples } else { 0 };
    let drawn = changes(&blocks_a, &blocks_b, &functions, resamples, options.seed);
    let (once_a, once_b) = (vec![1; counts.0], vec![1; counts.1]);
    let mut metrics = Vec::new();
    for ((name, unit, figure), changes) in figures.iter().zip(drawn) {
        let (a, b) = (figure(&blocks_a, &once_a), figure(&blocks_b, &once_b));
        metrics.push(Metric::new(name, *unit, a, b, interval(changes, counts), options.tolerance));
    }
    let ages = EVENT_AGE.iter().zip(PERCENTILES).map(|(name, share)| {
        let of = |run: &RunResult| run.latencies.event_age.quantile(share).as_micros() as f64;
        Metric::new(name, Unit::Us, of(a), of(b), None, options.tolerance)
    });
    // After `ack` and `service`, before throughput and CPU.
    metrics.splice(8..8, ages);
    if metrics.iter().any(|metric| metric.name == "cpu_per_event" && metric.a.min(metric.b) == 0.0) {
        findings.push("a run has no CPU time second by second: it can't be compared".to_owned());
    }
    let verdict = overall(&metrics);
    Ok(Comparison {
        a: side(a, &blocks_a),
        b: side(b, &blocks_b),
        tolerance: options.tolerance,
        forced: options.force,
        differences: differing,
        metrics,
        verdict,
        findings,
    })
}

/// Blocks so long that they do not resemble their neighbours, as long as enough of them remain; and what there is to
/// tell about it.
fn blocks(a: &RunResult, b: &RunResult, shortest: Duration) -> (Blocks, Blocks, Option<String>) {
    let mut length = shortest.max(Duration::from_secs(1));
    loop {
        let (of_a, of_b) = (Blocks::new(a, length), Blocks::new(b, length));
        let fewer = of_a.len().min(of_b.len());
        let resemble = fewer >= LEAST_BLOCKS && (of_a.resemble_neighbours() || of_b.resemble_neighbours());
        if resemble && fewer / 2 >= BLOCKS_KEPT {
            length *= 2;
            continue;
        }
        let seconds = length.as_secs();
        let told = match (resemble, length > shortest) {
            (true, _) => Some(format!(
                "neighbouring blocks of {seconds} s still resemble one another: the intervals are too narrow, run longer"
            )),
            (false, true) => Some(format!("blocks are {seconds} s long: shorter ones resemble their neighbours")),
            (false, false) => None,
        };
        return (of_a, of_b, told);
    }
}

fn figures() -> Vec<(&'static str, Unit, Box<Figure>)> {
    let mut figures: Vec<(&str, Unit, Box<Figure>)> = Vec::new();
    for (name, share) in ACK.into_iter().zip(PERCENTILES) {
        // Less than a microsecond can't be told from one; and 0 would have no ratio.
        figures.push((name, Unit::Us, Box::new(move |run, weights| run.ack.quantile(share, weights).max(1.0))));
    }
    for (name, share) in SERVICE.into_iter().zip(PERCENTILES) {
        figures.push((name, Unit::Us, Box::new(move |run, weights| run.service.quantile(share, weights).max(1.0))));
    }
    let throughput = |run: &Blocks, weights: &[u32]| {
        let sums = run.weighted(weights);
        sums.accepted / sums.seconds.max(1.0)
    };
    figures.push(("throughput", Unit::EventsPerSecond, Box::new(throughput)));
    let cpu = |run: &Blocks, weights: &[u32]| {
        let sums = run.weighted(weights);
        sums.cpu_s * 1e6 / sums.due.max(1.0)
    };
    figures.push(("cpu_per_event", Unit::CpuUsPerEvent, Box::new(cpu)));
    figures
}

impl Metric {
    fn new(name: &'static str, unit: Unit, a: f64, b: f64, interval: Option<[f64; 2]>, tolerance: f64) -> Self {
        let change = (a > 0.0).then(|| b / a - 1.0);
        let verdict = interval.map(|[low, high]| {
            let (down, up) = match unit {
                Unit::EventsPerSecond => (Change::Worse, Change::Better),
                Unit::Us | Unit::CpuUsPerEvent => (Change::Better, Change::Worse),
            };
            match () {
                () if high < -tolerance => down,
                () if low > tolerance => up,
                () if low >= -tolerance && high <= tolerance => Change::Same,
                () => Change::Unclear,
            }
        });
        Self { name, unit, a, b, change, interval, verdict }
    }
}

fn overall(metrics: &[Metric]) -> Option<Change> {
    let decisive = metrics.iter().filter(|metric| DECISIVE.contains(&metric.name));
    let verdicts: Vec<Change> = decisive.filter_map(|metric| metric.verdict).collect();
    let order = [Change::Worse, Change::Unclear, Change::Better, Change::Same];
    order.into_iter().find(|change| verdicts.contains(change))
}

fn side(run: &RunResult, blocks: &Blocks) -> Side {
    Side {
        scenario: run.config.scenario.clone(),
        config_hash: run.config_hash.clone(),
        host: run.environment.host.clone(),
        started_at: run.started_at,
        verdict: run.verdict,
        seconds: blocks.sums.iter().map(|sums| sums.seconds).sum(),
        blocks: blocks.len(),
    }
}

fn findings(a: &RunResult, b: &RunResult, blocks: (usize, usize)) -> Vec<String> {
    let mut found = Vec::new();
    if blocks.0.min(blocks.1) < LEAST_BLOCKS {
        let (a, b) = blocks;
        found.push(format!("{a} and {b} blocks are too few for a verdict: run longer, at least {LEAST_BLOCKS} blocks"));
    }
    for (name, run) in [("A", a), ("B", b)] {
        match run.verdict {
            Verdict::Invalid => found.push(format!("{name} is invalid: its figures say nothing about the gateway")),
            Verdict::Interrupted => found.push(format!("{name} was interrupted")),
            Verdict::DataLoss => found.push(format!("{name} lost or doubled acknowledged events")),
            Verdict::Pass | Verdict::SloFailed => {}
        }
    }
    if a.environment != b.environment {
        found.push("the runs ran on different machines".to_owned());
    }
    if a.version != b.version {
        found.push(format!("A ran version {} of the load tester, B {}", a.version, b.version));
    }
    found
}

impl Comparison {
    /// The process's exit status: 3 if B lost events; otherwise 4 if one of the runs is invalid, unless it was forced;
    /// otherwise 3 if B is worse or broke a rule.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let invalid = self.a.verdict == Verdict::Invalid || self.b.verdict == Verdict::Invalid;
        match self.b.verdict {
            Verdict::DataLoss => 3,
            _ if invalid && !self.forced => 4,
            Verdict::SloFailed => 3,
            _ if self.verdict == Some(Change::Worse) => 3,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
