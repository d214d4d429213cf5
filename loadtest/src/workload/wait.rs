//! Waiting times: how long the next one takes, how long they take on average, and what an observer finds under way.

use crate::engine::Draw;

/// No wait is longer: 12 hours.
const LONGEST_S: f64 = 43_200.0;

/// The law of a waiting time.
pub(super) enum Wait {
    /// Where people decide.
    LogNormal { median_s: f64, sigma: f64 },
    /// Where programs do.
    Uniform { from_s: f64, to_s: f64 },
}

impl Wait {
    pub(super) fn draw_s(&self, draw: &mut Draw) -> f64 {
        match *self {
            Self::LogNormal { median_s, sigma } => draw.log_normal(median_s, sigma).min(LONGEST_S),
            Self::Uniform { from_s, to_s } => from_s + (to_s - from_s) * draw.unit(),
        }
    }

    pub(super) fn mean_s(&self) -> f64 {
        match *self {
            Self::LogNormal { median_s, sigma } => median_s * (sigma * sigma / 2.0).exp(),
            Self::Uniform { from_s, to_s } => (from_s + to_s) / 2.0,
        }
    }

    /// The wait that an observer finds under way at a random instant: its whole length, and how much of it is over.
    ///
    /// Long waits are met more often, in proportion to their length: of a log-normal that makes the log-normal with the
    /// median times exp(sigma²), of a uniform one a density that rises with the length.
    pub(super) fn found_s(&self, draw: &mut Draw) -> (f64, f64) {
        let whole = match *self {
            Self::LogNormal { median_s, sigma } => {
                draw.log_normal(median_s * (sigma * sigma).exp(), sigma).min(LONGEST_S)
            }
            Self::Uniform { from_s, to_s } => {
                let squared = from_s * from_s + (to_s * to_s - from_s * from_s) * draw.unit();
                squared.sqrt()
            }
        };
        (whole, whole * draw.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Purpose;

    // In a row of waits, the one under way at a random instant has the mean E[x²] / E[x] (the inspection paradox).
    #[test]
    fn waits_found_under_way_are_longer_than_the_mean() {
        let mut draw = Draw::new(1, 2, 3, Purpose::Step);
        for wait in [Wait::LogNormal { median_s: 40.0, sigma: 0.5 }, Wait::Uniform { from_s: 1.0, to_s: 3.0 }] {
            let n = 200_000;
            let (mut sum, mut squares, mut found, mut over) = (0.0, 0.0, 0.0, 0.0);
            for _ in 0..n {
                let length = wait.draw_s(&mut draw);
                sum += length;
                squares += length * length;
                let (whole, past) = wait.found_s(&mut draw);
                found += whole;
                over += past;
            }
            let n = f64::from(n);
            assert!((sum / n / wait.mean_s() - 1.0).abs() < 0.01);
            assert!((found / n / (squares / sum) - 1.0).abs() < 0.01, "{} for {}", found / n, squares / sum);
            assert!((over / found - 0.5).abs() < 0.01);
        }
    }
}
