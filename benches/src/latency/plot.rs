//! Latency over the share of batches that were answered by then: a panel for each load.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::{AtLoad, QUANTILES, Report};
use crate::Result;
use crate::plot::{BARE, GATEWAY, PANEL, WIDTH, legend, line, problem};

/// Draws a report as an SVG file.
///
/// # Errors
/// If it can't be written.
pub fn draw(report: &Report, path: &Path) -> Result<()> {
    let panels = report.loads.len().max(1);
    let area = SVGBackend::new(path, (WIDTH, PANEL * u32::try_from(panels)?)).into_drawing_area();
    area.fill(&WHITE).map_err(problem)?;
    for (at, panel) in report.loads.iter().zip(area.split_evenly((panels, 1))) {
        panel_of(at, &panel)?;
    }
    Ok(())
}

/// Nines are as far from each other as they are from 0.
fn place(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn panel_of(at: &AtLoad, panel: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<()> {
    let all = || at.bare.iter().chain(&at.gateway).copied();
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let right = place(QUANTILES[QUANTILES.len() - 1]);
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("latency at {} % load, ms", at.load), ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..right, (least * 0.8..most * 1.3).log_scale())
        .map_err(problem)?;
    let share = |place: &f64| format!("{} %", (1e5 * (1.0 - 10_f64.powf(-place))).round() / 1e3);
    chart
        .configure_mesh()
        .label_style(("sans-serif", 13))
        .x_labels(7)
        .x_label_formatter(&share)
        .draw()
        .map_err(problem)?;
    for (name, color, latencies) in [("gateway", GATEWAY, &at.gateway), ("bare tonic + prost", BARE, &at.bare)] {
        let points = QUANTILES.iter().zip(latencies).map(|(share, latency)| (place(*share), *latency));
        line(&mut chart, (name, color), &points.collect::<Vec<_>>())?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}
