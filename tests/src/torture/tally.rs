//! What many runs come to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::run::{Events, Report};

/// Sums over runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Runs in which nothing was broken.
    pub passed: u64,
    /// Events, summed.
    pub events: Events,
    /// Faults by name.
    pub faults: BTreeMap<&'static str, Fault>,
    /// Breaches by kind.
    pub breaches: BTreeMap<&'static str, u64>,
    /// The longest time until a fresh event went through, milliseconds.
    pub worst_healed_ms: u64,
    /// The longest drain, milliseconds.
    pub worst_stop_ms: u64,
}

/// One kind of fault.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Fault {
    /// How often it was planned.
    pub planned: u64,
    /// How often of those it hit something.
    pub happened: u64,
    /// What it hit, summed.
    pub hits: u64,
    /// The longest time until a run with it was well again, milliseconds.
    pub worst_healed_ms: u64,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.passed += u64::from(report.passed());
        let (sum, events) = (&mut self.events, &report.events);
        sum.sent += events.sent;
        sum.acknowledged += events.acknowledged;
        sum.rejected += events.rejected;
        sum.refused += events.refused;
        sum.stored += events.stored;
        sum.duplicates += events.duplicates;
        sum.broken_off += events.broken_off;
        sum.cancelled += events.cancelled;
        let healed = report.healed_ms.unwrap_or_default();
        for struck in &report.struck {
            let fault = self.faults.entry(struck.fault).or_default();
            fault.planned += 1;
            fault.happened += u64::from(struck.hits > 0);
            fault.hits += struck.hits;
            fault.worst_healed_ms = fault.worst_healed_ms.max(healed);
        }
        for breach in &report.breaches {
            *self.breaches.entry(breach.kind).or_default() += 1;
        }
        self.worst_healed_ms = self.worst_healed_ms.max(healed);
        self.worst_stop_ms = self.worst_stop_ms.max(report.stops_ms.iter().copied().max().unwrap_or_default());
    }

    /// Faults that were planned often and never hit anything: runs with them prove nothing about them.
    #[must_use]
    pub fn never_happened(&self) -> Vec<&'static str> {
        const OFTEN: u64 = 10;
        let never = self.faults.iter().filter(|(_, fault)| fault.planned >= OFTEN && fault.happened == 0);
        never.map(|(name, _)| *name).collect()
    }

    /// Runs that did not pass.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.runs - self.passed
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Events { sent, acknowledged, rejected, refused, stored, duplicates, broken_off, cancelled } = self.events;
        writeln!(f, "fault                      planned  happened      hits  worst until well")?;
        for (name, fault) in &self.faults {
            let Fault { planned, happened, hits, worst_healed_ms } = fault;
            writeln!(f, "{name:<25} {planned:>8} {happened:>9} {hits:>9} {worst_healed_ms:>14} ms")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "events: {sent} sent, {acknowledged} acknowledged, {rejected} rejected, {refused} refused at least once"
        )?;
        writeln!(f, "        {stored} stored, {duplicates} rows double, each by an answer that was lost")?;
        writeln!(f, "calls:  {broken_off} broken off, {cancelled} given up by their clients")?;
        writeln!(f, "worst:  well again after {} ms, drained in {} ms", self.worst_healed_ms, self.worst_stop_ms)?;
        if !self.breaches.is_empty() {
            writeln!(f, "broken: {:?}", self.breaches)?;
        }
        write!(f, "seeds:  {} of {} passed", self.passed, self.runs)
    }
}
