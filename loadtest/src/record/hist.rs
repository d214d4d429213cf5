//! Latencies in microseconds, in a high dynamic range histogram with three significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones: 10 minutes.
const LONGEST_US: u64 = 600_000_000;

/// A histogram of latencies.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

/// Percentiles of latencies; zero where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half were faster.
    pub p50: Duration,
    /// 90 % were faster.
    pub p90: Duration,
    /// 99 % were faster.
    pub p99: Duration,
    /// 99.9 % were faster.
    pub p999: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram =
            Histogram::new_with_bounds(1, LONGEST_US, 3).expect("1 µs to 10 min in 3 digits is a valid range");
        Self { histogram }
    }
}

impl Latencies {
    /// Records the same latency for so many events; longer than 10 minutes counts as 10 minutes.
    pub(crate) fn record(&mut self, latency: Duration, events: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.histogram.saturating_record_n(micros.max(1), events);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all histograms have the same bounds");
    }

    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
    }

    /// How many latencies are recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency below which this share of all lies, 0 to 1.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.histogram.value_at_quantile(share))
    }

    /// The usual percentiles.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: Duration::from_micros(self.histogram.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_three_digits() {
        let mut one = Latencies::default();
        let mut other = Latencies::default();
        for millis in 1..=1_000 {
            let half = if millis % 2 == 0 { &mut one } else { &mut other };
            half.record(Duration::from_millis(millis), 10);
        }
        one.add(&other);
        assert_eq!(one.count(), 10_000);
        let percentiles = one.percentiles();
        for (found, expected) in [(percentiles.p50, 500), (percentiles.p99, 990), (percentiles.max, 1_000)] {
            let ratio = found.as_secs_f64() * 1e3 / f64::from(expected);
            assert!((0.998..1.002).contains(&ratio), "{found:?} for {expected} ms");
        }
        one.record(Duration::from_secs(86_400), 1);
        assert_eq!(one.percentiles().max.as_secs(), 600);
        one.clear();
        assert_eq!(one.percentiles(), Percentiles::default());
    }
}
