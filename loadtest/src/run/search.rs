//! The search for the highest rate at which every rule holds: doubled until one fails, then bisected.
//!
//! Each step is a run of its own, with the same players at another pace. A step in which the load tester was the limit
//! says nothing about the gateway, so it ends the search upwards.

use serde::{Deserialize, Serialize};

use super::session::{Finished, Job, RunError, run};
use crate::config::{Driver, RunConfig, Search};
use crate::progress::Tick;
use crate::record::Latencies;
use crate::result::{RunResult, Verdict};
use crate::slo::Rule;

/// One step of a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Events a second.
    pub rate: f64,
    /// What came of it.
    pub verdict: Verdict,
}

/// Searches within a job's settings; `each` is told of every second, and `step` of every step. The result is that of the
/// highest rate that held (or of the first that did not, if none did), with `highest_passing_rate_per_s` and
/// `lowest_failing_rate_per_s` among its measures.
///
/// # Errors
/// As [`run`].
pub async fn search(
    job: impl Fn(RunConfig) -> Job,
    config: &RunConfig,
    search: &Search,
    rules: &[Rule],
    mut each: impl FnMut(&Tick, &Latencies),
    mut step: impl FnMut(Step),
) -> Result<Finished, RunError> {
    let mut passing: Option<(f64, Finished)> = None;
    let mut failing: Option<(f64, Finished)> = None;
    let mut limited = None;
    let mut rate = search.from;
    loop {
        // Goose's state is that of the process, so one process can't run it several times.
        let config = RunConfig { events_per_second: Some(rate), driver: Driver::Native, ..config.clone() }.resolved();
        let mut finished = run(job(config), &mut each).await?;
        super::judge(&mut finished.result, rules, None, false, finished.interrupted);
        let verdict = finished.result.verdict;
        step(Step { rate, verdict });
        match verdict {
            Verdict::Pass => passing = Some((rate, finished)),
            Verdict::Interrupted => return Ok(finished),
            Verdict::Invalid => {
                limited = Some(rate);
                failing = Some((rate, finished));
            }
            Verdict::SloFailed | Verdict::DataLoss => failing = Some((rate, finished)),
        }
        let low = passing.as_ref().map(|(rate, _)| *rate);
        let high = failing.as_ref().map(|(rate, _)| *rate);
        rate = match (low, high) {
            (Some(low), Some(high)) if high <= low * (1.0 + search.within) => break,
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) if low >= search.to => break,
            (Some(low), None) => (low * 2.0).min(search.to),
            // Not even the first rate holds: the search goes down to a hundredth of it.
            (None, Some(high)) if high <= search.from / 100.0 => break,
            (None, Some(high)) => high / 2.0,
            (None, None) => break,
        };
    }
    let (low, high) = (passing.as_ref().map(|(rate, _)| *rate), failing.as_ref().map(|(rate, _)| *rate));
    let (_, mut best) = match passing.or(failing) {
        Some(best) => best,
        None => return Err(RunError::Goose("a search without a step".to_owned())),
    };
    tell(&mut best.result, low, high, limited);
    Ok(best)
}

fn tell(result: &mut RunResult, low: Option<f64>, high: Option<f64>, limited: Option<f64>) {
    if let Some(low) = low {
        result.measures.insert("highest_passing_rate_per_s".to_owned(), low);
    }
    if let Some(high) = high {
        result.measures.insert("lowest_failing_rate_per_s".to_owned(), high);
    }
    result.findings.push(match (low, high) {
        (Some(low), Some(high)) => format!("every rule holds up to {low:.0} events/s, and not at {high:.0}"),
        (Some(low), None) => format!("every rule holds at {low:.0} events/s, the highest rate of the search"),
        (None, _) => "no rate was found at which every rule holds".to_owned(),
    });
    if let Some(limited) = limited {
        result.findings.push(format!(
            "at {limited:.0} events/s the load tester itself was the limit: use more shards to look beyond"
        ));
    }
}
