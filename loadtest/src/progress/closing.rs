//! The last screen: the verdict, why, the figures behind it, and what to do next.

use std::path::PathBuf;

use crate::record::Latencies;
use crate::result::{RunResult, Verdict};
use crate::terminal::{Line, Look};
use crate::words;

/// What came of a run. `files` are what was written, the result itself first.
#[must_use]
pub fn closing(result: &RunResult, files: &[PathBuf]) -> Vec<Line> {
    let (look, word, why) = verdict(result.verdict);
    let mut lines = vec![
        Line::default(),
        Line::default()
            .then(look, word)
            .then(Look::Strong, format!("  {}, {}", result.config.scenario, words::duration(result.elapsed)))
            .then(Look::Dim, format!("  {why}")),
    ];
    for finding in &result.findings {
        lines.push(Line::plain("  ").then(look, "•").then_plain(format!(" {finding}")));
    }
    lines.extend(figures(result));
    lines.extend(ledger(result));
    lines.extend(rules(result));
    for (place, file) in files.iter().enumerate() {
        lines.push(label(if place == 0 { "files" } else { "" }).then_plain(file.display().to_string()));
    }
    if let Some(file) = files.first() {
        let command = format!("headgate-loadtest report {}", file.display());
        lines.push(label("next").then(Look::Strong, command));
    }
    lines
}

fn label(text: &str) -> Line {
    Line::dim(format!("  {text:<10}"))
}

fn verdict(verdict: Verdict) -> (Look, &'static str, &'static str) {
    match verdict {
        Verdict::Pass => (Look::Good, "PASS", "every rule holds, nothing is lost"),
        Verdict::SloFailed => (Look::Bad, "SLO FAILED", "a rule does not hold"),
        Verdict::Invalid => (Look::Warn, "INVALID", "the figures say nothing about the gateway"),
        Verdict::DataLoss => (Look::Bad, "DATA LOSS", "what was acknowledged is not what is there"),
        Verdict::Interrupted => (Look::Warn, "INTERRUPTED", "the run ended early"),
    }
}

fn figures(result: &RunResult) -> Vec<Line> {
    let seconds = result.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let latencies = &result.latencies;
    let mut lines = vec![label("load").then_plain(format!(
        "{} events/s accepted   {} events/s due   {:.1} events a batch",
        words::count((result.ledger.accepted as f64 / seconds).round() as u64),
        words::count((result.ledger.due as f64 / seconds).round() as u64),
        result.usage.events_per_batch,
    ))];
    for (name, of) in [("ack", &latencies.ack), ("service", &latencies.service), ("event age", &latencies.event_age)] {
        if of.count() > 0 {
            lines.push(label(name).then_plain(percentiles(of)));
        }
    }
    let usage = &result.usage;
    lines.push(label("tester").then_plain(format!(
        "lag p99 {}   {:.2} µs of CPU an event   {} at most   {:.0} bytes a player",
        words::latency(latencies.lag.quantile(0.99)),
        usage.cpu_us_per_event,
        words::bytes(usage.peak_resident),
        usage.bytes_per_player,
    )));
    lines
}

fn percentiles(latencies: &Latencies) -> String {
    let found = latencies.percentiles();
    let shown = [("p50", found.p50), ("p90", found.p90), ("p99", found.p99), ("p99.9", found.p999), ("max", found.max)];
    shown.map(|(name, latency)| format!("{name} {:>7}", words::latency(latency))).join("   ")
}

fn ledger(result: &RunResult) -> Vec<Line> {
    let ledger = &result.ledger;
    let ends = [
        ("accepted", ledger.accepted),
        ("rejected", ledger.rejected_total()),
        ("unknown", ledger.unknown),
        ("failed", ledger.failed),
        ("overflow", ledger.overflow),
        ("in flight", ledger.in_flight),
    ];
    // What is nothing adds nothing; accepted is said in any case.
    let ends = ends.into_iter().filter(|(name, events)| *events > 0 || *name == "accepted");
    let sum = ends.map(|(name, events)| format!("{} {name}", words::count(events))).collect::<Vec<_>>().join(" + ");
    let (sign, look) = if ledger.balances() { ("=", Look::Plain) } else { ("is not", Look::Bad) };
    let mut lines = vec![label("ledger").then(look, format!("{} due {sign} {sum}", words::count(ledger.due)))];
    let again = ledger.resent + ledger.retry;
    let refused = result.codes.iter().filter(|(code, _)| *code != "OK");
    let refused: Vec<String> = refused.map(|(code, batches)| format!("{code} {}", words::count(*batches))).collect();
    if again > 0 || !refused.is_empty() {
        let resent = format!("{} events sent again   ", words::count(ledger.resent));
        lines.push(label("").then_plain(resent).then_plain(refused.join("   ")));
    }
    for (problem, times) in &result.problems {
        lines.push(label("").then(Look::Bad, format!("{} × {problem}", words::count(*times))));
    }
    if let Some(found) = &result.verification {
        let look = if found.missing + found.rejected_stored > 0 { Look::Bad } else { Look::Good };
        let text = format!(
            "{} of {} acknowledged events are there, {} doubled ({})",
            words::count(found.stored),
            words::count(found.stored + found.missing),
            words::count(found.doubled),
            found.destination,
        );
        lines.push(label("verified").then(look, text));
    }
    lines
}

fn rules(result: &RunResult) -> Vec<Line> {
    let widest = result.slos.iter().map(|slo| slo.rule.chars().count()).max().unwrap_or_default();
    let rule = |(place, slo): (usize, &crate::result::SloResult)| {
        let (look, word) = match slo.passed {
            Some(true) => (Look::Good, "ok    "),
            Some(false) => (Look::Bad, "failed"),
            None => (Look::Dim, "n/a   "),
        };
        label(if place == 0 { "rules" } else { "" })
            .then(look, word)
            .then_plain(format!("  {:<widest$}  {}", slo.rule, slo.observed))
    };
    result.slos.iter().enumerate().map(rule).collect()
}
