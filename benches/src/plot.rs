//! What the plots of several benches have in common.

use std::ops::Range;

use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::combinators::{LogCoord, WithKeyPoints};
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use crate::{Error, Result};

pub(crate) const WIDTH: u32 = 900;
pub(crate) const PANEL: u32 = 260;
pub(crate) const GATEWAY: RGBColor = RGBColor(31, 111, 178);
pub(crate) const BARE: RGBColor = RGBColor(150, 155, 160);

/// An axis on a logarithmic scale, with ticks where it was told.
pub(crate) type LogAxis = WithKeyPoints<LogCoord<f64>>;

/// A panel whose values are on a logarithmic scale.
pub(crate) type Chart<'a, 'b, X> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, LogAxis>>;

/// A logarithmic axis with ticks at 1, 2 and 5 of each power of ten.
pub(crate) fn log_axis(range: Range<f64>) -> LogAxis {
    let decades = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let ticks = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(decade)));
    let ticks = ticks.filter(|tick| range.contains(tick)).collect();
    range.log_scale().with_key_points(ticks)
}

/// What a tick says: three digits, and no more than it takes.
pub(crate) fn tick(value: &f64) -> String {
    if *value >= 1_000.0 {
        return thousands(*value as u32);
    }
    let decimals = (2 - value.abs().max(1e-9).log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number with a comma before its last three digits.
pub(crate) fn thousands(number: u32) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

pub(crate) fn problem(error: impl std::fmt::Display) -> Error {
    format!("the plot can't be drawn: {error}").into()
}

/// Draws a line with a mark at each of its points.
pub(crate) fn line<X: Ranged<ValueType = f64>>(
    chart: &mut Chart<'_, '_, X>,
    (name, color): (&str, RGBColor),
    points: &[(f64, f64)],
) -> Result<()> {
    chart
        .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))
        .map_err(problem)?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled()))).map_err(problem)?;
    Ok(())
}

/// Says which line is which.
pub(crate) fn legend<'a, 'b: 'a, X: Ranged<ValueType = f64>>(
    chart: &mut Chart<'a, 'b, X>,
    position: SeriesLabelPosition,
) -> Result<()> {
    chart
        .configure_series_labels()
        .position(position)
        .label_font(("sans-serif", 13))
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(problem)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;

    /// What a plot says, text by text.
    pub(crate) fn texts(plot: &Path) -> Result<Vec<String>> {
        let svg = std::fs::read_to_string(plot)?;
        let texts = svg.split("<text").skip(1).filter_map(|text| text.split_once('>')?.1.split_once("</text>"));
        Ok(texts.map(|(text, _)| text.trim().to_owned()).collect())
    }

    #[test]
    fn ticks_are_short() {
        let values = [0.1 + 0.2, 0.05, 1.0, 2.5, 20.0, 500.0, 5_000.0, 16_384.0];
        assert_eq!(values.map(|value| tick(&value)), ["0.3", "0.05", "1", "2.5", "20", "500", "5,000", "16,384"]);
    }

    #[test]
    fn a_logarithmic_axis_has_ticks_however_narrow() {
        for range in [0.19..0.84, 0.3..0.7, 0.1..20.0] {
            let ticks = log_axis(range.clone()).bold_points().to_vec();
            assert!(!ticks.is_empty() && ticks.is_sorted() && ticks.iter().all(|tick| range.contains(tick)));
        }
        assert_eq!(
            log_axis(0.15..6.0).bold_points().iter().map(tick).collect::<Vec<_>>(),
            ["0.2", "0.5", "1", "2", "5"]
        );
    }
}
