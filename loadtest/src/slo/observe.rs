//! What a rule finds in a result.
//!
//! Figures are in the unit that [`Metric::units`] names first: times in microseconds, shares from 0 to 1. Where the
//! result does not hold what a rule asks for, the answer is why not, in words.

use std::borrow::Cow;

use super::rule::{Limit, Metric, Rule, SeriesName, Stat, Unit};
use super::window::Window;
use crate::record::{Latencies, Ledger};
use crate::result::{Class, Interval, RunResult, Series, Verification};

/// A figure, and in which unit and of what it is.
pub(super) struct Observed {
    pub(super) value: f64,
    pub(super) unit: Unit,
    /// What a reader would not expect of it, such as that the warm-up is in it.
    pub(super) remark: &'static str,
}

/// The figure exists for the whole run alone.
const WITH_WARM_UP: &str = ", warm-up included";

/// What a rule's metric is in a result, for its class, in a window.
pub(super) fn observe(rule: &Rule, result: &RunResult, window: &Window<'_>) -> Result<Observed, String> {
    let class = class_of(rule, result)?;
    let unit = unit_of(rule);
    let (value, remark) = match &rule.metric {
        Metric::Latency(series, stat) => {
            let (latencies, remark) = latencies(*series, class, result, window)?;
            (statistic(&latencies, *stat).ok_or_else(|| nothing_recorded(&rule.metric, window))?, remark)
        }
        Metric::ErrorRate => {
            let of = |ledger: &Ledger| (ledger.failed + ledger.unknown + ledger.overflow, ledger.due);
            let each = |interval: &Interval| (interval.failed + interval.overflow, interval.due);
            share_of_due(rule, class, result, window, of, each)?
        }
        Metric::Rejected => {
            let of = |ledger: &Ledger| (ledger.rejected_total(), ledger.due);
            let each = |interval: &Interval| (interval.rejected, interval.due);
            share_of_due(rule, class, result, window, of, each)?
        }
        Metric::Code(name) => code(rule, name, unit, class, result, window)?,
        Metric::Goodput => (goodput(class, result, window)?, ""),
        Metric::Offered => (offered(rule, class, window)?, ""),
        Metric::Lost => {
            let of = verification(result)?;
            if of.inconclusive && of.missing > 0 {
                return Err(format!("{} are not found, and {} was not read to its end", of.missing, of.destination));
            }
            (count_or_share(unit, of.missing, of.stored + of.missing)?, "")
        }
        Metric::Dup => {
            let of = verification(result)?;
            (count_or_share(unit, of.doubled, of.stored)?, "")
        }
        Metric::RecoveryTime => (measure(result, "recovery_s")? * 1e6, ""),
        Metric::Measure(name) => (measure(result, name)?, ""),
    };
    Ok(Observed { value, unit, remark })
}

/// The unit of a rule's figure: counts are counts unless the limit is a percentage, or a ratio of unequal time spans.
fn unit_of(rule: &Rule) -> Unit {
    match (rule.limit, &rule.metric) {
        (Limit::Value(_, Unit::Percent), _) => Unit::Percent,
        (Limit::Baseline(_), Metric::Code(_) | Metric::Lost | Metric::Dup) => Unit::Percent,
        (_, metric) => metric.units()[0],
    }
}

/// The rule's class by the name it has in the result; a run whose servers are all of one class has no classes, and that
/// one is `good`.
fn class_of<'a>(rule: &Rule, result: &'a RunResult) -> Result<Option<(&'a str, &'a Class)>, String> {
    let Some(wanted) = &rule.class else { return Ok(None) };
    if result.classes.is_empty() && wanted == "good" {
        return Ok(None);
    }
    let found = result.classes.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let names: Vec<_> = result.classes.keys().map(String::as_str).collect();
    let names = if names.is_empty() { "good".to_owned() } else { names.join(", ") };
    found
        .map(|(name, class)| Some((name.as_str(), class)))
        .ok_or_else(|| format!("no class `{wanted}` in this run; it has {names}"))
}

fn nothing_recorded(metric: &Metric, window: &Window<'_>) -> String {
    match &window.phase {
        Some(phase) => format!("no {metric}: nothing was recorded during {phase}"),
        None => format!("no {metric}: nothing was recorded"),
    }
}

fn not_by_phase(what: impl std::fmt::Display, class: Option<(&str, &Class)>) -> String {
    match class {
        Some((name, _)) => format!("{what} of the class {name} is recorded for the whole run, not by phase"),
        None => format!("{what} is recorded for the whole run, not by phase"),
    }
}

