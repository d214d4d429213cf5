//! Percentiles of the last minute, for what takes gauges and no histograms: the CloudWatch agent, which hands on counters
//! and gauges of `/metrics` and nothing else.
//!
//! Nothing is recorded a second time. Once a minute the buckets of a histogram are read, and what came since the minute
//! before is their difference. A percentile is as exact as the buckets are wide (they double), interpolated within its
//! bucket as Prometheus's `histogram_quantile` does it. A minute in which nothing was observed has none: the gauges go,
//! rather than stand still at what no longer is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::{Histogram, Metrics, Ratio};

/// One scrape's worth: the CloudWatch agent comes once a minute.
const MINUTE: Duration = Duration::from_secs(60);
/// The label's values, and the part of observations below each.
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
/// Which histogram shows as which gauges.
const SHOWN: [(Histogram, Ratio); 4] = [
    (Histogram::BatchSeconds, Ratio::BatchLastMinute),
    (Histogram::PutSeconds, Ratio::PutLastMinute),
    (Histogram::DeliverySeconds, Ratio::DeliveryLastMinute),
    (Histogram::SyncSeconds, Ratio::SyncLastMinute),
];

/// Keeps the gauges. Cheap to share.
#[derive(Debug)]
pub struct LastMinute {
    metrics: Arc<Metrics>,
    before: Mutex<Vec<Buckets>>,
}

impl LastMinute {
    /// Counts from now on.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>) -> Arc<Self> {
        let before = SHOWN.iter().map(|(histogram, _)| Buckets::of(metrics, *histogram)).collect();
        Arc::new(Self { metrics: Arc::clone(metrics), before: Mutex::new(before) })
    }

    /// Sets the gauges at the end of each minute. To be run as a task.
    pub async fn run(self: Arc<Self>) {
        let mut minutes = tokio::time::interval(MINUTE);
        // The first tick is at once: nothing is over yet.
        minutes.tick().await;
        loop {
            minutes.tick().await;
            self.turn();
        }
    }

    /// A minute is over.
    fn turn(&self) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        for ((histogram, gauge), before) in SHOWN.iter().zip(before.iter_mut()) {
            let now = Buckets::of(&self.metrics, *histogram);
            let since = now.since(before);
            for (label, part) in PERCENTILES {
                match since.percentile(part) {
                    Some(seconds) => {
                        self.metrics.ratio(*gauge, &[label]).set(seconds);
                    }
                    None => self.metrics.forget_ratio(*gauge, &[label]),
                }
            }
            *before = now;
        }
    }
}

/// A histogram's buckets: upper bounds, the last one infinite, and how many observations are not above each.
#[derive(Clone, Debug, Default, PartialEq)]
struct Buckets(Vec<(f64, u64)>);

impl Buckets {
    /// As they stand. The library hands them out only as text.
    fn of(metrics: &Metrics, histogram: Histogram) -> Self {
        let mut registry = Registry::default();
        registry.register("h", "", metrics.histogram(histogram));
        let mut exposed = String::new();
        if text::encode(&mut exposed, &registry).is_err() {
            return Self::default();
        }
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix("h_bucket{le=\"")?.split_once("\"} ")?;
            Some((bound.parse().ok()?, count.parse().ok()?))
        };
        Self(exposed.lines().filter_map(bucket).collect())
    }

    /// What came since `before`.
    fn since(&self, before: &Self) -> Self {
        let difference = |(now, then): (&(f64, u64), &(f64, u64))| (now.0, now.1.saturating_sub(then.1));
        Self(self.0.iter().zip(&before.0).map(difference).collect())
    }

    /// What `part` of the observations is not above; none where there are none. Of what lies beyond the last finite bound
    /// only that is known, so that bound is said.
    fn percentile(&self, part: f64) -> Option<f64> {
        let total = self.0.last().map_or(0, |(_, count)| *count);
        if total == 0 {
            return None;
        }
        let rank = part * total as f64;
        let at = self.0.iter().position(|(_, count)| *count as f64 >= rank)?;
        let (upper, count) = self.0[at];
        let (lower, below) = at.checked_sub(1).map_or((0.0, 0), |before| self.0[before]);
        if upper.is_infinite() {
            return Some(lower);
        }
        let inside = (count - below) as f64;
        Some(lower + (upper - lower) * (rank - below as f64) / inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(metrics: &Metrics, percentile: &str) -> Option<f64> {
        let text = metrics.encode().expect("encodes");
        let name = format!("headgate_batch_last_minute_seconds{{percentile=\"{percentile}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    }

    #[test]
    fn a_minute_shows_what_came_in_it_and_nothing_else() {
        let metrics = Metrics::new();
        let batches = metrics.histogram(Histogram::BatchSeconds);
        // Before the first minute: slow ones that must not show.
        (0..1_000).for_each(|_| batches.observe(8.0));
        let minutes = LastMinute::new(&metrics);
        (0..990).for_each(|_| batches.observe(0.003));
        (0..10).for_each(|_| batches.observe(0.9));
        minutes.turn();
        // Buckets end at 0.25 ms times powers of two: 2 to 4 ms, and 0.512 to 1.024 s.
        let (p50, p99) = (shown(&metrics, "p50").expect("is there"), shown(&metrics, "p99").expect("is there"));
        assert!((0.002..=0.004).contains(&p50), "{p50}");
        assert!((0.002..=0.004).contains(&p99), "exactly 99 % are in that bucket: {p99}");
        assert!((shown(&metrics, "max").expect("is there") - 1.024).abs() < 1e-9);

        (0..9).for_each(|_| batches.observe(0.003));
        batches.observe(0.9);
        minutes.turn();
        let p99 = shown(&metrics, "p99").expect("is there");
        assert!((0.512..=1.024).contains(&p99), "{p99}");

        minutes.turn();
        assert_eq!(shown(&metrics, "p99"), None, "a minute without a batch has no percentile");
        assert_eq!(shown(&metrics, "max"), None);
    }

    #[test]
    fn what_is_beyond_the_buckets_is_said_to_be_at_their_end() {
        let buckets = Buckets(vec![(1.0, 1), (2.0, 1), (f64::INFINITY, 4)]);
        assert_eq!(buckets.percentile(1.0), Some(2.0));
        assert_eq!(buckets.percentile(0.25), Some(1.0));
        assert_eq!(Buckets::default().percentile(0.5), None);
    }

    #[test]
    fn every_bucket_is_read() {
        let metrics = Metrics::new();
        metrics.histogram(Histogram::PutSeconds).observe(1e9);
        let buckets = Buckets::of(&metrics, Histogram::PutSeconds);
        assert_eq!(buckets.0.len(), 19);
        assert_eq!(buckets.0.last(), Some(&(f64::INFINITY, 1)));
    }
}
