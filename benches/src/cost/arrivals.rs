//! Events as they arrive: independent of each other (Poisson), of log-normal sizes, with keys all over the hash space.

use std::time::Duration;

use super::Flow;
use crate::random::Random;

/// The deviation of a size's logarithm: two thirds lie between 0.6 and 1.6 times the median.
const DEVIATION: f64 = 0.5;
/// No stream record is shorter.
const SHORTEST: usize = 40;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Since the first moment.
    pub at: Duration,
    /// Its stream record, bytes.
    pub len: usize,
    /// The place of its partition key in the hash space.
    pub hash_key: u128,
}

/// Events without end. The same flow makes the same events.
#[derive(Clone, Debug)]
pub struct Arrivals {
    random: Random,
    flow: Flow,
    // Of the logarithm.
    location: f64,
    seconds: f64,
}

impl Arrivals {
    /// From the first moment on.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    pub fn new(flow: Flow) -> Self {
        let random = Random::new(u64::from(flow.rate) << 32 | flow.size as u64);
        // The mean of a log-normal is exp(location + deviation² / 2).
        let location = (flow.size as f64).ln() - DEVIATION * DEVIATION / 2.0;
        Self { random, flow, location, seconds: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes of a few KB")]
    fn next(&mut self) -> Option<Arrival> {
        self.seconds += self.random.exponential() / f64::from(self.flow.rate);
        let len = (self.location + DEVIATION * self.random.normal()).exp().round() as usize;
        Some(Arrival {
            at: Duration::from_secs_f64(self.seconds),
            len: len.max(SHORTEST),
            hash_key: u128::from(self.random.draw()) << 64 | u128::from(self.random.draw()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_has_its_size_and_its_rate() {
        for flow in [Flow { size: 100, rate: 300 }, Flow { size: 2_500, rate: 20_000 }] {
            let arrivals: Vec<Arrival> = Arrivals::new(flow).take(50_000).collect();
            let mean = arrivals.iter().map(|arrival| arrival.len).sum::<usize>() / arrivals.len();
            assert!(mean.abs_diff(flow.size) <= flow.size / 50, "{mean} instead of {}", flow.size);
            let took = arrivals[arrivals.len() - 1].at.as_secs_f64();
            let rate = 50_000.0 / took;
            assert!((rate / f64::from(flow.rate) - 1.0).abs() < 0.03, "{rate} instead of {}", flow.rate);
        }
    }
}
