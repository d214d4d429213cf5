//! Values as SVG path data, in a box 1,000 wide that is stretched to the plot's width.

use std::fmt::Write as _;

/// The width of the box.
pub(super) const WIDTH: f64 = 1_000.0;

/// How values lie along the horizontal axis.
#[derive(Clone, Copy)]
pub(super) enum Spread {
    /// Each value stands for its whole step.
    Steps,
    /// The first value lies at the beginning, the last at the end.
    Points,
}

/// A line through the values; it is broken where there are none, and a lone value is as long as its step.
pub(super) fn line(values: &[Option<f64>], spread: Spread, height_of: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut first = 0;
    for stretch in values.split(Option::is_none) {
        if !stretch.is_empty() {
            stretch_of_line(&mut path, stretch, first, values.len(), spread, &height_of);
        }
        first += stretch.len() + 1;
    }
    path
}

fn stretch_of_line(
    path: &mut String,
    stretch: &[Option<f64>],
    first: usize,
    all: usize,
    spread: Spread,
    height_of: impl Fn(f64) -> f64,
) {
    let heights: Vec<f64> = stretch.iter().flatten().map(|value| height_of(*value)).collect();
    let (Some(begins), Some(ends)) = (heights.first(), heights.last()) else { return };
    let step = match spread {
        Spread::Steps => WIDTH / all as f64,
        Spread::Points => WIDTH / (all.max(2) - 1) as f64,
    };
    let at = |place: usize| (first + place) as f64 * step;
    match spread {
        Spread::Steps => {
            let _ = write!(path, "M{:.1} {begins:.1}", at(0));
            if heights.len() > 1 {
                for (place, height) in heights.iter().enumerate() {
                    let _ = write!(path, "L{:.1} {height:.1}", at(place) + step / 2.0);
                }
            }
            let _ = write!(path, "L{:.1} {ends:.1}", at(heights.len()));
        }
        Spread::Points => {
            for (place, height) in heights.iter().enumerate() {
                let _ = write!(path, "{}{:.1} {height:.1}", if place == 0 { 'M' } else { 'L' }, at(place));
            }
        }
    }
}

/// The area between two lines of equal length, in steps.
pub(super) fn band(lower: &[f64], upper: &[f64], height_of: impl Fn(f64) -> f64) -> String {
    let step = WIDTH / upper.len().max(1) as f64;
    let mut path = String::new();
    let mut place = 0;
    // Only where there is something between the lines: long runs without errors cost nothing.
    while place < upper.len() {
        if upper[place] <= lower[place] {
            place += 1;
            continue;
        }
        let end = (place..upper.len()).find(|at| upper[*at] <= lower[*at]).unwrap_or(upper.len());
        let _ = write!(path, "M{:.1} {:.1}", place as f64 * step, height_of(lower[place]));
        for (at, value) in upper.iter().enumerate().take(end).skip(place) {
            let _ = write!(path, "V{:.1}H{:.1}", height_of(*value), (at + 1) as f64 * step);
        }
        for (at, value) in lower.iter().enumerate().take(end).skip(place).rev() {
            let _ = write!(path, "V{:.1}H{:.1}", height_of(*value), at as f64 * step);
        }
        path.push('Z');
        place = end;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let values = [Some(1.0), Some(2.0), None, Some(3.0)];
        assert_eq!(
            line(&values, Spread::Steps, |value| value),
            "M0.0 1.0L125.0 1.0L375.0 2.0L500.0 2.0M750.0 3.0L1000.0 3.0"
        );
        assert_eq!(line(&[None, None], Spread::Steps, |value| value), "");
        assert_eq!(line(&[Some(4.0), Some(5.0)], Spread::Points, |value| value), "M0.0 4.0L1000.0 5.0");
    }

    #[test]
    fn a_band_is_drawn_where_it_has_a_height() {
        assert_eq!(band(&[0.0, 0.0], &[0.0, 2.0], |value| value), "M500.0 0.0V2.0H1000.0V0.0H500.0Z");
        assert_eq!(band(&[1.0], &[1.0], |value| value), "");
    }
}
