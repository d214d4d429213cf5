//! The search for the highest rate at which every rule holds: doubled until one fails, then bisected.
//!
//! Each step is a run of its own, with the same players at another pace. A step in which the load tester was the limit
//! says nothing about the gateway: its rate could not be tried, and the search goes on below it.

use serde::{Deserialize, Serialize};

use super::session::{Finished, Job, RunError, run};
use crate::config::{Driver, RunConfig, Search};
use crate::progress::Tick;
use crate::record::Latencies;
use crate::result::{RunResult, Verdict};

/// The search goes down to this share of its first rate where not even that holds.
const LOWEST_OF_FIRST: f64 = 0.01;

/// One step of a search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Events a second.
    pub rate: f64,
    /// What came of it.
    pub verdict: Verdict,
}

/// Searches within a job's settings; `judge` is given a step's result and whether it was interrupted and sets its
/// verdict, `each` is told of every second, and `step` of every step.
///
/// The result is that of the highest rate that held (or of the lowest that did not, if none did), with
/// `highest_passing_rate_per_s` and `lowest_failing_rate_per_s` among its measures. It is not judged yet, so that it can
/// be verified first. Whoever interrupts a step ends the search, and gets what was found by then.
///
/// # Errors
/// As [`run`].
pub async fn search(
    job: impl Fn(RunConfig) -> Job,
    config: &RunConfig,
    search: &Search,
    judge: impl Fn(&mut RunResult, bool),
    mut each: impl FnMut(&Tick, &Latencies),
    mut step: impl FnMut(Step),
) -> Result<Finished, RunError> {
    let (mut passing, mut failing, mut limited) = (None, None, None);
    let mut known = Known::default();
    let mut next = Some(search.from);
    let mut steps = 0;
    while let Some(rate) = next {
        let mut job = job(of_step(config, rate, steps));
        if steps > 0 {
            job.start_at = None;
        }
        steps += 1;
        let mut finished = run(job, &mut each).await?;
        // What a judgement finds is found again when the best step is judged for good.
        let findings = finished.result.findings.clone();
        judge(&mut finished.result, finished.interrupted);
        finished.result.findings = findings;
        if finished.interrupted {
            let best = passing.or(failing).or(limited).unwrap_or(finished);
            return Ok(told(Finished { interrupted: true, ..best }, &known));
        }
        let verdict = finished.result.verdict;
        step(Step { rate, verdict });
        known.learn(rate, verdict);
        match verdict {
            Verdict::Pass => passing = Some(finished),
            Verdict::Invalid => limited = Some(finished),
            Verdict::SloFailed | Verdict::DataLoss | Verdict::Interrupted => failing = Some(finished),
        }
        next = known.next(search);
    }
    match passing.or(failing).or(limited) {
        Some(best) => Ok(told(best, &known)),
        None => Err(RunError::Goose("a search without a step".to_owned())),
    }
}

/// A step's settings. Goose's state is that of the process, so one process can't run it several times. Event ids follow
/// from the run's id, which is each step's own: an id that came back would count as a duplicate.
fn of_step(config: &RunConfig, rate: f64, step: u64) -> RunConfig {
    RunConfig {
        events_per_second: Some(rate),
        driver: Driver::Native,
        run_id: config.run_id.wrapping_add(step),
        ..config.clone()
    }
    .resolved()
}

/// What is known of rates, in events a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Known {
    /// The highest at which every rule held.
    passing: Option<f64>,
    /// The lowest at which one did not.
    failing: Option<f64>,
    /// The lowest at which the load tester was the limit.
    limited: Option<f64>,
}

impl Known {
    fn learn(&mut self, rate: f64, verdict: Verdict) {
        let lower = |known: Option<f64>| Some(known.map_or(rate, |known| known.min(rate)));
        match verdict {
            Verdict::Pass => self.passing = Some(self.passing.map_or(rate, |known| known.max(rate))),
            Verdict::Invalid => self.limited = lower(self.limited),
            Verdict::SloFailed | Verdict::DataLoss | Verdict::Interrupted => self.failing = lower(self.failing),
        }
    }

    /// The lowest rate at which it is known that a step does not pass.
    fn high(&self) -> Option<f64> {
        [self.failing, self.limited].into_iter().flatten().reduce(f64::min)
    }

