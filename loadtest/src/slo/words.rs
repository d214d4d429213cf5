//! Figures in words: three significant digits, with their unit.

use super::rule::Unit;
pub(crate) use crate::words::count;

/// A figure in the unit that figures are in: microseconds, a share from 0 to 1, events a second, or a bare number.
pub(crate) fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Us | Unit::Ms | Unit::S => time(value),
        Unit::Percent => format!("{}%", short(value * 100.0)),
        Unit::EventsPerSecond => format!("{} events/s", short(value)),
        Unit::Plain => short(value),
    }
}

/// A time in microseconds.
pub(crate) fn time(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", short(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", short(us / 1e3)),
        us => format!("{} us", short(us)),
    }
}

/// Three significant digits, whole numbers from 100 on in full.
fn short(value: f64) -> String {
    let size = value.abs();
    if (100.0..1e15).contains(&size) {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", count(size.round() as u64));
    }
    let decimals = if size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 9) as usize };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_units() {
        for (value, unit, expected) in [
            (0.0, Unit::Us, "0 us"),
            (850.0, Unit::S, "850 us"),
            (12_345.0, Unit::Ms, "12.3 ms"),
            (2_660_000.0, Unit::Us, "2.66 s"),
            (0.001_234, Unit::Percent, "0.123%"),
            (1.0, Unit::Percent, "100%"),
            (51_234.4, Unit::EventsPerSecond, "51,234 events/s"),
            (7.0, Unit::Plain, "7"),
            (-1_234.0, Unit::Plain, "-1,234"),
            (1.204, Unit::Plain, "1.2"),
        ] {
            assert_eq!(figure(value, unit), expected);
        }
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
