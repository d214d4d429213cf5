//! Axes: where a value lies, and which values get a mark.

/// A vertical axis from zero.
pub(super) struct Scale {
    step: f64,
    top: f64,
}

/// A mark on the time axis.
pub(super) struct Mark {
    /// 0 at the axis's beginning, 1 now.
    pub(super) place: f64,
    pub(super) label: String,
    /// Whether it has room on a phone.
    pub(super) narrow: bool,
}

impl Scale {
    /// From zero to a round value at or above the highest, with marks that are at least so far apart.
    pub(super) fn linear(highest: f64, least_step: f64) -> Self {
        let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
        let step = round_above(highest / 4.0).max(least_step);
        Self { step, top: (highest / step).ceil() * step }
    }

    /// Where a value lies: 0 at the bottom, 1 at the top.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value / self.top).clamp(0.0, 1.0)
    }

    /// Round values from zero to the top.
    pub(super) fn marks(&self) -> Vec<f64> {
        let marks = (self.top / self.step).round() as u32;
        (0..=marks).map(|mark| f64::from(mark) * self.step).collect()
    }
}

/// Round times before now, at most seven.
pub(super) fn time_marks(span_s: f64) -> Vec<Mark> {
    const STEPS: [u32; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];
    if span_s <= 0.0 {
        return Vec::new();
    }
    let step = STEPS.into_iter().find(|step| span_s / f64::from(*step) <= 6.5).unwrap_or(86_400);
    let marks = (span_s / f64::from(step)).floor() as u32;
    let label = |before: u32| match before {
        0 => "now".to_owned(),
        _ if step >= 60 => format!("−{} min", before / 60),
        _ => format!("−{before} s"),
    };
    let mark = |mark: u32| Mark {
        place: 1.0 - f64::from(mark * step) / span_s,
        label: label(mark * step),
        narrow: mark.is_multiple_of(2),
    };
    (0..=marks).map(mark).collect()
}

/// The nearest of 1, 2 or 5 times a power of ten that is not below.
fn round_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factors = [1.0, 2.0, 5.0].into_iter();
    factors.map(|factor| factor * power).find(|round| *round >= value * 0.999_999).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_reach_the_highest_value() {
        assert_eq!(Scale::linear(43.0, 0.0).marks(), [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(Scale::linear(4.0, 0.0).marks(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(Scale::linear(1.0, 1.0).marks(), [0.0, 1.0], "there is no half of an event");
        for highest in [0.0, f64::NAN, 1e-3, 7.0, 123_456.0] {
            let scale = Scale::linear(highest, 0.0);
            assert!((3..=6).contains(&scale.marks().len()), "{highest}");
            assert!(scale.place(highest).is_nan() || scale.place(highest) <= 1.0);
        }
    }

    #[test]
    fn time_is_told_backwards_from_now() {
        let labels = |span| time_marks(span).into_iter().map(|mark| mark.label).collect::<Vec<_>>();
        assert_eq!(labels(300.0), ["now", "−1 min", "−2 min", "−3 min", "−4 min", "−5 min"]);
        assert_eq!(labels(3_600.0).len(), 7);
        assert_eq!(labels(60.0)[1], "−10 s");
        assert!(labels(0.0).is_empty());
    }
}
