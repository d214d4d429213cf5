//! The part of a run that a rule looks at.

use crate::record::Latencies;
use crate::result::{Interval, RunResult};

/// Intervals of a result.
pub(crate) struct Window<'a> {
    pub(crate) intervals: Vec<&'a Interval>,
    /// The name of the phase it is, if it is one.
    pub(crate) phase: Option<String>,
    /// Whether it is the whole run, so that the run's own totals are its totals.
    pub(crate) whole: bool,
    /// How long events were due in the run, in seconds: later intervals wait for answers only.
    due_for: f64,
}

impl<'a> Window<'a> {
    /// What rules without a phase look at: the run without its warm-up; if it ended within, all of it.
    pub(crate) fn judged(result: &'a RunResult) -> Self {
        let warm_up = result.config.warm_up.as_secs_f64();
        let after = |interval: &&Interval| f64::from(interval.at) >= warm_up;
        let mut intervals: Vec<_> = result.intervals.iter().filter(after).collect();
        let whole = intervals.is_empty() || intervals.len() == result.intervals.len();
        if whole {
            intervals = result.intervals.iter().collect();
        }
        Self { intervals, phase: None, whole, due_for: result.elapsed.as_secs_f64() }
    }

    /// A phase; none if the run has none of that name, in any case.
    pub(crate) fn phase(result: &'a RunResult, name: &str) -> Option<Self> {
        let phase = result.phases.iter().find(|phase| phase.name.eq_ignore_ascii_case(name))?;
        let inside = |interval: &&Interval| (phase.from_s..phase.to_s).contains(&interval.at);
        Some(Self {
            intervals: result.intervals.iter().filter(inside).collect(),
            phase: Some(phase.name.clone()),
            whole: false,
            due_for: result.elapsed.as_secs_f64(),
        })
    }

    /// The intervals in which events were due.
    pub(crate) fn while_due(&self) -> impl Iterator<Item = &'a Interval> + '_ {
        self.intervals.iter().copied().filter(|interval| f64::from(interval.at) < self.due_for)
    }

    /// A count, summed up.
    pub(crate) fn sum(&self, count: impl Fn(&Interval) -> u64) -> u64 {
        self.intervals.iter().map(|interval| count(interval)).sum()
    }

    /// A series, taken together.
    pub(crate) fn latencies(&self, series: impl Fn(&'a Interval) -> Option<&'a Latencies>) -> Latencies {
        let mut all = Latencies::default();
        for latencies in self.intervals.iter().filter_map(|interval| series(interval)) {
            all.add(latencies);
        }
        all
    }
}
