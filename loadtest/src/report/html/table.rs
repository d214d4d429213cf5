//! The run in parts: by phase, by class of servers, by what the latency is counted from.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::format;
use crate::record::Latencies;
use crate::result::{Class, HealthState, Interval, RunResult};

/// A table that scrolls in its own box where the page is too narrow for it.
pub(super) fn scroll(name: &str, rows: &Markup) -> Markup {
    html! { div .scroll tabindex="0" role="region" aria-label=(name) { table { (rows) } } }
}

/// Columns of numbers.
pub(super) fn heads(first: &str, names: &[&str]) -> Markup {
    html! { thead { tr { th scope="col" { (first) } @for name in names { th .n scope="col" { (name) } } } } }
}

fn numbers(first: &str, values: &[String]) -> Markup {
    html! { tr { th scope="row" { (first) } @for value in values { td .n { (value) } } } }
}

/// The usual percentiles of a latency; dashes where there is none.
fn percentiles(latencies: &Latencies) -> [String; 5] {
    if latencies.count() == 0 {
        return std::array::from_fn(|_| "–".into());
    }
    let all = latencies.percentiles();
    [all.p50, all.p90, all.p99, all.p999, all.max].map(format::latency)
}

pub(super) fn phases(run: &RunResult) -> Markup {
    if run.phases.is_empty() {
        return html! {};
    }
    let heads_of = [
        "Seconds",
        "Offered/s",
        "Accepted/s",
        "Ack p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "Rejected",
        "Overflow",
        "Errors",
        "Lag p99",
        "Saturated",
    ];
    html! {
        section #phases {
            h2 { "Phases" }
            (scroll("Phases", &html! {
                (heads("Phase", &heads_of))
                tbody { @for phase in &run.phases {
                    (numbers(&phase.name, &phase_row(run, phase.from_s, phase.to_s)))
                } }
            }))
        }
    }
}

fn phase_row(run: &RunResult, from_s: u32, to_s: u32) -> Vec<String> {
    let mut all = Interval::default();
    let mut saturated = 0;
    for interval in run.intervals.iter().filter(|interval| (from_s..to_s).contains(&interval.at)) {
        all.append(interval);
        saturated += if interval.health.state == HealthState::Saturated { interval.width } else { 0 };
    }
    let rate = |events: u64| match all.width {
        0 => "–".into(),
        width => format::number(events as f64 / f64::from(width)),
    };
    let errors = errors(&all.codes);
    let lag = if all.lag.count() == 0 { "–".into() } else { format::latency(all.lag.quantile(0.99)) };
    let mut row = vec![
        format!("{} – {}", format::count(from_s.into()), format::count(to_s.into())),
        rate(all.due),
        rate(all.accepted),
    ];
    row.extend(percentiles(&all.ack));
    row.extend([all.rejected, all.overflow, errors].map(format::count));
    row.extend([lag, if saturated == 0 { "0 s".into() } else { format::span(f64::from(saturated)) }]);
    row
}

pub(super) fn classes(run: &RunResult) -> Markup {
    if run.classes.is_empty() {
        return html! {};
    }
    let heads_of = [
        "Offered",
        "Accepted",
        "of offered",
        "Rejected",
        "Failed",
        "Overflow",
        "Ack p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "Errors",
    ];
    html! {
        section #classes {
            h2 { "Classes of servers" }
            (scroll("Classes of servers", &html! {
                (heads("Class", &heads_of))
                tbody { @for (name, class) in &run.classes {
                    (numbers(name, &class_row(class)))
                } }
            }))
        }
    }
}

fn class_row(class: &Class) -> Vec<String> {
    let ledger = &class.ledger;
    let mut row = [ledger.due, ledger.accepted].map(format::count).to_vec();
    row.push(format::part(ledger.accepted, ledger.due));
    row.extend([ledger.rejected_total(), ledger.failed, ledger.overflow].map(format::count));
    row.extend(percentiles(&class.latencies.ack));
    row.push(format::count(errors(&class.codes)));
    row
}

/// Batches answered with an error.
pub(super) fn errors(codes: &BTreeMap<String, u64>) -> u64 {
    codes.iter().filter(|(code, _)| *code != "OK").map(|(_, batches)| *batches).sum()
}

pub(super) fn latencies(run: &RunResult) -> Markup {
    let series = &run.latencies;
    let rows = [
        ("Ack", &series.ack, "from the instant at which a batch was to leave to its answer, by event"),
        ("Service", &series.service, "from the instant at which a batch really left to its answer, by event"),
        ("Event age", &series.event_age, "from the instant at which an event happened to its answer"),
        ("Lag", &series.lag, "from the instant at which a batch was to leave to the one at which it did, by batch"),
        ("Connect", &series.connect, "from the first try to connect to an open stream, by stream"),
    ];
    html! {
        section #latency-table {
            h2 { "Latencies" }
            (scroll("Latencies", &html! {
                (heads("Counted", &["Count", "Mean", "p50", "p90", "p99", "p99.9", "max"]))
                tbody { @for (name, latencies, says) in rows {
                    tr {
                        th scope="row" { (name) span .sub { (says) } }
                        td .n { (format::count(latencies.count())) }
                        td .n { @if latencies.count() == 0 { "–" } @else { (format::latency(latencies.mean())) } }
                        @for value in percentiles(latencies) { td .n { (value) } }
                    }
                } }
            }))
        }
    }
}
