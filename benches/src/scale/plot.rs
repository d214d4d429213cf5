//! The curves as a plot: a panel for each, cost over what changes, both on logarithmic scales.

use std::path::Path;

use plotters::prelude::*;

use super::report::{Curve, Measured, Report};
use crate::Result;
use crate::plot::{BARE, GATEWAY, PANEL, WIDTH, legend, line, log_axis, problem, tick};

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
    let values: Vec<f64> = curve.points.iter().map(at).collect();
    let (first, last) =
        values.iter().fold((f64::MAX, 0.0), |(first, last): (f64, f64), value| (first.min(*value), last.max(*value)));
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("CPU seconds per million events over {}", curve.dimension.name()), ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(
            (first * 0.9..last * 1.1).log_scale().with_key_points(values),
            log_axis(least * 0.7..most * 1.4),
        )
        .map_err(problem)?;
    let mut mesh = chart.configure_mesh();
    mesh.label_style(("sans-serif", 13)).x_label_formatter(&tick).y_label_formatter(&tick);
    mesh.draw().map_err(problem)?;
    let lines: [Line; 2] = [
        ("gateway, discarding", GATEWAY, |point| point.gateway.median),
        ("bare tonic + prost", BARE, |point| point.bare.median),
    ];
    for (name, color, cost) in lines {
        let points: Vec<_> = curve.points.iter().map(|point| (at(point), cost(point))).collect();
        line(&mut chart, (name, color), &points)?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperMiddle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::measurement::Spread;
    use crate::plot::tests::texts;
    use crate::scale::Dimension;

    #[test]
    fn every_point_has_its_tick_and_costs_have_theirs() -> Result<()> {
        let cost = |median: f64| Spread { median, min: median, max: median };
        let point = |(value, gateway)| Measured {
            value,
            gateway: cost(gateway),
            bare: cost(0.27),
            ratio: cost(gateway / 0.27),
            gateway_rate: 1e6,
            noise: 0.0,
        };
        let points = [(1, 0.48), (8, 0.34), (64, 0.34), (512, 0.5), (5_000, 0.6)].map(point).to_vec();
        let curves = vec![Curve { dimension: Dimension::Connections, points }];
        let report = Report { machine: Machine::look(Path::new(".")), seconds: 1.0, curves, idle: None };
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("scale.svg");
        draw(&report, &path)?;
        let texts = texts(&path)?;
        for tick in ["1", "8", "64", "512", "5,000", "0.2", "0.5"] {
            assert!(texts.iter().any(|text| text == tick), "no {tick} in {texts:?}");
        }
        Ok(())
    }
}
