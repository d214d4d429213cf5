//! Judging a run by its rules.

use super::observe::{Observed, observe};
use super::rule::{Limit, Rule};
use super::window::Window;
use super::words;
use crate::result::{RunResult, SloResult};

/// Judges a run, rule by rule.
///
/// A rule without a phase looks at the run without its warm-up. A ratio is one to the phase `baseline` of the same run;
/// if it has none, to the same class and phase of `baseline`. A run that still goes on can be judged too: rules of phases
/// that have not begun are then without an answer.
#[must_use]
pub fn judge(rules: &[Rule], result: &RunResult, baseline: Option<&RunResult>) -> Vec<SloResult> {
    rules
        .iter()
        .map(|rule| {
            let (passed, observed) = match judge_one(rule, result, baseline) {
                Ok((passed, observed)) => (Some(passed), observed),
                Err(why) => (None, why),
            };
            SloResult { rule: rule.to_string(), passed, observed }
        })
        .collect()
}

fn judge_one(rule: &Rule, result: &RunResult, baseline: Option<&RunResult>) -> Result<(bool, String), String> {
    let found = observe(rule, result, &window(rule, result)?)?;
    let figure = words::figure(found.value, found.unit);
    match rule.limit {
        Limit::Value(number, unit) => {
            let passed = rule.op.holds(found.value, number * unit.factor());
            Ok((passed, format!("{figure}{}", found.remark)))
        }
        Limit::Baseline(times) => {
            let before = baseline_of(rule, result, baseline).map_err(|why| format!("{figure}, but {why}"))?;
            let passed = rule.op.holds(found.value, times * before.value);
            let usual = words::figure(before.value, before.unit);
            let compared = match before.value {
                0.0 => format!("against a baseline of {usual}"),
                before => format!("{:.2}x the baseline's {usual}", found.value / before),
            };
            Ok((passed, format!("{figure}{}, {compared}", found.remark)))
        }
    }
}

fn window<'a>(rule: &Rule, result: &'a RunResult) -> Result<Window<'a>, String> {
    let Some(name) = &rule.phase else { return Ok(Window::judged(result)) };
    Window::phase(result, name).ok_or_else(|| {
        let names: Vec<_> = result.phases.iter().map(|phase| phase.name.as_str()).collect();
        let names = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        format!("no phase `{name}` in this run; {names}")
    })
}

