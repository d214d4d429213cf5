//! The search for the highest rate at which every rule holds: doubled until one fails, then bisected.
//!
//! Each step is a run of its own, with the same players at another pace. A single step that fails may be somebody else's
//! doing, and a single one that passes luck: a rate fails, or could not be tried, once two steps say so, and the highest
//! rate that holds is tried again before it is told. A step in which the load tester was the limit says nothing about the
//! gateway: its rate could not be tried, and the search goes on below it.

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
    let mut known = Known::default();
    let (mut best, mut steps) = (None, 0);
    while let Some(rate) = known.next(search) {
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
            return Ok(told(Finished { interrupted: true, ..best.unwrap_or(finished) }, &known));
        }
        let verdict = finished.result.verdict;
        step(Step { rate, verdict });
        known.learn(rate, verdict);
        // The last step of a search tries the rate that is told once more, so that the last one that held is its.
        if verdict == Verdict::Pass || known.passing().is_none() {
            best = Some(finished);
        }
    }
    match best {
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

/// How often a rate, in events a second, was tried, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tried {
    rate: f64,
    passed: u32,
    failed: u32,
    /// The load tester was the limit.
    limited: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Holds,
    Fails,
    CouldNotBeTried,
    /// It has to be tried again.
    Nothing,
}

impl Tried {
    fn says(&self) -> Says {
        let not_passed = self.failed + self.limited;
        match () {
            () if self.passed > not_passed => Says::Holds,
            () if not_passed < 2 => Says::Nothing,
            () if self.failed >= 2 => Says::Fails,
            () => Says::CouldNotBeTried,
        }
    }
}

/// What is known of all rates that were tried.
#[derive(Clone, Debug, Default)]
struct Known(Vec<Tried>);

impl Known {
    fn learn(&mut self, rate: f64, verdict: Verdict) {
        let place = self.0.iter().position(|tried| tried.rate == rate).unwrap_or_else(|| {
            self.0.push(Tried { rate, passed: 0, failed: 0, limited: 0 });
            self.0.len() - 1
        });
        let tried = &mut self.0[place];
        match verdict {
            Verdict::Pass => tried.passed += 1,
            Verdict::Invalid => tried.limited += 1,
            Verdict::SloFailed | Verdict::DataLoss | Verdict::Interrupted => tried.failed += 1,
        }
    }

    fn that(&self, says: Says) -> impl Iterator<Item = &Tried> {
        self.0.iter().filter(move |tried| tried.says() == says)
    }

    /// The highest rate at which every rule held.
    fn passing(&self) -> Option<&Tried> {
        self.that(Says::Holds).max_by(|one, other| one.rate.total_cmp(&other.rate))
    }

    /// The lowest at which one did not.
    fn failing(&self) -> Option<f64> {
        self.that(Says::Fails).map(|tried| tried.rate).reduce(f64::min)
    }

    /// The lowest at which the load tester was the limit.
    fn limited(&self) -> Option<f64> {
        self.that(Says::CouldNotBeTried).map(|tried| tried.rate).reduce(f64::min)
    }

    /// The rate to try next; none if the search is over.
    fn next(&self, search: &Search) -> Option<f64> {
        if let Some(again) = self.that(Says::Nothing).next() {
            return Some(again.rate);
        }
        let high = [self.failing(), self.limited()].into_iter().flatten().reduce(f64::min);
        let next = match (self.passing().map(|tried| tried.rate), high) {
            (None, None) => Some(search.from),
            (Some(low), None) => (low < search.to).then(|| (low * 2.0).min(search.to)),
            (Some(low), Some(high)) => (high > low * (1.0 + search.within)).then(|| (low * high).sqrt()),
            (None, Some(high)) => (high > search.from * LOWEST_OF_FIRST).then_some(high / 2.0),
        };
        next.or_else(|| self.passing().filter(|tried| tried.passed < 2).map(|tried| tried.rate))
    }

    /// What was found, in words.
    fn tell(&self) -> Vec<String> {
        let failing = self.failing().map(|rate| format!("not at {rate:.0}"));
        let held = self.passing().map(|Tried { rate, passed, failed, limited }| {
            (rate, format!("in {passed} of {} steps", passed + failed + limited))
        });
        let mut told = vec![match (held, failing) {
            (Some((low, steps)), Some(failing)) => {
                format!("every rule holds up to {low:.0} events/s ({steps}), and {failing}")
            }
            (Some((low, steps)), None) => {
                format!("every rule holds at {low:.0} events/s ({steps}), the highest rate that could be tried")
            }
            (None, Some(_)) => "no rate was found at which every rule holds".to_owned(),
            (None, None) => "no rate could be tried".to_owned(),
        }];
        told.extend(self.limited().map(|rate| {
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
    measures.extend(known.passing().map(|held| ("highest_passing_rate_per_s".to_owned(), held.rate)));
    measures.extend(known.failing().map(|rate| ("lowest_failing_rate_per_s".to_owned(), rate)));
    finished.result.findings.extend(known.tell());
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search { from: 100.0, to: 10_000.0, within: 0.05 };

    /// Searches a gateway that gives these verdicts: by the rate, and the number of the step.
    fn searched(verdict: impl Fn(f64, usize) -> Verdict) -> (Known, usize) {
        let (mut known, mut steps) = (Known::default(), 0);
        while let Some(rate) = known.next(&SEARCH) {
            steps += 1;
            assert!(steps < 80, "the search ends");
            known.learn(rate, verdict(rate, steps));
        }
        (known, steps)
    }

    /// Searches a gateway that holds every rule below one rate, with a load tester that is the limit from another on.
    fn found(holds_below: f64, limited_from: f64) -> (Known, usize) {
        searched(|rate, _| match rate {
            rate if rate >= limited_from => Verdict::Invalid,
            rate if rate >= holds_below => Verdict::SloFailed,
            _ => Verdict::Pass,
        })
    }

    fn passing(known: &Known) -> f64 {
        known.passing().expect("a rate").rate
    }

    #[test]
    fn the_highest_rate_is_found_within_the_share() {
        let (known, steps) = found(3_333.0, f64::MAX);
        let (low, high) = (passing(&known), known.failing().expect("a rate"));
        assert!(low < 3_333.0 && high >= 3_333.0 && high <= low * 1.05, "{known:?}");
        assert!(steps <= 18, "{steps}");
        assert!(known.tell().join(" ").contains("in 2 of 2 steps"), "{known:?}");
        assert_eq!(passing(&found(f64::MAX, f64::MAX).0), 10_000.0);
        let low = passing(&found(10.0, f64::MAX).0);
        assert!((9.5..10.0).contains(&low), "it goes down too: {low}");
    }

    // Somebody else's work on the machine, or a lucky step, must not decide what a gateway holds.
    #[test]
    fn a_single_step_against_the_others_does_not_count() {
        for odd in 1..=12 {
            for away in [Verdict::Invalid, Verdict::SloFailed, Verdict::Pass] {
                let (known, _) = searched(|rate, step| match () {
                    () if step == odd => away,
                    () if rate >= 3_333.0 => Verdict::SloFailed,
                    () => Verdict::Pass,
                });
                let low = passing(&known);
                assert!((3_100.0..3_333.0).contains(&low), "step {odd} is {away:?}: {low}");
            }
        }
    }

    // A rate at which the load tester was the limit says nothing about the gateway.
    #[test]
    fn a_rate_that_could_not_be_tried_is_not_one_at_which_a_rule_fails() {
        let (known, _) = found(f64::MAX, 1_000.0);
        assert_eq!(known.failing(), None);
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
