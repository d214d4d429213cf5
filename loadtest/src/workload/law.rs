//! Laws of waiting times as tables: how long the next one takes, how long they take on average, and what an observer
//! finds under way.
//!
//! A law is its quantile function at 4,097 knots with straight lines between them, so that a draw is a load and a
//! multiplication. What lies beyond the outermost half knot is cut off: an exponential ends at 9 times its mean, a
//! log-normal at about 3.7 standard deviations. All means are those of the table, so that promised rates hold exactly.

use super::model::LogNormal;

const KNOTS: usize = 4_096;
/// No wait is longer: 12 hours.
const LONGEST_S: f64 = 43_200.0;

/// The law of a waiting time, in milliseconds.
pub(super) struct Law {
    knots: Box<[u32]>,
    /// The same for the waits that an observer meets: long ones more often, in proportion to their length.
    met: Box<[u32]>,
    mean_ms: f64,
}

impl Law {
    /// A law by its quantiles: seconds at the given shares, which rise from just above 0 to just below 1.
    fn new(quantile_s: impl Fn(f64) -> f64) -> Self {
        let share = |knot: usize| (knot as f64 / KNOTS as f64).clamp(0.5 / KNOTS as f64, 1.0 - 0.5 / KNOTS as f64);
        let knots: Box<[u32]> = (0..=KNOTS).map(|knot| (quantile_s(share(knot)).min(LONGEST_S) * 1e3) as u32).collect();
        let mean_ms = knots.windows(2).map(|pair| f64::from(pair[0] + pair[1]) / 2.0).sum::<f64>() / KNOTS as f64;
        let met = met(&knots, mean_ms);
        Self { knots, met, mean_ms }
    }

    pub(super) fn uniform([from_s, to_s]: [f64; 2]) -> Self {
        Self::new(|share| from_s + (to_s - from_s) * share)
    }

    pub(super) fn exponential(mean_s: f64) -> Self {
        Self::new(|share| -mean_s * (1.0 - share).ln())
    }

    pub(super) fn log_normal(LogNormal { median_s, sigma }: LogNormal) -> Self {
        let normal = Normal::new();
        Self::new(|share| median_s * (sigma * normal.quantile(share)).exp())
    }

    /// A wait, from 32 random bits.
    #[inline]
    pub(super) fn draw_ms(&self, bits: u32) -> u32 {
        between_knots(&self.knots, bits)
    }

    pub(super) fn mean_s(&self) -> f64 {
        self.mean_ms / 1e3
    }

    /// The wait that an observer finds under way at a random instant: its whole length, and how much of it is over.
    pub(super) fn found_ms(&self, bits: u64) -> (u32, u32) {
        let whole = between_knots(&self.met, (bits >> 32) as u32);
        (whole, ((u64::from(whole) * (bits & 0xFFFF_FFFF)) >> 32) as u32)
    }
}

#[inline]
fn between_knots(knots: &[u32], bits: u32) -> u32 {
    let (knot, part) = ((bits >> 20) as usize, u64::from(bits & 0xF_FFFF));
    let (low, high) = (knots[knot], knots[knot + 1]);
    low + ((u64::from(high - low) * part) >> 20) as u32
}

/// The quantiles of the waits met: where the integral of the quantile function has come to each share of its whole.
fn met(knots: &[u32], mean_ms: f64) -> Box<[u32]> {
    let mut met = Vec::with_capacity(KNOTS + 1);
    let (mut segment, mut before) = (0, 0.0);
    let area = |segment: usize| f64::from(knots[segment] + knots[segment + 1]) / 2.0;
    for knot in 0..=KNOTS {
        let goal = mean_ms * knot as f64;
        while segment + 1 < KNOTS && before + area(segment) < goal {
            before += area(segment);
            segment += 1;
        }
        let (low, high) = (f64::from(knots[segment]), f64::from(knots[segment + 1]));
        // low · x + (high - low) · x² / 2 = rest gives the wait low + (high - low) · x.
        let rest = (goal - before).max(0.0);
        met.push((low * low + 2.0 * (high - low) * rest).sqrt().min(high) as u32);
    }
    met.into_boxed_slice()
}

/// The standard normal law, integrated numerically.
struct Normal {
    /// The shares at or below each multiple of [`Normal::STEP`] from [`Normal::FROM`] on.
    shares: Vec<f64>,
}

impl Normal {
    const FROM: f64 = -6.0;
    const STEP: f64 = 1.0 / 256.0;

    fn new() -> Self {
        let density = |z: f64| (-z * z / 2.0).exp() * Self::STEP / std::f64::consts::TAU.sqrt();
        let mut share = 0.0;
        let shares = (0..=3_072).map(|step| {
            let z = Self::FROM + f64::from(step) * Self::STEP;
            share += (density(z - Self::STEP) + density(z)) / 2.0;
            share
        });
        Self { shares: shares.collect() }
    }

    fn quantile(&self, share: f64) -> f64 {
        let next = self.shares.partition_point(|below| *below < share).clamp(1, self.shares.len() - 1);
        let (low, high) = (self.shares[next - 1], self.shares[next]);
        Self::FROM + ((next - 1) as f64 + (share - low) / (high - low)) * Self::STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Draw, Purpose};

    fn laws() -> [(Law, f64, f64); 3] {
        let log_normal = LogNormal { median_s: 40.0, sigma: 0.5 };
        // Of each, the mean and the standard deviation in closed form.
        let mean = 40.0 * 0.125_f64.exp();
        [
            (Law::log_normal(log_normal), mean, mean * (0.25_f64.exp() - 1.0).sqrt()),
            (Law::exponential(30.0), 30.0, 30.0),
            (Law::uniform([1.0, 3.0]), 2.0, 2.0 / 12.0_f64.sqrt()),
        ]
    }

    #[test]
    fn tables_keep_mean_and_spread_of_their_law() {
        let mut draw = Draw::new(1, 2, 3, Purpose::Step);
        for (law, mean, deviation) in laws() {
            assert!((law.mean_s() / mean - 1.0).abs() < 0.005, "{} for {mean}", law.mean_s());
            let n = 200_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..n {
                let wait = f64::from(law.draw_ms((draw.next() >> 32) as u32)) / 1e3;
                sum += wait;
                squares += wait * wait;
            }
            let (sum, squares) = (sum / f64::from(n), squares / f64::from(n));
            assert!((sum / law.mean_s() - 1.0).abs() < 0.01);
            assert!(((squares - sum * sum).sqrt() / deviation - 1.0).abs() < 0.02);
        }
    }

    // In a row of waits, the one under way at a random instant has the mean E[x²] / E[x] (the inspection paradox).
    #[test]
    fn waits_found_under_way_are_longer_than_the_mean() {
        let mut draw = Draw::new(1, 2, 3, Purpose::Step);
        for (law, mean, deviation) in laws() {
            let n = 200_000;
            let (mut found, mut over) = (0.0, 0.0);
            for _ in 0..n {
                let (whole, past) = law.found_ms(draw.next());
                found += f64::from(whole) / 1e3;
                over += f64::from(past) / 1e3;
            }
            let expected = mean + deviation * deviation / mean;
            assert!((found / f64::from(n) / expected - 1.0).abs() < 0.02, "{} for {expected}", found / f64::from(n));
            assert!((over / found - 0.5).abs() < 0.01);
        }
    }
}
