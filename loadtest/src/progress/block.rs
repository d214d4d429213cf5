//! The block that is redrawn in place: as wide as the terminal, what matters least left out first.

use std::collections::VecDeque;
use std::time::Duration;

use super::Tick;
use super::tick::word;
use crate::result::HealthState;
use crate::terminal::{Line, Look, bar, sparkline};
use crate::words;

/// Columns of the labels, and of the figure in front of a sparkline.
const LABEL: usize = 12;
const FIGURE: usize = 9;
/// A sparkline of 99th percentiles begins at a millisecond and has half a decade for each step, up to 10 s.
const LOWEST_MS: f64 = 1.0;
const DECADES: f64 = 4.0;

/// The latest seconds.
#[derive(Default)]
pub(super) struct History {
    accepted: VecDeque<f64>,
    ack_p99: VecDeque<Duration>,
    /// The highest rate planned or seen, which the sparkline is scaled by.
    top: f64,
}

const KEPT: usize = 60;

impl History {
    pub(super) fn add(&mut self, tick: &Tick) {
        if tick.elapsed > tick.run_time {
            // While answers are waited for there is nothing to compare with what was before.
            return;
        }
        push(&mut self.accepted, tick.accepted_per_s);
        push(&mut self.ack_p99, tick.ack.p99);
        self.top = self.top.max(tick.planned_per_s).max(tick.accepted_per_s);
    }

    fn rates(&self, columns: usize) -> String {
        // A quarter above the top, so that a rate at the top does not fill the line.
        let top = (self.top * 1.25).max(f64::MIN_POSITIVE);
        padded(sparkline(latest(&self.accepted, columns).map(|rate| rate / top)), columns)
    }

    fn latencies(&self, columns: usize) -> String {
        let height = |latency: &Duration| {
            let millis = latency.as_secs_f64() * 1e3;
            (millis.max(LOWEST_MS) / LOWEST_MS).log10() / DECADES
        };
        padded(sparkline(latest(&self.ack_p99, columns).map(height)), columns)
    }
}

fn push<T>(values: &mut VecDeque<T>, value: T) {
    values.push_back(value);
    if values.len() > KEPT {
        values.pop_front();
    }
}

fn latest<T>(values: &VecDeque<T>, columns: usize) -> impl Iterator<Item = &T> {
    values.iter().skip(values.len().saturating_sub(columns))
}

fn padded(text: String, columns: usize) -> String {
    format!("{text:<columns$}")
}

/// The lines of the block, none wider than `width`, in columns.
pub(super) fn block(tick: &Tick, history: &History, width: usize) -> Vec<Line> {
    let sparks = width.saturating_sub(LABEL + FIGURE + 28).clamp(8, KEPT);
    let rate = |rate: f64| words::count(rate.max(0.0).round() as u64);
    let ledger = &tick.ledger;
    let plain = |text: String| (Look::Plain, text);
    let trouble = |events: u64, what: &str| {
        (if events > 0 { Look::Bad } else { Look::Plain }, format!("{} {what}", words::count(events)))
    };
    let mut lines = vec![
        time(tick, width),
        figure("events/s", rate(tick.accepted_per_s)).then(Look::Good, history.rates(sparks)).then_plain("  "),
        figure("ack p99", words::latency(tick.ack.p99)).then(Look::Plain, history.latencies(sparks)).then_plain("  "),
        label("events"),
        label("players"),
        label("tester").then(look(tick.health), word(tick.health)).then_plain("   "),
    ];
    let pieces = [
        vec![],
        vec![
            (Look::Dim, format!("{} planned", rate(tick.planned_per_s))),
            (Look::Dim, format!("{} due", rate(tick.offered_per_s))),
        ],
        vec![
            (Look::Dim, format!("p50 {}", words::latency(tick.ack.p50))),
            (Look::Dim, format!("p99.9 {}", words::latency(tick.ack.p999))),
        ],
        vec![
            (Look::Good, format!("{} accepted", words::count(ledger.accepted))),
            trouble(ledger.failed, "failed"),
            plain(format!("{} in flight", words::count(ledger.in_flight))),
            trouble(ledger.overflow, "overflow"),
            plain(format!("{} rejected", words::count(ledger.rejected_total()))),
            trouble(ledger.unknown, "unknown"),
            plain(format!("{} retry", words::count(ledger.retry))),
        ],
        vec![
            plain(format!("{} online", words::count(tick.online))),
            plain(format!("{} connections", words::count(tick.connections))),
            plain(format!("{} reconnects", words::count(tick.reconnects))),
        ],
        vec![
            plain(format!("lag p99 {}", words::latency(tick.lag_p99))),
            plain(format!("{:.0} % of a core", tick.cpu_cores * 100.0)),
            plain(format!("{} resident", words::bytes(tick.resident))),
            (Look::Dim, format!("service p99 {}", words::latency(tick.service_p99))),
        ],
    ];
    for (line, pieces) in lines.iter_mut().zip(pieces) {
        *line = std::mem::take(line).then_what_fits(width, pieces);
    }
    if tick.codes.keys().any(|code| code != "OK") {
        let mut codes: Vec<_> = tick.codes.iter().filter(|(code, _)| *code != "OK").collect();
        codes.sort_by_key(|(_, batches)| std::cmp::Reverse(**batches));
        let codes = codes.into_iter().map(|(code, batches)| (Look::Bad, format!("{code} {}", words::count(*batches))));
        lines.insert(4, label("refused").then_what_fits(width, codes));
    }
    lines
}

fn label(text: &str) -> Line {
    Line::dim(format!("  {text:<10}"))
}

fn figure(text: &str, figure: String) -> Line {
    label(text).then(Look::Strong, format!("{figure:>FIGURE$}")).then_plain("  ")
}

fn time(tick: &Tick, width: usize) -> Line {
    let elapsed = Duration::from_secs(tick.elapsed.min(tick.run_time).as_secs());
    let mut text = format!("  {} of {}", words::duration(elapsed), words::duration(tick.run_time));
    let stage = tick.stage();
    if !stage.is_empty() {
        text.push_str(&format!("   {stage}"));
    }
    let columns = width.saturating_sub(LABEL + text.chars().count()).clamp(8, KEPT);
    let (full, empty) = bar(tick.done(), columns);
    label("time").then(Look::Good, full).then(Look::Dim, empty).then_plain(text)
}

fn look(health: HealthState) -> Look {
    match health {
        HealthState::Ok => Look::Good,
        HealthState::Late => Look::Warn,
        HealthState::Saturated => Look::Bad,
    }
}
