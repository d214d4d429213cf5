//! The measures of the whole.
//!
//! What follows from intervals and ledger is worked out from those of the whole, where the build can run loads at all;
//! counts add up; and of what only a shard itself could measure, the figure that claims the least is taken.

use std::collections::BTreeMap;

use crate::result::RunResult;

/// Counts, and rates that are each shard's part of the whole.
const SUMS: [&str; 6] =
    ["early_retries", "right_answers", "wrong_answers", "panicked_drivers", "goodput_per_s", "goodput_of_quota"];
/// Each shard searched by itself with the whole's rates: what held in all of them is the least of these.
const LEAST: [&str; 2] = ["highest_passing_rate_per_s", "lowest_failing_rate_per_s"];
/// Shards look at one gateway or at several: of all of them it holds if it holds of the worst.
const MOST: [&str; 1] = ["server_unsettled_at_end"];
/// What `run::measures` finds in intervals and ledger. A shard's figure is none of the whole's.
#[cfg(feature = "cli")]
const DERIVED: [&str; 6] =
    ["goodput_per_s", "goodput_of_quota", "retry_amplification", "p99_drift", "recovery_s", "reconnect_95_s"];

/// Measures by name, of the shards added so far, and what some of them could not measure.
#[derive(Default)]
pub(super) struct Measures {
    taken: BTreeMap<String, Measure>,
    reasons: BTreeMap<String, String>,
}

struct Measure {
    sum: f64,
    least: f64,
    most: f64,
    weighted: f64,
    weight: f64,
}

impl Default for Measure {
    fn default() -> Self {
        Self { sum: 0.0, least: f64::INFINITY, most: f64::NEG_INFINITY, weighted: 0.0, weight: 0.0 }
    }
}

impl Measures {
    /// Takes those of a shard out of its result.
    pub(super) fn add(&mut self, part: &mut RunResult) {
        self.reasons.append(&mut part.unmeasured);
        let due = part.ledger.due;
        for (name, value) in std::mem::take(&mut part.measures) {
            let measure = self.taken.entry(name).or_default();
            let weight = due.max(1) as f64;
            measure.sum += value;
            measure.least = measure.least.min(value);
            measure.most = measure.most.max(value);
            measure.weighted += value * weight;
            measure.weight += weight;
        }
    }

    /// Gives them to the whole, whose ledger and intervals are complete by now. Of measures that it knows nothing of, times
    /// (`…_s`, `…_ms`, `…_us`) are the longest, and everything else is the mean, weighted by the events due.
    /// What any shard measured is measured.
    pub(super) fn finish(mut self, whole: &mut RunResult) {
        #[cfg(feature = "cli")]
        let early_retries = self.taken.get("early_retries").map_or(0.0, |measure| measure.sum) as u64;
        let together = |(name, measure): (String, Measure)| {
            let value = measure.together(&name);
            (name, value)
        };
        let mut measures: BTreeMap<String, f64> = self.taken.into_iter().map(together).collect();
        let ledger = &whole.ledger;
        if let Some(amplification) = measures.get_mut("retry_amplification")
            && ledger.sent > 0
        {
            *amplification = (ledger.sent + ledger.resent) as f64 / ledger.sent as f64;
        }
        #[cfg(feature = "cli")]
        {
            let derived = crate::run::measures::of(whole, early_retries);
            measures.retain(|name, _| !DERIVED.contains(&name.as_str()));
            measures.extend(derived.figures);
            self.reasons.extend(derived.reasons);
        }
        self.reasons.retain(|name, _| !measures.contains_key(name));
        (whole.measures, whole.unmeasured) = (measures, self.reasons);
    }
}

impl Measure {
    fn together(&self, name: &str) -> f64 {
        let time = || ["_s", "_ms", "_us"].iter().any(|unit| name.ends_with(unit)) && !name.ends_with("_per_s");
        match name {
            name if SUMS.contains(&name) => self.sum,
            name if LEAST.contains(&name) => self.least,
            name if MOST.contains(&name) => self.most,
            _ if time() => self.most,
            _ => self.weighted / self.weight,
        }
    }
}
