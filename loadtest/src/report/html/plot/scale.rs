//! Axes: where a value lies, and which values get a mark.

use super::super::format;

/// What an axis counts in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Unit {
    /// Microseconds.
    Time,
    /// Anything countable, or so many a second.
    Count,
    /// A share of 0 to 1.
    Share,
    /// Bytes, marked at round KiB, MiB or GiB.
    Bytes,
}

impl Unit {
    /// Its name in the script.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Count => "count",
            Self::Share => "share",
            Self::Bytes => "bytes",
        }
    }

    /// Bytes are counted in units of this size and name.
    fn tick(self, value: f64, (size, name): (f64, &str)) -> String {
        match self {
            Self::Time => format::micros_short(value),
            Self::Count => format::short(value),
            Self::Share => format!("{:.0} %", value * 100.0),
            Self::Bytes => format!("{} {name}", format::short(value / size)),
        }
    }
}

const ONES: (f64, &str) = (1.0, "");

/// A vertical axis.
#[derive(Clone, Copy)]
pub(in super::super) struct Scale {
    unit: Unit,
    low: f64,
    top: f64,
    /// Between the marks of a linear axis.
    step: f64,
    /// What bytes are counted in along it: the size and the name.
    counted_in: (f64, &'static str),
    log: bool,
}

/// A mark on an axis.
pub(super) struct Tick {
    /// 0 at the axis's beginning, 1 at its end.
    pub(super) place: f64,
    pub(super) label: String,
    /// Whether it has room on a phone.
    pub(super) narrow: bool,
}

impl Scale {
    /// From zero to a round value at or above the highest.
    pub(in super::super) fn linear(unit: Unit, highest: f64) -> Self {
        let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
        let counted_in = if unit == Unit::Bytes { format::byte_unit(highest) } else { ONES };
        let step = nice_step(highest / counted_in.0) * counted_in.0;
        Self { unit, low: 0.0, top: (highest / step).ceil() * step, step, counted_in, log: false }
    }

    /// From a round value at or below the lowest to one at or above the highest; at least a factor of ten apart.
    pub(in super::super) fn log(unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut lowest, mut highest) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            lowest = lowest.min(value.max(1.0));
            highest = highest.max(value.max(1.0));
        }
        if lowest > highest {
            (lowest, highest) = (100.0, 100_000.0);
        }
        let (mut low, mut top) = (round_below(lowest), round_above(highest.max(round_below(lowest) * 10.0)));
        if top / low > 100.0 {
            // Over several decades only these get a mark: the ends too.
            (low, top) = (10_f64.powf(low.log10().floor()), 10_f64.powf((top * 0.999).log10().ceil()));
        }
        Self { unit, low, top, step: 0.0, counted_in: ONES, log: true }
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    /// Where a value lies: 0 at the bottom, 1 at the top; what lies outside is drawn at the edge.
    pub(in super::super) fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(self.low) / self.low).ln() / (self.top / self.low).ln()
        } else {
            (value - self.low) / (self.top - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// So many parts for each decade of a log axis.
    pub(super) fn decades(&self, parts: f64) -> usize {
        (((self.top / self.low.max(1e-9)).log10() * parts).ceil() as usize).max(1)
    }

    pub(super) fn ticks(&self, height: f64) -> Vec<Tick> {
        let values = if self.log { self.log_values(height) } else { self.linear_values(height) };
        let tick =
            |value| Tick { place: self.place(value), label: self.unit.tick(value, self.counted_in), narrow: true };
        values.into_iter().map(tick).collect()
    }

    fn linear_values(&self, height: f64) -> Vec<f64> {
        let step = if height < 100.0 { self.top / 2.0 } else { self.step };
        (0..=(self.top / step).round() as u32).map(|mark| f64::from(mark) * step).collect()
    }

    fn log_values(&self, height: f64) -> Vec<f64> {
        let room = (height / 22.0) as usize;
        let decades = self.low.log10().floor() as i32..=self.top.log10().ceil() as i32;
        let within = |value: &f64| *value >= self.low * 0.999 && *value <= self.top * 1.001;
        let marks = |of: &[f64]| -> Vec<f64> {
            decades
                .clone()
                .flat_map(|decade| of.iter().map(move |one| one * 10_f64.powi(decade)))
                .filter(within)
                .collect()
        };
        let fine = marks(&[1.0, 2.0, 5.0]);
        if fine.len() <= room {
            return fine;
        }
        let whole = marks(&[1.0]);
        if whole.len() < 2 {
            let mut ends = vec![self.low, self.top];
            ends.extend(whole.into_iter().filter(|mark| (0.2..=0.8).contains(&self.place(*mark))));
            return ends;
        }
        let every = whole.len().div_ceil(room.max(2));
        whole.into_iter().step_by(every).collect()
    }
}

/// The horizontal marks of a time axis: about eight, at round times.
pub(super) fn time_ticks(total: f64) -> Vec<Tick> {
    const STEPS: [u32; 22] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800,
        432_000, 864_000, 1_728_000,
    ];
    let step = STEPS.into_iter().find(|step| total / f64::from(*step) <= 8.5).unwrap_or(3_456_000);
    let marks = (total / f64::from(step)).floor() as u32;
    let label = |at: u32| match step {
        _ if at == 0 => "0".to_owned(),
        1_800.. => format!("{} h", format::short(f64::from(at) / 3_600.0)),
        60.. => format!("{} min", at / 60),
        _ => format!("{at} s"),
    };
    let tick = |mark: u32| Tick {
        place: f64::from(mark * step) / total,
        label: label(mark * step),
        narrow: marks < 5 || mark.is_multiple_of(2),
    };
    (0..=marks).map(tick).collect()
}