fn baseline_of(rule: &Rule, result: &RunResult, baseline: Option<&RunResult>) -> Result<Observed, String> {
    let own = Window::phase(result, "baseline").filter(|_| !rule.metric.whole_run_only());
    match (own, baseline) {
        (Some(phase), _) => observe(rule, result, &phase).map_err(|why| format!("the baseline has none: {why}")),
        (None, Some(other)) => window(rule, other)
            .and_then(|window| observe(rule, other, &window))
            .map_err(|why| format!("the baseline has none: {why}")),
        (None, None) => {
            Err("there is nothing to compare with: give the run a phase `baseline`, or --baseline RESULT.json"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Latencies;
    use crate::result::{Class, Verification};
    use crate::slo::testing::{self, phase};

    const MS: Duration = Duration::from_millis(1);

    /// What comes of a rule, and what was found.
    fn judged(rule: &str, result: &RunResult, baseline: Option<&RunResult>) -> (Option<bool>, String) {
        let rule = Rule::parse(rule).unwrap_or_else(|error| panic!("{error}"));
        let one = judge(std::slice::from_ref(&rule), result, baseline).remove(0);
        assert_eq!(one.rule, rule.to_string());
        (one.passed, one.observed)
    }

    #[track_caller]
    fn assert_judged(result: &RunResult, rules: &[(&str, Option<bool>, &str)]) {
        for (rule, passed, observed) in rules {
            assert_eq!(judged(rule, result, None), (*passed, (*observed).to_owned()), "{rule}");
        }
    }

    /// 60 s: a warm-up of 10 s with slow answers, then 10 ms, and 20 ms in the phase `noise` from 40 to 50 s.
    fn minute() -> RunResult {
        let mut result = testing::result(60, 10);
        result.phases = vec![phase("baseline", 10, 40), phase("Noise", 40, 50), phase("after", 60, 70)];
        for interval in &mut result.intervals {
            let ack = match interval.at {
                0..10 => 500 * MS,
                40..50 => 20 * MS,
                _ => 10 * MS,
            };
            testing::play(interval, 1_000, ack);
        }
        result
    }

    #[test]
    fn latencies_are_judged_without_the_warm_up() {
        let mut result = minute();
        testing::total(&mut result);
        assert_judged(
            &result,
            &[
                ("ack.max < 25ms", Some(true), "20 ms"),
                ("ack.max < 20ms", Some(false), "20 ms"),
                ("ack.max <= 20ms", Some(true), "20 ms"),
                ("ack.max > 20ms", Some(false), "20 ms"),
                ("ack.max >= 0.02s", Some(true), "20 ms"),
                ("service.avg < 12.1ms", Some(true), "12 ms"),
                ("lag.max <= 1ms", Some(true), "1 ms"),
                // These have no figures by second.
                ("event_age.max < 25ms", Some(false), "500 ms, warm-up included"),
                ("connect.p99 < 25ms", None, "no connect.p99: nothing was recorded"),
            ],
        );
        result.config.warm_up = Duration::ZERO;
        assert_judged(
            &result,
            &[("ack.max < 25ms", Some(false), "500 ms"), ("event_age.max < 25ms", Some(false), "500 ms")],
        );
        result.config.warm_up = Duration::from_secs(100);
        assert_judged(&result, &[("ack.max < 25ms", Some(false), "500 ms")]);
    }

    #[test]
    fn a_phase_is_judged_by_its_own_seconds() {
        let mut result = minute();
        result.intervals[45].failed = 300;
        result.intervals[45].codes.insert("UNAVAILABLE".to_owned(), 30);
        result.intervals[46].planned = 1_250.0;
        testing::total(&mut result);
        assert_judged(
            &result,
            &[
                ("ack.p50 <= 11ms during baseline", Some(true), "10 ms"),
                ("ack.p50 <= 11ms during NOISE", Some(false), "20 ms"),
                ("error-rate < 1% during baseline", Some(true), "0%"),
                ("error-rate < 1% during noise", Some(false), "3%"),
                ("error-rate < 1%", Some(true), "0.6%"),
                ("code(UNAVAILABLE) <= 0 during noise", Some(false), "30"),
                ("code(UNAVAILABLE) <= 0 during baseline", Some(true), "0"),
                ("code(UNAVAILABLE) <= 3% during noise", Some(true), "3%"),
                ("goodput >= 1k during noise", Some(true), "1,000 events/s"),
                ("offered >= 99% during noise", Some(false), "97.6%"),
                ("rejected <= 0% during noise", Some(true), "0%"),
                ("event_age.p99 < 1s during noise", None, "event_age is recorded for the whole run, not by phase"),
                ("ack.p99 < 1s during after", None, "no ack.p99: nothing was recorded during after"),
                ("error-rate < 1% during after", None, "no event was due during after"),
                ("offered > 1% during after", None, "no event was planned during after"),
                ("goodput > 1 during after", None, "no goodput: nothing was recorded during after"),
                ("code(INTERNAL) <= 0 during after", None, "no code(INTERNAL): nothing was recorded during after"),
                ("code(OK) > 0 during noise", None, "code(OK) is recorded for the whole run, not by phase"),
                ("ack.p99 < 1s during ramp", None, "no phase `ramp` in this run; it has baseline, Noise, after"),
            ],
        );
    }

    #[test]
    fn ratios_hold_a_phase_against_the_baseline_phase() {
        let result = minute();
        assert_judged(
            &result,
            &[
                ("ack.max <= 2x baseline during noise", Some(true), "20 ms, 2.00x the baseline's 10 ms"),
                ("ack.max <= 1.9x baseline during noise", Some(false), "20 ms, 2.00x the baseline's 10 ms"),
                ("goodput >= 1x baseline", Some(true), "1,000 events/s, 1.00x the baseline's 1,000 events/s"),
                ("error-rate <= 1.1x baseline", Some(true), "0%, against a baseline of 0%"),
            ],
        );
        let (passed, observed) = judged("ack.max < 3x baseline", &testing::result(5, 0), None);
        assert_eq!((passed, observed.as_str()), (None, "no ack.max: nothing was recorded"));
    }

    #[test]
    fn ratios_hold_a_run_against_another_where_it_has_no_baseline_phase() {
        let mut before = minute();
        before.measures.insert("cost".to_owned(), 2.0);
        let mut after = minute();
        after.measures.insert("cost".to_owned(), 2.5);
        after.phases.remove(0);
        for interval in &mut after.intervals {
            testing::play(interval, 1_000, 30 * MS);
        }
        for (rule, passed, observed) in [
            ("ack.max <= 1.5x baseline", Some(true), "30 ms, 1.50x the baseline's 20 ms"),
            ("ack.max <= 1.2x baseline during noise", Some(false), "30 ms, 1.50x the baseline's 20 ms"),
            ("measure(cost) <= 1.2x baseline", Some(false), "2.5, 1.25x the baseline's 2"),
        ] {
            assert_eq!(judged(rule, &after, Some(&before)), (passed, observed.to_owned()), "{rule}");
        }
        let (passed, observed) = judged("ack.max <= 2x baseline", &after, None);
        assert!(passed.is_none() && observed.contains("--baseline RESULT.json"), "{observed}");
        before.phases.clear();
        let (passed, observed) = judged("ack.max <= 2x baseline during noise", &after, Some(&before));
        assert!(passed.is_none() && observed.contains("the baseline has none: no phase `noise`"), "{observed}");
    }

    /// Neighbours of a hot application: `good` answers stay at 10 ms, `hot` ones take 80 ms during the noise.
    #[test]
    fn classes_are_judged_apart() {
        let mut result = minute();
        for interval in &mut result.intervals {
            let hot = if (40..50).contains(&interval.at) { 80 } else { 10 };
            for (class, ms, events) in [("good", 10, 600), ("hot", hot, 400)] {
                let mut ack = Latencies::default();
                ack.record(ms * MS, events);
                interval.ack_of.insert(class.to_owned(), ack);
                interval.accepted_of.insert(class.to_owned(), events);
            }
        }
        for class in ["good", "hot"] {
            let mut whole = Class::default();
            whole.ledger.due = 1_000;
            whole.ledger.accepted = 900;
            whole.ledger.overflow = if class == "hot" { 100 } else { 0 };
            whole.codes.insert("OK".to_owned(), 75);
            whole.codes.insert("RESOURCE_EXHAUSTED".to_owned(), 25);
            whole.latencies.service.record(7 * MS, 1);
            result.classes.insert(class.to_owned(), whole);
        }
        let apart = "of the class good is recorded for the whole run, not by phase";
        assert_judged(
            &result,
            &[
                (
                    "ack.max <= 1.1x baseline for app=others during noise",
                    Some(true),
                    "10 ms, 1.00x the baseline's 10 ms",
                ),
                ("ack.max <= 1.1x baseline for app=hot during noise", Some(false), "80 ms, 8.00x the baseline's 10 ms"),
                ("ack.max < 20ms for hot", Some(false), "80 ms"),
                ("goodput >= 600 for good during noise", Some(true), "600 events/s"),
                ("goodput >= 500 for hot", Some(false), "400 events/s"),
                ("error-rate <= 0% for good", Some(true), "0%, warm-up included"),
                ("error-rate <= 0% for hot", Some(false), "10%, warm-up included"),
                ("code(RESOURCE_EXHAUSTED) <= 20% for good", Some(false), "25%, warm-up included"),
                ("service.max < 8ms for good", Some(true), "7 ms, warm-up included"),
                ("service.max < 8ms for good during noise", None, &format!("service {apart}")),
                ("error-rate < 1% for good during noise", None, &format!("error-rate {apart}")),
                ("code(INTERNAL) < 1% for good during noise", None, &format!("code(INTERNAL) {apart}")),
                ("offered > 99% for good", None, "offered is planned for all classes together, not for good"),
                ("p99 < 1s for bad", None, "no class `bad` in this run; it has good, hot"),
            ],
        );
    }

    #[test]
    fn without_classes_all_servers_are_good() {
        let result = minute();
        assert_judged(
            &result,
            &[
                ("ack.max < 25ms for good", Some(true), "20 ms"),
                ("ack.max < 25ms for hot", None, "no class `hot` in this run; it has good"),
            ],
        );
    }

    #[test]
    fn shares_of_the_whole_run_come_from_its_ledger() {
        let mut result = minute();
        result.config.warm_up = Duration::ZERO;
        testing::total(&mut result);
        result.ledger.unknown = 6_000;
        result.ledger.rejected.insert("bad_json".into(), 600);
        result.codes.insert("OK".to_owned(), 5_900);
        result.codes.insert("UNAVAILABLE".to_owned(), 100);
        assert_judged(
            &result,
            &[
                ("error-rate < 10%", Some(false), "10%"),
                ("rejected <= 1%", Some(true), "1%"),
                ("code(UNAVAILABLE) < 2%", Some(true), "1.67%"),
                ("code(UNAVAILABLE) < 100", Some(false), "100"),
                ("code(OK) >= 98%", Some(true), "98.3%"),
                ("goodput >= 1.1k", Some(false), "1,000 events/s"),
                ("offered >= 99%", Some(true), "100%"),
            ],
        );
    }

    /// Answers that come while the run only waits for the rest make no rate look better or worse.
    #[test]
    fn answers_after_the_end_count_for_errors_but_for_no_rate() {
        let mut result = minute();
        result.elapsed = Duration::from_secs(50);
        for interval in &mut result.intervals[50..] {
            testing::play(interval, 0, MS);
        }
        result.intervals[55].failed = 4_000;
        assert_judged(
            &result,
            &[("goodput >= 1k", Some(true), "1,000 events/s"), ("error-rate < 5%", Some(false), "10%")],
        );
    }

    #[test]
    fn the_destination_and_measures_are_judged_where_they_are_known() {
        let mut result = minute();
        let unasked = "the destination was not looked at: run with --verify";
        assert_judged(
            &result,
            &[
                ("lost <= 0", None, unasked),
                ("dup <= 0", None, unasked),
                ("recovery-time < 30s", None, "this run did not measure recovery_s; it measures none"),
            ],
        );
        result.verification = Some(Verification { stored: 990, missing: 10, doubled: 33, ..Verification::default() });
        let mut unread = result.clone();
        let found = unread.verification.as_mut().expect("there");
        (found.inconclusive, found.destination) = (true, "lake:here".to_owned());
        let why = "10 are not found, and lake:here was not read to its end";
        assert_judged(&unread, &[("lost <= 0", None, why), ("lost <= 5%", None, why), ("dup < 34", Some(true), "33")]);
        result.measures.insert("recovery_s".to_owned(), 12.5);
        result.measures.insert("retry_amplification".to_owned(), 1.15);
        result.unmeasured.insert("p99_drift".to_owned(), "it takes two days of the profile".to_owned());
        assert_judged(
            &result,
            &[
                ("lost <= 0", Some(false), "10"),
                ("lost <= 1%", Some(true), "1%"),
                ("dup < 33", Some(false), "33"),
                ("dup <= 5%", Some(true), "3.33%"),
                ("recovery-time < 30s", Some(true), "12.5 s"),
                ("recovery-time < 12500ms", Some(false), "12.5 s"),
                ("measure(retry_amplification) <= 1.2", Some(true), "1.15"),
                (
                    "measure(p99_drift) <= 1.2",
                    None,
                    "this run did not measure p99_drift: it takes two days of the profile",
                ),
                (
                    "measure(nothing) <= 1",
                    None,
                    "this run did not measure nothing; it has recovery_s, retry_amplification",
                ),
            ],
        );
    }
}
