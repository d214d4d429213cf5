//! What the plots of several benches have in common.

use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::combinators::LogCoord;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use crate::{Error, Result};

pub(crate) const WIDTH: u32 = 900;
pub(crate) const PANEL: u32 = 260;
pub(crate) const GATEWAY: RGBColor = RGBColor(31, 111, 178);
pub(crate) const BARE: RGBColor = RGBColor(150, 155, 160);

/// A panel whose values are on a logarithmic scale.
pub(crate) type Chart<'a, 'b, X> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, LogCoord<f64>>>;

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
