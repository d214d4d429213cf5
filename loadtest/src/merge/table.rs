//! A comparison as a table for people.

use std::fmt;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use super::compare::{Change, Comparison, Metric, Unit};
use crate::words;

impl fmt::Display for Comparison {
    /// A table with a row for each figure, the verdict, and the findings.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["", "A", "B", "change", "95 % interval", "verdict"]);
        for metric in &self.metrics {
            table.add_row(row(metric));
        }
        for column in table.column_iter_mut().skip(1).take(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            writeln!(
                out,
                "{name}: {} on {}, {:.0} s in {} blocks",
                side.scenario, side.host, side.seconds, side.blocks
            )?;
        }
        writeln!(out, "{table}")?;
        let verdict = self.verdict.map_or("no verdict", word);
        writeln!(out, "B against A: {verdict} (tolerance {:.0} %)", self.tolerance * 100.0)?;
        for difference in &self.differences {
            writeln!(out, "- setting {difference}")?;
        }
        for finding in &self.findings {
            writeln!(out, "- {finding}")?;
        }
        Ok(())
    }
}

fn row(metric: &Metric) -> [String; 6] {
    let figure = |value: f64| match metric.unit {
        Unit::Us => words::latency(Duration::from_micros(value as u64)),
        Unit::EventsPerSecond => words::count(value.round() as u64),
        Unit::CpuUsPerEvent => format!("{value:.3} µs"),
    };
    let name = match metric.unit {
        Unit::Us => metric.name.to_owned(),
        Unit::EventsPerSecond => "accepted/s".to_owned(),
        Unit::CpuUsPerEvent => "CPU per event".to_owned(),
    };
    [
        name,
        figure(metric.a),
        figure(metric.b),
        metric.change.map_or("–".to_owned(), percent),
        metric.interval.map_or("–".to_owned(), |[low, high]| format!("{} … {}", percent(low), percent(high))),
        metric.verdict.map_or("–", word).to_owned(),
    ]
}

fn percent(share: f64) -> String {
    // Without the sign that −0.04 % would leave of a zero.
    let rounded = (share * 1e3).round() / 10.0 + 0.0;
    format!("{rounded:+.1} %")
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Better => "better",
        Change::Same => "same",
        Change::Worse => "worse",
        Change::Unclear => "unclear",
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{fill, run};
    use super::super::{CompareOptions, compare};

    #[test]
    fn the_table_shows_both_runs_change_interval_and_verdict() {
        let minute = |seed, median| run(60, seed, move |draw, _, interval| fill(draw, interval, 500, median));
        let comparison = compare(&minute(1, 3_000.0), &minute(2, 4_000.0), &CompareOptions::default());
        let text = comparison.expect("like with like").to_string();
        assert!(text.starts_with("A: steady on one, 60 s in 6 blocks\nB: steady on one, 60 s in 6 blocks\n"), "{text}");
        let row = |name: &str| text.lines().find(|line| line.contains(name)).expect("a row").to_owned();
        assert!(row("ack.p50").contains(" ms ") && row("ack.p50").trim_end().ends_with("worse"), "{text}");
        assert!(row("accepted/s").contains("500") && row("accepted/s").contains("+0.0 % … +0.0 %"), "{text}");
        assert!(row("event_age.p99.9").matches('–').count() == 2, "{text}");
        assert!(text.contains("B against A: worse (tolerance 5 %)"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }
}