fn remark(window: &Window<'_>) -> &'static str {
    if window.whole { "" } else { WITH_WARM_UP }
}

fn pick(series: SeriesName, of: &Series) -> &Latencies {
    match series {
        SeriesName::Ack => &of.ack,
        SeriesName::Service => &of.service,
        SeriesName::EventAge => &of.event_age,
        SeriesName::Lag => &of.lag,
        SeriesName::Connect => &of.connect,
    }
}

fn latencies<'a>(
    series: SeriesName,
    class: Option<(&str, &'a Class)>,
    result: &'a RunResult,
    window: &Window<'a>,
) -> Result<(Cow<'a, Latencies>, &'static str), String> {
    let total = pick(series, class.map_or(&result.latencies, |(_, class)| &class.latencies));
    if window.whole {
        return Ok((Cow::Borrowed(total), ""));
    }
    let by_second = match (series, class) {
        (SeriesName::Ack, Some((name, _))) => Some(window.latencies(|interval| interval.ack_of.get(name))),
        (SeriesName::Ack, None) => Some(window.latencies(|interval| Some(&interval.ack))),
        (SeriesName::Service, None) => Some(window.latencies(|interval| Some(&interval.service))),
        (SeriesName::Lag, None) => Some(window.latencies(|interval| Some(&interval.lag))),
        _ => None,
    };
    match by_second {
        Some(latencies) => Ok((Cow::Owned(latencies), "")),
        None if window.phase.is_some() => Err(not_by_phase(series.name(), class)),
        None => Ok((Cow::Borrowed(total), WITH_WARM_UP)),
    }
}

fn statistic(latencies: &Latencies, stat: Stat) -> Option<f64> {
    let time = match stat {
        Stat::Percentile(percent) => latencies.quantile(percent / 100.0),
        Stat::Average => latencies.mean(),
        Stat::Max => latencies.max(),
    };
    (latencies.count() > 0).then_some(time.as_micros() as f64)
}

/// Events of a kind, of those due. In a window both are booked when they happened: an event due in one second may fail
/// in a later one.
fn share_of_due(
    rule: &Rule,
    class: Option<(&str, &Class)>,
    result: &RunResult,
    window: &Window<'_>,
    of_ledger: impl Fn(&Ledger) -> (u64, u64),
    of_interval: impl Fn(&Interval) -> (u64, u64),
) -> Result<(f64, &'static str), String> {
    let (some, due, remark) = match class {
        Some(_) if window.phase.is_some() => return Err(not_by_phase(&rule.metric, class)),
        Some((_, class)) => {
            let (some, due) = of_ledger(&class.ledger);
            (some, due, remark(window))
        }
        None if window.whole => {
            let (some, due) = of_ledger(&result.ledger);
            (some, due, "")
        }
        None => (window.sum(|each| of_interval(each).0), window.sum(|each| of_interval(each).1), ""),
    };
    if due == 0 {
        return Err(match &window.phase {
            Some(phase) => format!("no event was due during {phase}"),
            None => "no event was due".to_owned(),
        });
    }
    Ok((some as f64 / due as f64, remark))
}

/// Batches answered with a code. Seconds count errors alone: there the batches that left stand for all of them.
fn code(
    rule: &Rule,
    name: &str,
    unit: Unit,
    class: Option<(&str, &Class)>,
    result: &RunResult,
    window: &Window<'_>,
) -> Result<(f64, &'static str), String> {
    if !result.config.transport.sends_again() {
        return Err("the client hears the codes, and does not tell them".to_owned());
    }
    let codes = class.map_or(&result.codes, |(_, class)| &class.codes);
    let of_run = class.is_some() || name == "OK";
    if of_run && window.phase.is_some() {
        return Err(not_by_phase(&rule.metric, class));
    }
    let (batches, all, remark) = if of_run || window.whole {
        (codes.get(name).copied().unwrap_or(0), codes.values().sum(), remark(window))
    } else {
        let batches = window.sum(|interval| interval.codes.get(name).copied().unwrap_or(0));
        (batches, window.sum(|interval| interval.lag.count()), "")
    };
    if window.intervals.is_empty() && all == 0 {
        return Err(nothing_recorded(&rule.metric, window));
    }
    Ok((count_or_share(unit, batches, all)?, remark))
}

fn count_or_share(unit: Unit, some: u64, all: u64) -> Result<f64, String> {
    match (unit, some, all) {
        (Unit::Percent, 0, 0) => Err("there was nothing to be a share of".to_owned()),
        (Unit::Percent, ..) => Ok(some as f64 / all.max(1) as f64),
        _ => Ok(some as f64),
    }
}

/// Over the time in which events were due: answers that come later count for no rate.
fn goodput(class: Option<(&str, &Class)>, result: &RunResult, window: &Window<'_>) -> Result<f64, String> {
    let seconds: u32 = window.while_due().map(|interval| interval.width).sum();
    let accepted: u64 = window
        .while_due()
        .map(|interval| match class {
            Some((name, _)) => interval.accepted_of.get(name).copied().unwrap_or(0),
            None => interval.accepted,
        })
        .sum();
    if seconds > 0 {
        return Ok(accepted as f64 / f64::from(seconds));
    }
    let elapsed = result.elapsed.as_secs_f64();
    if window.phase.is_some() || elapsed <= 0.0 {
        return Err(nothing_recorded(&Metric::Goodput, window));
    }
    let ledger = class.map_or(&result.ledger, |(_, class)| &class.ledger);
    Ok(ledger.accepted as f64 / elapsed)
}

fn offered(rule: &Rule, class: Option<(&str, &Class)>, window: &Window<'_>) -> Result<f64, String> {
    if let Some((name, _)) = class {
        return Err(format!("{} is planned for all classes together, not for {name}", rule.metric));
    }
    let planned: f64 = window.intervals.iter().map(|interval| interval.planned).sum();
    if planned <= 0.0 {
        return Err(match &window.phase {
            Some(phase) => format!("no event was planned during {phase}"),
            None => "no event was planned".to_owned(),
        });
    }
    Ok(window.sum(|interval| interval.due) as f64 / planned)
}

fn verification(result: &RunResult) -> Result<&Verification, String> {
    result.verification.as_ref().ok_or_else(|| "the destination was not looked at: run with --verify".to_owned())
}

fn measure(result: &RunResult, name: &str) -> Result<f64, String> {
    result.measures.get(name).copied().ok_or_else(|| {
        if let Some(why) = result.unmeasured.get(name) {
            return format!("this run did not measure {name}: {why}");
        }
        let known: Vec<_> = result.measures.keys().map(String::as_str).collect();
        let known =
            if known.is_empty() { "it measures none".to_owned() } else { format!("it has {}", known.join(", ")) };
        format!("this run did not measure {name}; {known}")
    })
}