/// The horizontal marks of an axis of nines: half, 90 %, 99 %, 99.9 %, …
pub(super) fn nines_ticks(nines: f64) -> Vec<Tick> {
    let whole = 1..=nines.floor() as i32;
    let label = |nine: i32| match nine {
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        _ => format!("99.{} %", "9".repeat((nine - 2) as usize)),
    };
    let many = nines > 4.5;
    let half = Tick { place: 2_f64.log10() / nines, label: "50 %".into(), narrow: !many };
    let rest =
        whole.map(|nine| Tick { place: f64::from(nine) / nines, label: label(nine), narrow: !many || nine % 2 == 1 });
    std::iter::once(half).chain(rest).collect()
}

/// A round step that cuts the range into at most six.
fn nice_step(highest: f64) -> f64 {
    round_above(highest / 6.0)
}

/// The nearest of 1, 2 or 5 times a power of ten that is not above.
fn round_below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0].into_iter().map(|factor| factor * power).find(|round| *round <= value * 1.000_001).unwrap_or(power)
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

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn marks_lie_at_round_values_within_the_axis() {
        let linear = Scale::linear(Unit::Count, 43_210.0);
        assert_eq!(labels(&linear.ticks(200.0)), ["0", "10 k", "20 k", "30 k", "40 k", "50 k"]);
        let log = Scale::log(Unit::Time, [1_300.0, 900_000.0]);
        assert_eq!(labels(&log.ticks(100.0)), ["1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!((log.place(1_000.0), log.place(5_000_000.0), log.place(0.0)), (0.0, 1.0, 0.0));
        assert_eq!(labels(&Scale::log(Unit::Time, [300.0, 400.0]).ticks(200.0)), ["200 µs", "500 µs", "1 ms", "2 ms"]);
        let bytes = |highest: f64| Scale::linear(Unit::Bytes, highest * 1_048_576.0).ticks(200.0);
        assert_eq!(labels(&bytes(93.0)), ["0 MiB", "20 MiB", "40 MiB", "60 MiB", "80 MiB", "100 MiB"]);
        assert_eq!(labels(&bytes(1_020.0))[5..], ["1 k MiB", "1.2 k MiB"]);
        assert_eq!(labels(&bytes(1_500.0)), ["0 GiB", "0.5 GiB", "1 GiB", "1.5 GiB"]);
        assert_eq!(labels(&Scale::linear(Unit::Count, 0.0).ticks(60.0)), ["0", "0.5", "1"]);
        assert_eq!(labels(&time_ticks(40.0)), ["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s", "35 s", "40 s"]);
        assert_eq!(labels(&time_ticks(28_800.0)), ["0", "1 h", "2 h", "3 h", "4 h", "5 h", "6 h", "7 h", "8 h"]);
        assert_eq!(labels(&nines_ticks(4.2)), ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        for scale in [linear, log] {
            assert!(scale.ticks(240.0).iter().all(|tick| (0.0..=1.0).contains(&tick.place)));
        }
    }

    #[test]
    fn an_axis_without_values_still_has_marks() {
        for scale in [Scale::log(Unit::Time, []), Scale::linear(Unit::Count, f64::NAN)] {
            assert!(scale.ticks(200.0).len() > 2);
            assert!(scale.place(0.0).is_finite());
        }
    }
}
