//! How much an application asks this gateway for: offered events and bytes a second, averaged over a second or two.

use std::time::{Duration, Instant};

use crate::admission::rate::Offered;
use crate::registry::demand::Demand;

/// Over which time demand is averaged, more or less: batches that come seldom must not make shares jump, and a load that
/// moves to another gateway must find its share there soon.
const MEMORY: Duration = Duration::from_secs(1);
/// What is counted over less than this says nothing.
const SHORTEST: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Meter {
    counted: Offered,
    counted_at: Instant,
    // Events and bytes a second; `None` until there is a first measurement.
    smoothed: Option<[f64; 2]>,
}

impl Meter {
    /// Counts from here.
    pub(super) fn new(offered: Offered, now: Instant) -> Self {
        Self { counted: offered, counted_at: now, smoothed: None }
    }

    /// Takes in what was offered until now. Returns whether anything was.
    pub(super) fn count(&mut self, offered: Offered, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted_at);
        let events = offered.events.wrapping_sub(self.counted.events);
        if passed < SHORTEST {
            return events > 0;
        }
        let bytes = offered.bytes.wrapping_sub(self.counted.bytes);
        let measured = [events, bytes].map(|count| count as f64 / passed.as_secs_f64());
        let weight = 1.0 - (-passed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.smoothed = Some(match self.smoothed {
            None => measured,
            Some(before) => [0, 1].map(|unit| before[unit] + weight * (measured[unit] - before[unit])),
        });
        (self.counted, self.counted_at) = (offered, now);
        events > 0
    }

    /// The average; zero as long as nothing could be measured.
    pub(super) fn demand(&self) -> Demand {
        let [events, bytes] = self.smoothed.unwrap_or_default();
        // What is hardly there rounds to nothing, so that an application that fell silent is seen to be so.
        Demand { events: events.round() as u64, bytes: bytes.round() as u64 }
    }

    pub(super) fn has_measured(&self) -> bool {
        self.smoothed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn offered(events: u64) -> Offered {
        Offered { events, bytes: events * 100 }
    }

    #[test]
    fn demand_follows_a_change_within_seconds() {
        let mut now = Clock::system().now();
        let mut meter = Meter::new(offered(0), now);
        assert_eq!(meter.demand(), Demand::default());
        let mut total = 0;
        let mut run = |rate: u64, seconds: u64| {
            for _ in 0..seconds {
                now += Duration::from_secs(1);
                total += rate;
                assert_eq!(meter.count(offered(total), now), rate > 0);
            }
            meter.demand()
        };
        assert_eq!(run(1_000, 1), Demand { events: 1_000, bytes: 100_000 }, "the first measurement counts in full");
        let risen = run(3_000, 4).events;
        assert!((2_700..3_000).contains(&risen), "{risen}");
        assert_eq!(run(0, 60), Demand::default());
    }

    #[test]
    fn a_moment_too_short_to_measure_is_not_lost() {
        let start = Clock::system().now();
        let mut meter = Meter::new(offered(0), start);
        assert!(meter.count(offered(500), start + Duration::from_millis(1)));
        assert!(!meter.has_measured());
        assert!(meter.count(offered(500), start + Duration::from_secs(1)));
        assert_eq!(meter.demand().events, 500);
    }
}
