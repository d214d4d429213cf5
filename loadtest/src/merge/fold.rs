//! Shards added one after another, and the whole made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::align::{Grid, thin};
use super::difference::differences;
use super::gateways::Gateways;
use super::measures::Measures;
use super::totals::{UsageTotal, closed_loop, environment, verification};
use super::{MergeError, MergeOptions, Merged};
use crate::config::ShardOf;
use crate::result::{Environment, RunResult, SCHEMA, Shard, Verdict, Verification};

/// Findings of single shards that the whole repeats.
const SHARD_FINDINGS: usize = 20;

pub(super) struct Fold {
    earliest: f64,
    options: MergeOptions,
    /// The sums so far, in the shape of a result.
    whole: Option<RunResult>,
    of: u32,
    grid: Grid,
    gateways: Gateways,
    usage: UsageTotal,
    measures: Measures,
    machines: Vec<Environment>,
    verified: Vec<Verification>,
    versions: BTreeSet<String>,
    /// What shards found that are invalid, interrupted or lost something.
    told: Vec<String>,
}

impl Fold {
    /// For shards of which the earliest started then, in seconds of Unix time.
    pub(super) fn new(earliest: f64, options: MergeOptions) -> Self {
        Self {
            earliest,
            options,
            whole: None,
            of: 0,
            grid: Grid::default(),
            gateways: Gateways::default(),
            usage: UsageTotal::default(),
            measures: Measures::default(),
            machines: Vec::new(),
            verified: Vec::new(),
            versions: BTreeSet::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, mut part: RunResult) -> Result<(), MergeError> {
        self.check(&part)?;
        let ShardOf { index, of } = part.config.shard;
        let shard = Shard {
            index,
            of,
            host: part.environment.host.clone(),
            started_at: part.started_at,
            due: part.ledger.due,
            verdict: part.verdict,
        };
        if severity(part.verdict) >= severity(Verdict::Invalid) {
            self.told.push(format!("shard {index} on {} is {} by itself", shard.host, name(part.verdict)));
            let findings = std::mem::take(&mut part.findings);
            self.told.extend(findings.into_iter().map(|finding| format!("shard {index}: {finding}")));
        }
        // It lists itself, and is listed anew.
        part.shards.clear();
        let offset = (part.started_at - self.earliest).max(0.0);
        self.grid.add(std::mem::take(&mut part.intervals), offset);
        self.gateways.add(std::mem::take(&mut part.gateways), offset);
        self.usage.add(&part.usage, part.ledger.sent);
        self.measures.add(&mut part);
        self.machines.push(std::mem::take(&mut part.environment));
        self.verified.extend(part.verification.take());
        self.versions.insert(std::mem::take(&mut part.version));
        let until = Duration::from_secs_f64(offset) + part.elapsed;
        let loops = part.closed_loop.take();
        let whole = match &mut self.whole {
            Some(whole) => {
                sum(whole, part);
                whole
            }
            empty => {
                self.of = of;
                // What the first shard made of itself is no part of the sum.
                empty.insert(RunResult { verdict: Verdict::Pass, findings: Vec::new(), slos: Vec::new(), ..part })
            }
        };
        whole.elapsed = whole.elapsed.max(until);
        closed_loop(&mut whole.closed_loop, loops);
        whole.shards.push(shard);
        Ok(())
    }

    pub(super) fn finish(self, judge: impl Fn(&mut RunResult)) -> Result<Merged, MergeError> {
        let mut whole = self.whole.ok_or(MergeError::Nothing)?;
        whole.shards.sort_by_key(|shard| shard.index);
        let present: BTreeSet<u32> = whole.shards.iter().map(|shard| shard.index).collect();
        let missing: Vec<u32> = (1..=self.of).filter(|index| !present.contains(index)).collect();
        let of = f64::from(self.of);
        let players = f64::from(whole.config.players) * present.len() as f64 / of;

        whole.schema = SCHEMA;
        whole.version = self.versions.iter().cloned().collect::<Vec<_>>().join(", ");
        whole.config.shard = ShardOf { index: 1, of: 1 };
        whole.started_at = self.earliest;
        whole.environment = environment(&self.machines);
        whole.usage = self.usage.finish(whole.ledger.due, players);
        whole.verification = verification(&self.verified);
        whole.intervals = self.grid.finish();
        whole.gateways = self.gateways.finish();
        self.measures.finish(&mut whole);
        thin(&mut whole.intervals, self.options.most_intervals);

        let mut found = Vec::new();
        if !missing.is_empty() {
            let named = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            found.push(format!("of {} shards these are missing, and their load with them: {named}", self.of));
        }
        let latest = whole.shards.iter().map(|shard| shard.started_at).fold(self.earliest, f64::max);
        if latest - self.earliest > self.options.start_tolerance.as_secs_f64() {
            let apart = latest - self.earliest;
            found.push(format!("the shards started {apart:.1} s apart: give all of them the same --start-at"));
        }
        if self.versions.len() > 1 {
            found.push(format!("the shards ran different versions of the load tester: {}", whole.version));
        }
        if !self.verified.is_empty() && self.verified.len() < present.len() {
            found.push(format!("only {} of {} shards verified their events", self.verified.len(), present.len()));
        }
        if whole.closed_loop.is_some() && present.len() > 1 {
            found.push("the closed loop's percentiles are the worst shard's: they can't be merged exactly".to_owned());
        }
        let untold = self.told.len().saturating_sub(SHARD_FINDINGS);
        found.extend(self.told.into_iter().take(SHARD_FINDINGS));
        if untold > 0 {
            found.push(format!("{untold} more findings are in the shards' own results"));
        }

        let own = whole.shards.iter().map(|shard| shard.verdict);
        let counts = |verdict: &Verdict| *verdict != Verdict::Invalid || !self.options.allow_invalid;
        let worst = own.filter(counts).max_by_key(|verdict| severity(*verdict));
        judge(&mut whole);
        whole.findings.extend(found);
        if !missing.is_empty() && !self.options.allow_invalid {
            raise(&mut whole.verdict, Verdict::Invalid);
        }
        // A shard's failed rules are no judgement of the whole; that it could not measure, or lost something, is.
        if let Some(worst) = worst.filter(|worst| severity(*worst) >= severity(Verdict::Invalid)) {
            raise(&mut whole.verdict, worst);
        }
        Ok(Merged { result: whole, missing })
    }

    fn check(&self, part: &RunResult) -> Result<(), MergeError> {
        let ShardOf { index, of } = part.config.shard;
        if is_merged(part) {
            return Err(MergeError::AlreadyMerged(part.shards.len()));
        }
        if !(1..=of).contains(&index) {
            return Err(MergeError::NoSuchShard { index, of });
        }
        let Some(whole) = &self.whole else { return Ok(()) };
        if part.config_hash != whole.config_hash {
            return Err(MergeError::Foreign { index, differences: differences(&whole.config, &part.config) });
        }
        let (found, expected) = (part.config.run_id, whole.config.run_id);
        if found != expected {
            return Err(MergeError::OtherRun { index, found, expected });
        }
        if of != self.of {
            return Err(MergeError::Split { index, found: of, expected: self.of });
        }
        if whole.shards.iter().any(|shard| shard.index == index) {
            return Err(MergeError::Duplicate(index));
        }
        Ok(())
    }
}

/// A run's own result lists the one shard that it is; a merged result says that it is the whole, and lists its parts.
fn is_merged(result: &RunResult) -> bool {
    let of = result.config.shard.of;
    result.shards.len() > 1 || result.shards.iter().any(|shard| shard.of != of)
}

/// Adds the parts of a shard that are plain sums, and keeps what is the same in all of them.
fn sum(whole: &mut RunResult, part: RunResult) {
    whole.ledger.add(&part.ledger);
    whole.latencies.add(&part.latencies);
    for (name, class) in part.classes {
        let there = whole.classes.entry(name).or_default();
        there.ledger.add(&class.ledger);
        there.latencies.add(&class.latencies);
        count(&mut there.codes, class.codes);
    }
    count(&mut whole.codes, part.codes);
    count(&mut whole.problems, part.problems);
    // A shard that was interrupted knows of fewer phases.
    if part.phases.len() > whole.phases.len() {
        whole.phases = part.phases;
    }
}

fn count(counts: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    for (what, times) in more {
        *counts.entry(what).or_default() += times;
    }
}

fn raise(verdict: &mut Verdict, to: Verdict) {
    if severity(to) > severity(*verdict) {
        *verdict = to;
    }
}

/// Which verdict stands where there are several: lost data is a fact whatever else happened, and a run that measured
/// nothing has broken no rule.
fn severity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::SloFailed => 1,
        Verdict::Invalid => 2,
        Verdict::Interrupted => 3,
        Verdict::DataLoss => 4,
    }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passed",
        Verdict::SloFailed => "over a limit",
        Verdict::Invalid => "invalid",
        Verdict::Interrupted => "interrupted",
        Verdict::DataLoss => "short of acknowledged events",
    }
}
