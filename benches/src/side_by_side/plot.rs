//! The figures as a plot: a bar for each server, a panel for each case, on a logarithmic scale.

use std::path::Path;

use plotters::prelude::*;

use super::report::{CaseResult, Report, Row};
use crate::measurement::{Measurement, Spread};
use crate::{Error, Result};

const WIDTH: u32 = 900;
const BAR: u32 = 22;
/// For a panel's title and axis.
const AROUND: u32 = 90;
const NAMES: u32 = 120;
const OURS_ARE: [&str; 5] = ["gateway", "kinesis", "kinesis-tls", "firehose", "lake"];
const OURS: RGBColor = RGBColor(31, 111, 178);
const OTHERS: RGBColor = RGBColor(150, 155, 160);

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

fn problem(error: impl std::fmt::Display) -> Error {
    format!("the plot can't be drawn: {error}").into()
}

fn panel_of(case: &CaseResult, panel: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<()> {
    let cost = |row: &Row| Spread::over(&row.rounds, Measurement::server_per_million).median;
    let costs: Vec<f64> = case.servers.iter().map(cost).collect();
    let (least, most) =
        costs.iter().fold((f64::MAX, f64::MIN), |(least, most), cost| (least.min(*cost), most.max(*cost)));
    let rows = i32::try_from(costs.len()).unwrap_or(0);
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("{}: server CPU seconds per million events", case.case), ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(26)
        .y_label_area_size(NAMES)
        .build_cartesian_2d((least / 2.0..most * 2.0).log_scale(), (0..rows).into_segmented())
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
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(problem)?;
    for ((row, cost), at) in case.servers.iter().zip(&costs).zip((0..rows).rev()) {
        let color = if OURS_ARE.contains(&row.server.as_str()) { OURS } else { OTHERS };
        let mut bar = Rectangle::new(
            [(least / 2.0, SegmentValue::Exact(at)), (*cost, SegmentValue::Exact(at + 1))],
            color.filled(),
        );
        bar.set_margin(3, 3, 0, 0);
        let figure = Text::new(format!(" {cost:.3}"), (*cost, SegmentValue::CenterOf(at)), ("sans-serif", 13));
        chart.draw_series([bar]).map_err(problem)?;
        chart.draw_series([figure]).map_err(problem)?;
    }
    Ok(())
}
