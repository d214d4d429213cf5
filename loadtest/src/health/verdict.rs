//! What a run was.
//!
//! Loss comes first: an acknowledged event that is not at the destination is lost, however busy the load tester was. Then
//! comes whether the run says anything at all: a saturated load tester never reports that the gateway failed a rule. Then
//! come the rules, and last whether somebody ended the run early.

use super::findings::{late, lost, missing_shards, remarks, rules, saturated, shards_with, short, unverified};
use crate::result::{RunResult, Verdict};
use crate::slo::window::Window;

/// Judges a run whose rules are judged: the verdict, and in whole sentences why, what to do about it, and what else a
/// reader ought to know.
///
/// - [`Verdict::DataLoss`]: acknowledged events are missing; more records are doubled than events were sent again
///   (at-least-once delivery allows doubles of those) or twice on purpose; rejected events are stored; the ledger does
///   not balance, or a run that nobody interrupted left events in flight.
/// - [`Verdict::Invalid`], unless `allow_invalid`: more than 1 % of the judged seconds saturated, or one in the worst
///   10 s; fewer events due than 99 % of the plan, noise allowed for; shards missing. The judged seconds are those that
///   rules without a phase look at. Also, whether or not that is allowed, if no rule is broken: the destination could
///   not be read to its end, so that nobody knows whether what is missing there is lost.
/// - [`Verdict::SloFailed`]: a rule does not hold. One that could not be judged fails nothing.
/// - [`Verdict::Interrupted`], [`Verdict::Pass`].
///
/// A shard's own loss and invalidity are those of the merged run.
#[must_use]
pub fn verdict(result: &RunResult, allow_invalid: bool, interrupted: bool) -> (Verdict, Vec<String>) {
    let window = Window::judged(result);
    let lost = [lost(result, interrupted), shards_with(result, Verdict::DataLoss, "lost events")].concat();
    let mut invalid = [
        saturated(&window),
        short(&window, &result.config),
        missing_shards(result),
        shards_with(result, Verdict::Invalid, "says nothing about the gateway"),
    ]
    .concat();
    let unverified = unverified(result);
    let (broken, unjudged) = rules(&result.slos);
    let interrupted = interrupted || result.shards.iter().any(|shard| shard.verdict == Verdict::Interrupted);

    let verdict = if !lost.is_empty() {
        Verdict::DataLoss
    } else if !allow_invalid && (!invalid.is_empty() || !unverified.is_empty()) {
        Verdict::Invalid
    } else if !broken.is_empty() {
        Verdict::SloFailed
    } else if !unverified.is_empty() {
        Verdict::Invalid
    } else if interrupted {
        Verdict::Interrupted
    } else {
        Verdict::Pass
    };
    if !invalid.is_empty() && allow_invalid {
        invalid.push("The rules were judged all the same, because of --allow-invalid.".to_owned());
    }
    let cut = interrupted.then(|| {
        let (elapsed, planned) = (result.elapsed.as_secs_f64(), result.config.run_time.as_secs_f64());
        format!("The run was ended early, after {elapsed:.0} of {planned:.0} s.")
    });
    let findings =
        [lost, unverified, invalid, broken, cut.into_iter().collect(), unjudged, late(&window), remarks(result)]
            .concat();
    (verdict, findings)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::ShardOf;
    use crate::result::{Health, HealthState, Shard, SloResult, Verification};
    use crate::slo::testing;

    /// A minute without a fault.
    fn good() -> RunResult {
        let mut result = testing::result(60, 0);
        for interval in &mut result.intervals {
            testing::play(interval, 1_000, Duration::from_millis(10));
        }
        testing::total(&mut result);
        result
    }

    fn verified(verification: Verification) -> RunResult {
        let destination = "lake:here".to_owned();
        RunResult { verification: Some(Verification { destination, stored: 60_000, ..verification }), ..good() }
    }

    fn slo(passed: Option<bool>) -> SloResult {
        SloResult { rule: "ack.p99 < 5ms".to_owned(), passed, observed: "10 ms".to_owned() }
    }

    fn saturate(result: &mut RunResult, second: usize) {
        result.intervals[second].health =
            Health { state: HealthState::Saturated, lag_p99_us: 412_000, busy: 0.97, ..Health::default() };
    }

    fn judged(result: &RunResult) -> (Verdict, String) {
        let (verdict, findings) = verdict(result, false, false);
        for finding in &findings {
            assert!(
                finding.ends_with('.') && finding.starts_with(char::is_uppercase)
                    || finding.starts_with(char::is_numeric),
                "{finding}"
            );
        }
        (verdict, findings.join(" "))
    }

    #[test]
    fn a_good_run_passes_without_a_word() {
        assert_eq!(judged(&good()), (Verdict::Pass, String::new()));
        let kept = RunResult { slos: vec![slo(Some(true))], ..good() };
        assert_eq!(judged(&kept), (Verdict::Pass, String::new()));
    }

    #[test]
    fn a_broken_rule_fails_the_run_and_an_unjudged_one_is_told() {
        let result = RunResult { slos: vec![slo(Some(false)), slo(Some(true)), slo(None)], ..good() };
        let (verdict, findings) = judged(&result);
        assert_eq!(verdict, Verdict::SloFailed);
        assert!(findings.starts_with("The rule ack.p99 < 5ms (10 ms) does not hold."), "{findings}");
        assert!(findings.contains("could not be judged"), "{findings}");
        let unjudged = RunResult { slos: vec![slo(None)], ..good() };
        assert_eq!(judged(&unjudged).0, Verdict::Pass);
    }

    /// A saturated load tester never reports that the gateway failed a rule.
    #[test]
    fn invalid_beats_a_broken_rule() {
        let mut result = RunResult { slos: vec![slo(Some(false))], ..good() };
        for second in 3..10 {
            saturate(&mut result, second);
        }
        let (found, findings) = judged(&result);
        assert_eq!(found, Verdict::Invalid);
        assert!(findings.contains("the limit for 7 of 60 s"), "{findings}");
        assert!(findings.contains("lag p99 412 ms, a worker busy for 97% of the time"), "{findings}");
        assert!(findings.contains("lower --players, raise --linger, or use more shards"), "{findings}");

        let (found, findings) = verdict(&result, true, false);
        assert_eq!(found, Verdict::SloFailed, "--allow-invalid judges the rules");
        assert!(findings[0].contains("the limit for 7 of 60 s") && findings[1].contains("--allow-invalid"));
    }

    #[test]
    fn one_saturated_second_matters_where_answers_were_slowest() {
        let minutes = |slow: usize, saturated: usize| {
            let mut result = testing::result(300, 0);
            for interval in &mut result.intervals {
                testing::play(interval, 1_000, Duration::from_millis(10));
            }
            testing::play(&mut result.intervals[slow], 1_000, Duration::from_secs(3));
            testing::total(&mut result);
            saturate(&mut result, saturated);
            judged(&result)
        };
        assert_eq!(minutes(200, 20).0, Verdict::Pass, "1 of 300 s, far from the slow one");
        assert_eq!(minutes(200, 200).0, Verdict::Invalid);
        assert!(minutes(200, 200).1.contains("among the 10 s with the slowest answers"));
    }

    #[test]
    fn the_warm_up_saturates_nothing() {
        let mut result = good();
        result.config.warm_up = Duration::from_secs(10);
        for second in 0..10 {
            saturate(&mut result, second);
        }
        assert_eq!(judged(&result).0, Verdict::Pass);
        saturate(&mut result, 10);
        assert_eq!(judged(&result).0, Verdict::Invalid);
    }

    #[test]
    fn less_than_planned_is_invalid_beyond_noise() {
        let offered = |due: u64, planned: f64| {
            let mut result = testing::result(60, 0);
            for interval in &mut result.intervals {
                testing::play(interval, due, Duration::from_millis(10));
                interval.planned = planned;
            }
            testing::total(&mut result);
            judged(&result)
        };
        assert_eq!(offered(1_000, 1_000.0).0, Verdict::Pass);
        assert_eq!(offered(979, 1_000.0).0, Verdict::Pass, "60,000 planned: 1 % and 3 x 245");
        assert_eq!(offered(970, 1_000.0).0, Verdict::Invalid);
        assert!(offered(970, 1_000.0).1.contains("97.0% of the 60,000 planned"));
        assert_eq!(offered(97_000, 100_000.0).0, Verdict::Invalid);
        assert_eq!(offered(9, 10.0).0, Verdict::Pass, "600 planned: chance explains 60 less");
    }

    #[test]
    fn loss_beats_everything() {
        let mut result =
            verified(Verification { missing: 3, examples: vec!["a-1".to_owned()], ..Verification::default() });
        result.slos = vec![slo(Some(false))];
        (0..60).for_each(|second| saturate(&mut result, second));
        let (found, findings) = verdict(&result, false, true);
        assert_eq!(found, Verdict::DataLoss);
        assert!(findings[0].starts_with("3 of 60,003 acknowledged events are not at lake:here, such as a-1"));
        assert!(findings.iter().any(|finding| finding.contains("was the limit")), "nothing else is left out");
        assert!(findings.iter().any(|finding| finding.contains("ended early")));
    }

    #[test]
    fn doubles_are_allowed_where_something_was_sent_again() {
        let doubled = || verified(Verification { doubled: 50, ..Verification::default() });
        assert_eq!(judged(&doubled()).0, Verdict::DataLoss);
        let mut resent = doubled();
        resent.ledger.resent = 500;
        let (found, findings) = judged(&resent);
        assert_eq!(found, Verdict::Pass);
        assert!(findings.contains("delivery at least once allows that"), "{findings}");
        resent.ledger.resent = 49;
        let (found, findings) = judged(&resent);
        assert_eq!(found, Verdict::DataLoss, "one event sent again explains one double");
        assert!(findings.contains("50 records") && findings.contains("only 49 events were sent again"), "{findings}");
        assert!(!findings.contains("allows that"), "{findings}");
        let mut on_purpose = doubled();
        on_purpose.config.duplicate_share = 0.001;
        assert_eq!(judged(&on_purpose).0, Verdict::Pass, "60 are expected");
        on_purpose.config.duplicate_share = 0.0001;
        assert_eq!(judged(&on_purpose).0, Verdict::DataLoss, "6 are expected");
        let rejected = verified(Verification { rejected_stored: 1, ..Verification::default() });
        assert_eq!(judged(&rejected).0, Verdict::DataLoss);
        let others = verified(Verification { undecided_stored: 9, foreign: 9, ..Verification::default() });
        assert_eq!(judged(&others), (Verdict::Pass, String::new()));
    }

    /// Neither lost nor found: no loss is claimed, and none is excluded.
    #[test]
    fn a_destination_that_was_not_read_to_its_end_neither_loses_nor_passes() {
        let mut result = verified(Verification { missing: 3, inconclusive: true, ..Verification::default() });
        let (found, findings) = judged(&result);
        assert_eq!(found, Verdict::Invalid);
        assert!(findings.contains("3 of 60,003 acknowledged events were not found at lake:here"), "{findings}");
        assert!(findings.contains("--operate") && !findings.contains("they are lost"), "{findings}");
        assert_eq!(verdict(&result, true, false).0, Verdict::Invalid, "the load tester's limits are not what is wrong");
        result.slos = vec![slo(Some(false))];
        assert_eq!(verdict(&result, true, false).0, Verdict::SloFailed);
        result.verification.as_mut().expect("there").rejected_stored = 1;
        assert_eq!(judged(&result).0, Verdict::DataLoss, "what is there is there");
    }

    #[test]
    fn few_players_online_by_chance_are_no_lack_of_load() {
        let offered = |players: u32, due: u64| {
            let mut result = testing::result(60, 0);
            (result.config.players, result.config.online) = (players, 0.1);
            for interval in &mut result.intervals {
                testing::play(interval, due, Duration::from_millis(10));
                interval.planned = 1_000.0;
            }
            testing::total(&mut result);
            judged(&result).0
        };
        assert_eq!(offered(1_000, 900), Verdict::Pass, "100 players, and 9.5 more or less");
        assert_eq!(offered(1_000, 600), Verdict::Invalid);
        assert_eq!(offered(1_000_000, 900), Verdict::Invalid);
    }

    #[test]
    fn a_ledger_that_does_not_balance_is_loss() {
        let mut result = good();
        result.ledger.accepted -= 1;
        let (found, findings) = judged(&result);
        assert_eq!(found, Verdict::DataLoss);
        assert!(findings.contains("60,000 events were due, and 59,999 are accounted for"), "{findings}");
        result.ledger.in_flight = 1;
        assert_eq!(judged(&result).0, Verdict::DataLoss, "it balances, but one event has no end");
        assert_eq!(verdict(&result, false, true).0, Verdict::Interrupted, "unless nobody waited for it");
    }

    #[test]
    fn a_run_ended_early_is_interrupted_if_nothing_is_worse() {
        let mut result = good();
        result.config.run_time = Duration::from_secs(120);
        let (found, findings) = verdict(&result, false, true);
        assert_eq!(
            (found, findings.as_slice()),
            (Verdict::Interrupted, &["The run was ended early, after 60 of 120 s.".to_owned()][..])
        );
        result.slos = vec![slo(Some(false))];
        assert_eq!(verdict(&result, false, true).0, Verdict::SloFailed);
        saturate(&mut result, 5);
        assert_eq!(verdict(&result, false, true).0, Verdict::Invalid);
    }

    #[test]
    fn shards_that_are_missing_or_bad_spoil_the_whole() {
        let shard = |index, verdict| Shard { index, of: 3, host: "here".to_owned(), started_at: 0.0, due: 1, verdict };
        let merged = |shards: Vec<Shard>| judged(&RunResult { shards, ..good() });
        let (one, two) = (shard(1, Verdict::Pass), shard(2, Verdict::SloFailed));
        assert_eq!(merged(vec![one.clone(), two.clone(), shard(3, Verdict::Pass)]), (Verdict::Pass, String::new()));
        let (found, findings) = merged(vec![one.clone(), shard(3, Verdict::Pass)]);
        assert_eq!(found, Verdict::Invalid);
        assert!(findings.contains("Shard 2 of 3 has no result"), "{findings}");
        assert_eq!(merged(vec![one.clone(), two.clone(), shard(3, Verdict::Invalid)]).0, Verdict::Invalid);
        assert_eq!(merged(vec![one.clone(), two.clone(), shard(3, Verdict::DataLoss)]).0, Verdict::DataLoss);
        assert_eq!(merged(vec![one.clone(), two, shard(3, Verdict::Interrupted)]).0, Verdict::Interrupted);

        // As a shard lists itself in its own result.
        let mut alone = RunResult { shards: vec![one], ..good() };
        alone.config.shard = ShardOf { index: 1, of: 3 };
        assert_eq!(judged(&alone), (Verdict::Pass, String::new()), "the other shards are no concern of one");
    }

    #[test]
    fn late_seconds_and_overflow_are_told_but_fail_nothing() {
        let mut result = good();
        result.intervals[4].health = Health { state: HealthState::Late, lag_p99_us: 7_000, ..Health::default() };
        result.ledger.overflow = 1_500;
        result.ledger.accepted -= 1_500;
        let (found, findings) = judged(&result);
        assert_eq!(found, Verdict::Pass);
        assert!(findings.contains("In 1 of 60 s batches left late") && findings.contains("lag p99 7 ms"), "{findings}");
        assert!(findings.contains("1,500 events were never sent, because 512 batches"), "{findings}");
    }
}
