//! How much passes.

use std::time::{Duration, Instant};

/// Bytes a second, over about a given time: what is older counts ever less.
#[derive(Debug)]
pub(super) struct Flow {
    rate: f64,
    at: Instant,
    over: Duration,
}

impl Flow {
    /// Nothing passed yet.
    pub(super) fn new(now: Instant, over: Duration) -> Self {
        Self { rate: 0.0, at: now, over }
    }

    /// So many bytes passed.
    pub(super) fn add(&mut self, bytes: usize, now: Instant) {
        self.rate = self.per_second(now);
        self.at = self.at.max(now);
        #[allow(clippy::cast_precision_loss)]
        {
            self.rate += bytes as f64 / self.over.as_secs_f64();
        }
    }

    /// Bytes a second.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.at);
        self.rate * (-elapsed.as_secs_f64() / self.over.as_secs_f64()).exp()
    }

    /// How long so many bytes take to pass at this rate.
    pub(super) fn time_for(&self, bytes: usize, now: Instant) -> Duration {
        #[allow(clippy::cast_precision_loss)]
        let seconds = bytes as f64 / self.per_second(now).max(1.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant to count from")]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_is_told_within_seconds_and_forgotten_as_soon() {
        let mut now = Instant::now();
        let mut flow = Flow::new(now, Duration::from_secs(1));
        for _ in 0..400 {
            now += Duration::from_millis(10);
            flow.add(1_000, now);
        }
        let rate = flow.per_second(now);
        assert!((95_000.0..105_000.0).contains(&rate), "{rate}");
        let time = flow.time_for(200_000, now).as_secs_f64();
        assert!((1.9..2.1).contains(&time), "{time}");
        assert!(flow.per_second(now + Duration::from_secs(5)) < 1_000.0);
    }

    #[test]
    fn without_any_flow_nothing_passes_in_time() {
        let now = Instant::now();
        let flow = Flow::new(now, Duration::from_secs(1));
        assert!(flow.time_for(1_000_000, now) > Duration::from_secs(3_600));
        assert_eq!(flow.time_for(0, now), Duration::ZERO);
    }
}
