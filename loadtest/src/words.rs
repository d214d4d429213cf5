//! Numbers as people read them.

use std::time::Duration;

/// `1,234,567`
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `41.7 MiB`
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    match mib {
        1024.0.. => format!("{:.1} GiB", mib / 1024.0),
        100.0.. => format!("{mib:.0} MiB"),
        1.0.. => format!("{mib:.1} MiB"),
        _ => format!("{:.0} KiB", mib * 1024.0),
    }
}

/// `3.1 ms`, with three digits at most.
#[must_use]
pub fn latency(latency: Duration) -> String {
    let millis = latency.as_secs_f64() * 1e3;
    match millis {
        10_000.0.. => format!("{:.1} s", millis / 1e3),
        1_000.0.. => format!("{:.2} s", millis / 1e3),
        100.0.. => format!("{millis:.0} ms"),
        10.0.. => format!("{millis:.1} ms"),
        _ => format!("{millis:.2} ms"),
    }
}

/// `20 s`, `1 min 30 s`, `8 h`, `1 h 30 min`
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (60.., _) if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        (minutes @ 60.., _) => format!("{} h {} min", minutes / 60, minutes % 60),
        (0, _) if duration.subsec_millis() > 0 => format!("{:.1} s", duration.as_secs_f64()),
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let counts = [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")];
        for (number, text) in counts {
            assert_eq!(count(number), text);
        }
        for (size, text) in [(512 << 10, "512 KiB"), (44_040_192, "42.0 MiB"), (2 << 30, "2.0 GiB")] {
            assert_eq!(bytes(size), text);
        }
        for (micros, text) in [(940, "0.94 ms"), (31_400, "31.4 ms"), (314_000, "314 ms"), (2_660_000, "2.66 s")] {
            assert_eq!(latency(Duration::from_micros(micros)), text);
        }
        let short = [(20_000, "20 s"), (1_500, "1.5 s"), (90_000, "1 min 30 s"), (120_000, "2 min")];
        let long = [(28_800_000, "8 h"), (5_400_000, "1 h 30 min"), (3_630_000, "1 h 0 min")];
        for (millis, text) in short.into_iter().chain(long) {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
