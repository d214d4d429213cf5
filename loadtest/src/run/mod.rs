//! A run from its settings to its result: drives the fleet, watches it, and brings together what came of it.

mod drift;
pub(crate) mod measures;
mod search;
mod server_metrics;
mod session;
mod watch;

pub use search::{Step, search};
pub use session::{Finished, Job, RunError, run, workers};

use crate::result::{RunResult, Verdict};
use crate::slo::{self, Rule};

/// Judges a result: its rules, then the run as a whole. A verification has to be in it by now, if there is to be one.
pub fn judge(
    result: &mut RunResult,
    rules: &[Rule],
    baseline: Option<&RunResult>,
    allow_invalid: bool,
    interrupted: bool,
) {
    result.slos = slo::judge(rules, result, baseline);
    let (verdict, mut findings) = crate::health::verdict(result, allow_invalid, interrupted);
    // Whoever's driver panicked fell silent and left its batches without an end: that is the load tester's own fault,
    // and says nothing about the gateway.
    let panicked = result.measures.get(session::PANICKED).is_some_and(|drivers| *drivers > 0.0);
    result.verdict = if panicked && verdict != Verdict::DataLoss { Verdict::Invalid } else { verdict };
    findings.append(&mut result.findings);
    result.findings = findings;
}
