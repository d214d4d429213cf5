//! Figures as people read them: thousands separated, units that fit the size, three or four digits that mean something.

use std::time::{Duration, UNIX_EPOCH};

pub(super) use crate::words::count;

/// A number of any size, with three digits that mean something unless it is whole: `0.0123`, `1.23`, `45.6`, `12,345`.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "−" } else { "" };
    let text = match size {
        _ if !value.is_finite() => return "–".into(),
        _ if size.fract() == 0.0 => count(size as u64),
        _ if size >= 99.95 => count(size.round() as u64),
        _ if size >= 9.995 => format!("{size:.1}"),
        _ if size >= 0.0995 => format!("{size:.2}"),
        _ if size >= 0.000_1 => format!("{size:.4}"),
        _ => format!("{size:.1e}"),
    };
    format!("{sign}{text}")
}

/// A number on an axis: `0`, `250`, `1.5 k`, `20 M`.
pub(super) fn short(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    format!("{}{suffix}", trimmed(scaled))
}

/// A latency in microseconds, in the unit that fits: `850 µs`, `1.42 ms`, `2.66 s`, `3 min 20 s`.
pub(super) fn micros(us: f64) -> String {
    match us {
        _ if !us.is_finite() => "–".into(),
        _ if us < 999.5 => format!("{us:.0} µs"),
        _ if us < 9_995.0 => format!("{:.2} ms", us / 1e3),
        _ if us < 99_950.0 => format!("{:.1} ms", us / 1e3),
        _ if us < 999_500.0 => format!("{:.0} ms", us / 1e3),
        _ if us < 9_995_000.0 => format!("{:.2} s", us / 1e6),
        _ if us < 119_500_000.0 => format!("{:.1} s", us / 1e6),
        _ => span(us / 1e6),
    }
}

/// A latency on an axis: `1 ms`, `200 µs`.
pub(super) fn micros_short(us: f64) -> String {
    match us {
        _ if us < 1e3 => format!("{} µs", trimmed(us)),
        _ if us < 1e6 => format!("{} ms", trimmed(us / 1e3)),
        _ => format!("{} s", trimmed(us / 1e6)),
    }
}

/// The same as [`micros`].
pub(super) fn latency(value: Duration) -> String {
    micros(value.as_micros() as f64)
}

/// A span of time: `40 s`, `12 min 5 s`, `8 h 3 min`.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {small_unit}"),
    };
    match whole {
        0..10 if seconds.fract() != 0.0 => format!("{} s", trimmed((seconds * 100.0).round() / 100.0)),
        0..120 => format!("{whole} s"),
        120..3_600 => two(whole / 60, "min", whole % 60, "s"),
        _ => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
    }
}

/// Bytes: `38.0 B`, `371 MiB`.
pub(super) fn bytes(value: f64) -> String {
    let (size, unit) = byte_unit(value.abs());
    let scaled = value / size;
    if unit == "B" && scaled.fract() != 0.0 { format!("{scaled:.1} B") } else { digits(scaled, unit) }
}

/// The unit that fits so many bytes: its size and its name.
pub(super) fn byte_unit(bytes: f64) -> (f64, &'static str) {
    match bytes {
        _ if bytes < 1_024.0 => (1.0, "B"),
        _ if bytes < 1_048_576.0 => (1_024.0, "KiB"),
        _ if bytes < 1_073_741_824.0 => (1_048_576.0, "MiB"),
        _ => (1_073_741_824.0, "GiB"),
    }
}

fn digits(value: f64, unit: &str) -> String {
    if value >= 99.95 || unit == "B" { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A share of 0 to 1 as a percentage; a small one keeps its digits, and one that is not quite all never reads `100 %`.
pub(super) fn share(value: f64) -> String {
    let percent = value * 100.0;
    match percent {
        _ if !percent.is_finite() => "–".into(),
        0.0 | 100.0 => format!("{percent:.0} %"),
        _ if percent < 0.01 => "< 0.01 %".into(),
        _ if percent < 1.0 => format!("{percent:.2} %"),
        _ if percent > 99.99 && percent < 100.0 => "> 99.99 %".into(),
        _ if percent > 99.0 && percent < 100.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// A part of a whole as a percentage; nothing where there is no whole.
pub(super) fn part(some: u64, all: u64) -> String {
    if all == 0 { "–".into() } else { share(some as f64 / all as f64) }
}

/// An instant in seconds of Unix time: `2026-11-24 20:16:36 UTC`.
pub(super) fn instant(unix_s: f64) -> String {
    let Ok(since) = Duration::try_from_secs_f64(unix_s) else { return "–".into() };
    // Past the year 9999 there is no such text.
    if since.as_secs() > 253_402_300_799 {
        return "–".into();
    }
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// Up to three decimals, none of them a trailing zero.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let numbers = [0.0, 0.0123, 0.5, 2.857, 45.67, 99.96, 12_345.6, -3.2, f64::NAN].map(number);
        assert_eq!(numbers, ["0", "0.0123", "0.50", "2.86", "45.7", "100", "12,346", "−3.20", "–"]);
        let times = [0.0, 850.0, 999.6, 1_420.0, 14_000.0, 791_000.0, 999_900.0, 2_660_000.0, 200e6].map(micros);
        assert_eq!(
            times,
            ["0 µs", "850 µs", "1.00 ms", "1.42 ms", "14.0 ms", "791 ms", "1.00 s", "2.66 s", "3 min 20 s"]
        );
        assert_eq!(
            [0.25, 40.0, 60.0, 725.0, 28_980.0].map(span),
            ["0.25 s", "40 s", "60 s", "12 min 5 s", "8 h 3 min"]
        );
        assert_eq!([38.04, 512.0, 389_021_696.0, 3.3e9].map(bytes), ["38.0 B", "512 B", "371 MiB", "3.1 GiB"]);
        assert_eq!([0.0, 250.0, 1_500.0, 2e7].map(short), ["0", "250", "1.5 k", "20 M"]);
        let shares = [0.0, 1e-6, 0.0042, 0.5, 0.9987, 0.999_999, 1.0].map(share);
        assert_eq!(shares, ["0 %", "< 0.01 %", "0.42 %", "50.0 %", "99.87 %", "> 99.99 %", "100 %"]);
        assert_eq!(instant(1_790_000_000.7), "2026-09-21 14:13:20 UTC");
        assert_eq!([f64::NAN, -1.0, 1e300].map(instant), ["–"; 3]);
    }
}
