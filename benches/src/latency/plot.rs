//! Latency over the share of batches that were answered by then: a panel for each load.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::{AtLoad, QUANTILES, Report};
use crate::Result;
use crate::plot::{BARE, GATEWAY, PANEL, WIDTH, legend, line, log_axis, problem, tick};

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

/// Shares with a tick.
const TICKS: [f64; 6] = [0.1, 0.5, 0.9, 0.95, 0.99, 0.999];

/// One in so many is slower. On a logarithmic scale nines are as far from each other as they are from 0.
fn place(share: f64) -> f64 {
    1.0 / (1.0 - share)
}

fn panel_of(at: &AtLoad, panel: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<()> {
    let all = || at.bare.iter().chain(&at.gateway).copied();
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let right = place(QUANTILES[QUANTILES.len() - 1]);
    let mut chart = ChartBuilder::on(panel)
        .caption(format!("latency at {} % load, ms", at.load), ("sans-serif", 17))
        .margin(12)
        .margin_right(28)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(
            (1.0..right).log_scale().with_key_points(TICKS.map(place).to_vec()),
            log_axis(least * 0.8..most * 1.3),
        )
        .map_err(problem)?;
    let share = |place: &f64| format!("{} %", (1e5 * (1.0 - 1.0 / place)).round() / 1e3);
    chart
        .configure_mesh()
        .label_style(("sans-serif", 13))
        .x_label_formatter(&share)
        .y_label_formatter(&tick)
        .draw()
        .map_err(problem)?;
    for (name, color, latencies) in [("gateway", GATEWAY, &at.gateway), ("bare tonic + prost", BARE, &at.bare)] {
        let points = QUANTILES.iter().zip(latencies).map(|(share, latency)| (place(*share), *latency));
        line(&mut chart, (name, color), &points.collect::<Vec<_>>())?;
    }
    legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Options;
    use crate::machine::Machine;
    use crate::plot::tests::texts;
    use clap::Parser;

    #[test]
    fn shares_and_milliseconds_have_their_ticks() -> Result<()> {
        let options = Options::parse_from(["latency"]);
        let mut report = Report::new(Machine::look(Path::new(".")), &options, 1e6);
        let mut at = AtLoad::new(70, 1e6);
        at.bare = vec![0.05, 0.06, 0.07, 0.1, 0.2, 0.3, 0.5, 1.1, 2.9];
        at.gateway = at.bare.iter().map(|bare| bare + 0.7).collect();
        report.loads.push(at);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("latency.svg");
        draw(&report, &path)?;
        let texts = texts(&path)?;
        for tick in ["50 %", "99 %", "99.9 %", "0.05", "0.1", "1", "2"] {
            assert!(texts.iter().any(|text| text == tick), "no {tick} in {texts:?}");
        }
        Ok(())
    }
}
