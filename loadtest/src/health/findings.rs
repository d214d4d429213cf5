//! What is worth telling of a run, in whole sentences with figures and what to do about it.
//!
//! Each function looks for one thing and finds nothing in a run that is as it should be.

use super::self_limit::{BUSY_SATURATED, THROTTLED_SATURATED, falls_short, placement};
use crate::config::RunConfig;
use crate::record::Latencies;
use crate::result::{HealthState, Interval, RunResult, SloResult, Verdict};
use crate::slo::window::Window;
use crate::slo::words::{count, time};

/// Past this share of its seconds saturated, a run is invalid.
pub const SATURATED_SECONDS: f64 = 0.01;
/// So many seconds in a row, those with the highest ack p99, may have no saturated one among them.
pub const WORST_SECONDS: u32 = 10;

pub(super) fn lost(result: &RunResult, interrupted: bool) -> Vec<String> {
    let mut findings = Vec::new();
    if let Some(found) = &result.verification {
        let at = &found.destination;
        if found.missing > 0 && !found.inconclusive {
            let examples = match found.examples.as_slice() {
                [] => String::new(),
                ids => format!(", such as {}", ids[..ids.len().min(3)].join(", ")),
            };
            let (missing, all) = (count(found.missing), count(found.stored + found.missing));
            findings.push(format!("{missing} of {all} acknowledged events are not at {at}{examples}: they are lost."));
        }
        // Each event may be sent a second time on purpose; how many were follows from chance.
        let on_purpose = result.config.duplicate_share * result.ledger.due as f64;
        let on_purpose = on_purpose + 3.0 * on_purpose.max(0.0).sqrt();
        let resent = result.ledger.resent;
        if found.doubled as f64 > on_purpose + resent as f64 {
            let (doubled, on_purpose) = (count(found.doubled), count(on_purpose.round() as u64));
            let again =
                if resent == 0 { "no event was".to_owned() } else { format!("only {} events were", count(resent)) };
            findings.push(format!(
                "{doubled} records at {at} are second ones of an event, though {again} sent again and at most \
                 {on_purpose} were doubled on purpose: the gateway or the destination doubled them."
            ));
        }
        if found.rejected_stored > 0 {
            let stored = count(found.rejected_stored);
            findings.push(format!("{stored} events that the gateway rejected are at {at} all the same."));
        }
    }
    let ledger = &result.ledger;
    if !ledger.balances() {
        let ends = ledger.accepted + ledger.rejected_total() + ledger.unknown + ledger.failed + ledger.overflow;
        findings.push(format!(
            "{} events were due, and {} are accounted for: the load tester lost count, and its figures can't be trusted.",
            count(ledger.due),
            count(ends + ledger.in_flight)
        ));
    } else if ledger.in_flight > 0 && !interrupted {
        let open = count(ledger.in_flight);
        findings
            .push(format!("{open} events came to no end, though the run waited for answers: their fate is unknown."));
    }
    findings
}

/// Whether the destination could not be read to its end, so that nobody knows whether anything is lost.
pub(super) fn unverified(result: &RunResult) -> Vec<String> {
    let open = result.verification.iter().filter(|found| found.inconclusive && found.missing > 0);
    open.map(|found| {
        format!(
            "{} of {} acknowledged events were not found at {}, which could not be read to its end: they may still be on \
             their way. Run again with --operate HOST:PORT of the gateway, or a longer --verify-timeout.",
            count(found.missing),
            count(found.stored + found.missing),
            found.destination
        )
    })
    .collect()
}

fn seconds<'a>(intervals: impl IntoIterator<Item = &'a Interval>) -> u32 {
    intervals.into_iter().map(|interval| interval.width).sum()
}

/// Whether too many seconds, or ones that matter, say nothing about the gateway.
pub(super) fn saturated(window: &Window<'_>) -> Vec<String> {
    let saturated: Vec<_> =
        window.while_due().filter(|interval| interval.health.state == HealthState::Saturated).collect();
    let all = seconds(window.while_due());
    let bad = seconds(saturated.iter().copied());
    let within_worst = worst(&window.while_due().collect::<Vec<_>>())
        .iter()
        .any(|interval| interval.health.state == HealthState::Saturated);
    if !within_worst && f64::from(bad) <= SATURATED_SECONDS * f64::from(all) {
        return Vec::new();
    }
    let worst_of = |figure: fn(&Interval) -> f64| saturated.iter().map(|one| figure(one)).fold(0.0, f64::max);
    let mut why = vec![format!("lag p99 {}", time(worst_of(|one| one.health.lag_p99_us as f64)))];
    let (busy, throttled) = (worst_of(|one| one.health.busy), worst_of(|one| one.health.throttled));
    if busy > BUSY_SATURATED {
        why.push(format!("a worker busy for {:.0}% of the time", busy * 100.0));
    }
    if throttled > THROTTLED_SATURATED {
        why.push(format!("stopped by its CPU quota for {:.0}% of the time", throttled * 100.0));
    }
    let quota = if throttled > THROTTLED_SATURATED { "raise the CPU quota, " } else { "" };
    let place = if within_worst { ", some of them among the 10 s with the slowest answers" } else { "" };
    vec![format!(
        "The load tester was the limit for {bad} of {all} s{place} ({}): {quota}lower --players, raise --linger, or use \
         more shards.",
        why.join(", ")
    )]
}