    /// The rate to try next; none if the search is over.
    fn next(&self, search: &Search) -> Option<f64> {
        match (self.passing, self.high()) {
            (None, None) => Some(search.from),
            (Some(low), None) => (low < search.to).then(|| (low * 2.0).min(search.to)),
            (Some(low), Some(high)) => (high > low * (1.0 + search.within)).then(|| (low * high).sqrt()),
            (None, Some(high)) => (high > search.from * LOWEST_OF_FIRST).then_some(high / 2.0),
        }
    }

    /// What was found, in words.
    fn tell(&self) -> Vec<String> {
        let failing = self.failing.map(|rate| format!("not at {rate:.0}"));
        let mut told = vec![match (self.passing, failing) {
            (Some(low), Some(failing)) => format!("every rule holds up to {low:.0} events/s, and {failing}"),
            (Some(low), None) => format!("every rule holds at {low:.0} events/s, the highest rate that could be tried"),
            (None, Some(_)) => "no rate was found at which every rule holds".to_owned(),
            (None, None) => "no rate could be tried".to_owned(),
        }];
        told.extend(self.limited.map(|rate| {
            format!(
                "{rate:.0} events/s could not be tried, since the load tester itself was the limit: run it on a larger \
                 machine to look beyond"
            )
        }));
        told
    }
}

fn told(mut finished: Finished, known: &Known) -> Finished {
    let measures = &mut finished.result.measures;
    measures.extend(known.passing.map(|rate| ("highest_passing_rate_per_s".to_owned(), rate)));
    measures.extend(known.failing.map(|rate| ("lowest_failing_rate_per_s".to_owned(), rate)));
    finished.result.findings.extend(known.tell());
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search { from: 100.0, to: 10_000.0, within: 0.05 };

    /// Searches a gateway that holds every rule below one rate, with a load tester that is the limit from another on.
    fn found(holds_below: f64, limited_from: f64) -> (Known, usize) {
        let (mut known, mut steps) = (Known::default(), 0);
        while let Some(rate) = known.next(&SEARCH) {
            steps += 1;
            assert!(steps < 50, "the search ends");
            known.learn(
                rate,
                match rate {
                    rate if rate >= limited_from => Verdict::Invalid,
                    rate if rate >= holds_below => Verdict::SloFailed,
                    _ => Verdict::Pass,
                },
            );
        }
        (known, steps)
    }

    #[test]
    fn the_highest_rate_is_found_within_the_share() {
        let (known, steps) = found(3_333.0, f64::MAX);
        let (low, high) = (known.passing.expect("a rate"), known.failing.expect("a rate"));
        assert!(low < 3_333.0 && high >= 3_333.0 && high <= low * 1.05, "{known:?}");
        assert!(steps <= 12, "{steps}");
        assert_eq!(known.tell().len(), 1);
        assert_eq!(found(f64::MAX, f64::MAX).0.passing, Some(10_000.0));
        let low = found(10.0, f64::MAX).0.passing;
        assert!(low.is_some_and(|low| (9.5..10.0).contains(&low)), "it goes down too: {low:?}");
    }

    // A rate at which the load tester was the limit says nothing about the gateway.
    #[test]
    fn a_rate_that_could_not_be_tried_is_not_one_at_which_a_rule_fails() {
        let (known, _) = found(f64::MAX, 1_000.0);
        assert_eq!(known.failing, None);
        let told = known.tell().join(" ");
        assert!(told.contains("could not be tried") && !told.contains("and not at"), "{told}");
        let (known, _) = found(f64::MAX, 0.0);
        assert!(known.tell().join(" ").starts_with("no rate could be tried"), "{known:?}");
    }

    // Otherwise every step after the first would send the ids of the one before again.
    #[test]
    fn every_step_has_a_run_id_of_its_own() {
        let config = RunConfig { run_id: 5, ..RunConfig::default() };
        let steps = [0, 1, 2].map(|step| of_step(&config, 100.0, step));
        assert_eq!(steps.each_ref().map(|step| step.run_id), [5, 6, 7]);
        assert!(steps.iter().all(|step| step.driver == Driver::Native && step.hash() == steps[0].hash()));
    }
}
