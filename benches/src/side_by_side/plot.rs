//! The figures as a plot: a bar for each server, a panel for each case.

use std::path::Path;

use plotters::prelude::*;

use super::report::{CaseResult, Report, Row};
use crate::Result;
use crate::measurement::{Measurement, Spread};
use crate::plot::{BARE as OTHERS, GATEWAY as OURS, WIDTH, problem, tick};

const BAR: u32 = 22;
/// For a panel's title and axis.
const AROUND: u32 = 90;
const NAMES: u32 = 120;
/// Longer than the longest bar, for the figure at its end.
const FOR_FIGURES: f64 = 1.12;
const OURS_ARE: [&str; 5] = ["gateway", "kinesis", "kinesis-tls", "firehose", "lake"];

/// Draws a report as an SVG file.
///
/// # Errors
/// If it can't be written.
pub fn draw(report: &Report, path: &Path) -> Result<()> {
    let heights: Vec<u32> = report.cases.iter().map(height).collect();
    let area = SVGBackend::new(path, (WIDTH, heights.iter().sum())).into_drawing_area();
    area.fill(&WHITE).map_err(problem)?;
    let mut rest = area;
    for (case, height) in report.cases.iter().zip(heights) {
        let (panel, below) = rest.split_vertically(height);
        panel_of(case, &panel)?;
        rest = below;
    }
    Ok(())
}

fn height(case: &CaseResult) -> u32 {
    u32::try_from(case.servers.len()).unwrap_or(0) * BAR + AROUND
}

fn panel_of(case: &CaseResult, panel: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<()> {
    let cost = |row: &Row| Spread::over(&row.rounds, Measurement::server_per_million).median;
    let costs: Vec<f64> = case.servers.iter().map(cost).collect();
    let most = costs.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let rows = i32::try_from(costs.len()).unwrap_or(0);
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("{}: server CPU seconds per million events", case.case), ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(26)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(0.0..most * FOR_FIGURES, (0..(rows - 1).max(1)).into_segmented())
        .map_err(problem)?;
    let name = |at: &SegmentValue<i32>| match at {
        // From top to bottom, as in the tables.
        SegmentValue::CenterOf(at) => usize::try_from(rows - 1 - *at)
            .ok()
            .and_then(|at| case.servers.get(at))
            .map_or(String::new(), |row| row.server.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(costs.len())
        .y_label_formatter(&name)
        .x_label_formatter(&tick)
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(problem)?;
    for ((row, cost), at) in case.servers.iter().zip(&costs).zip((0..rows).rev()) {
        let color = if OURS_ARE.contains(&row.server.as_str()) { OURS } else { OTHERS };
        let mut bar =
            Rectangle::new([(0.0, SegmentValue::Exact(at)), (*cost, SegmentValue::Exact(at + 1))], color.filled());
        bar.set_margin(3, 3, 0, 0);
        let end = EmptyElement::at((*cost, SegmentValue::CenterOf(at)));
        let figure = end + Text::new(format!("{cost:.3}"), (5, -6), ("sans-serif", 13));
        chart.draw_series([bar]).map_err(problem)?;
        chart.draw_series([figure]).map_err(problem)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::plot::tests::texts;

    #[test]
    fn each_server_has_its_name_and_figure_and_ticks_are_short() -> Result<()> {
        let row = |(server, cost): (&str, f64)| Row {
            server: server.to_owned(),
            rounds: vec![Measurement {
                events: 1_000_000,
                elapsed: 1.0,
                server_cpu: cost,
                server_system_share: 0.1,
                behind_cpu: 0.0,
                client_cpu: 0.1,
                elsewhere_cores: 0.0,
            }],
        };
        let servers = [("bare", 0.238), ("usual", 2.816), ("gateway", 0.299)].map(row).into();
        let report = Report {
            machine: Machine::look(Path::new(".")),
            connections: 8,
            seconds: 1.0,
            settings: Vec::new(),
            servers: Vec::new(),
            missing: Vec::new(),
            cases: vec![CaseResult { case: "stream-100".to_owned(), servers }],
        };
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("side_by_side.svg");
        draw(&report, &path)?;
        let texts = texts(&path)?;
        for text in ["bare", "usual", "gateway", "0.238", "2.816", "0.299", "0.5", "1"] {
            assert!(texts.iter().any(|there| there == text), "no {text} in {texts:?}");
        }
        Ok(())
    }
}