/// The 10 s in a row with the highest ack p99; all there is of a shorter run.
fn worst<'a>(intervals: &[&'a Interval]) -> Vec<&'a Interval> {
    let mut found = (None, 0..0);
    let mut end = 0;
    for from in 0..intervals.len() {
        end = end.max(from);
        while end < intervals.len() && seconds(intervals[from..end].iter().copied()) < WORST_SECONDS {
            end += 1;
        }
        let mut ack = Latencies::default();
        intervals[from..end].iter().for_each(|interval| ack.add(&interval.ack));
        let p99 = Some(ack.quantile(0.99));
        if p99 > found.0 {
            found = (p99, from..end);
        }
        if end == intervals.len() {
            break;
        }
    }
    intervals[found.1].to_vec()
}

/// Whether less became due than was planned, by more than the draw of who is online explains. It is held to be one draw
/// for the whole run, since sessions may be as long as that.
pub(super) fn short(window: &Window<'_>, config: &RunConfig) -> Vec<String> {
    let due = window.sum(|interval| interval.due);
    let planned: f64 = window.intervals.iter().map(|interval| interval.planned).sum();
    let players = f64::from(config.players) / f64::from(config.shard.of.max(1));
    if !falls_short(due, planned, placement(players, players * config.online)) {
        return Vec::new();
    }
    vec![format!(
        "{} events were due, {:.1}% of the {} planned: the load was not the one asked for. Lower --players or use more \
         shards.",
        count(due),
        100.0 * due as f64 / planned,
        count(planned.round() as u64)
    )]
}

/// Shards that are not in a merged result. A shard's own result lists itself alone, and lacks nothing.
pub(super) fn missing_shards(result: &RunResult) -> Vec<String> {
    if result.config.shard.of > 1 {
        return Vec::new();
    }
    let of = result.shards.iter().map(|shard| shard.of).max().unwrap_or(0);
    let missing: Vec<_> = (1..=of).filter(|index| result.shards.iter().all(|shard| shard.index != *index)).collect();
    let names: Vec<_> = missing.iter().map(u32::to_string).collect();
    match missing.len() {
        0 => Vec::new(),
        1 => vec![format!("Shard {} of {of} has no result: merge it too, or run again.", names[0])],
        _ => vec![format!("Shards {} of {of} have no result: merge them too, or run again.", names.join(", "))],
    }
}

pub(super) fn shards_with(result: &RunResult, verdict: Verdict, what: &str) -> Vec<String> {
    let of_it = result.shards.iter().filter(|shard| shard.verdict == verdict);
    of_it
        .map(|shard| format!("By its own result, shard {} of {} on {} {what}.", shard.index, shard.of, shard.host))
        .collect()
}

/// The rules that do not hold, and those that could not be judged.
pub(super) fn rules(slos: &[SloResult]) -> (Vec<String>, Vec<String>) {
    let list = |passed: Option<bool>| -> Vec<String> {
        let these = slos.iter().filter(|slo| slo.passed == passed);
        these.map(|slo| format!("{} ({})", slo.rule, slo.observed)).collect()
    };
    let sentence = |these: Vec<String>, one: &str, many: &str| match these.len() {
        0 => Vec::new(),
        1 => vec![format!("The rule {} {one}.", these[0])],
        number => vec![format!("{number} of {} rules {many}: {}.", slos.len(), these.join("; "))],
    };
    (
        sentence(list(Some(false)), "does not hold", "do not hold"),
        sentence(list(None), "could not be judged", "could not be judged"),
    )
}

/// Seconds that are no reason to discard the run, but may explain a slow answer.
pub(super) fn late(window: &Window<'_>) -> Vec<String> {
    let late: Vec<_> = window.while_due().filter(|interval| interval.health.state == HealthState::Late).collect();
    let (bad, all) = (seconds(late.iter().copied()), seconds(window.while_due()));
    let lag = late.iter().map(|interval| interval.health.lag_p99_us).max().unwrap_or(0);
    match bad {
        0 => Vec::new(),
        _ => vec![format!(
            "In {bad} of {all} s batches left late or fewer events became due than planned (lag p99 {}): ack latencies are \
             too high by about that lag.",
            time(lag as f64)
        )],
    }
}

pub(super) fn remarks(result: &RunResult) -> Vec<String> {
    let mut remarks = Vec::new();
    let ledger = &result.ledger;
    if ledger.overflow > 0 {
        remarks.push(format!(
            "{} events were never sent, because {} batches of their server were unanswered or held back.",
            count(ledger.overflow),
            count(result.config.max_in_flight.into())
        ));
    }
    if let Some(found) = &result.verification
        && found.doubled > 0
        && found.doubled <= ledger.resent
    {
        remarks.push(format!(
            "{} records are second ones of an event; {} events were sent again, so delivery at least once allows that.",
            count(found.doubled),
            count(ledger.resent)
        ));
    }
    remarks
}
