//! The curves as a plot: a panel for each, cost over what changes, both on logarithmic scales.

use std::path::Path;

use plotters::prelude::*;

use super::report::{Curve, Measured, Report};
use crate::Result;
use crate::plot::{BARE, GATEWAY, PANEL, WIDTH, legend, line, problem};

/// Name, color, and what of a point it shows.
type Line = (&'static str, RGBColor, fn(&Measured) -> f64);

/// Draws a report as an SVG file.
///
/// # Errors
/// If it can't be written.
pub fn draw(report: &Report, path: &Path) -> Result<()> {
    let curves: Vec<&Curve> = report.curves.iter().filter(|curve| curve.points.len() > 1).collect();
    let height = PANEL * u32::try_from(curves.len()).unwrap_or(1).max(1);
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE).map_err(problem)?;
    for (curve, panel) in curves.iter().zip(area.split_evenly((curves.len().max(1), 1))) {
        panel_of(curve, &panel)?;
    }
    Ok(())
}

fn panel_of(curve: &Curve, panel: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<()> {
    let at = |point: &Measured| f64::from(point.value);
    let costs = || curve.points.iter().flat_map(|point| [point.gateway.median, point.bare.median]);
    let (least, most) = (costs().fold(f64::MAX, f64::min), costs().fold(0.0, f64::max));
    let first = curve.points.iter().map(at).fold(f64::MAX, f64::min);
    let last = curve.points.iter().map(at).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("CPU seconds per million events over {}", curve.dimension.name()), ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d((first * 0.9..last * 1.1).log_scale(), (least * 0.7..most * 1.4).log_scale())
        .map_err(problem)?;
    chart.configure_mesh().label_style(("sans-serif", 13)).draw().map_err(problem)?;
    let lines: [Line; 2] = [
        ("gateway, discarding", GATEWAY, |point| point.gateway.median),
        ("bare tonic + prost", BARE, |point| point.bare.median),
    ];
    for (name, color, cost) in lines {
        let points: Vec<_> = curve.points.iter().map(|point| (at(point), cost(point))).collect();
        line(&mut chart, (name, color), &points)?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperRight)
}
