//! Figures of servers measured in turn, and what follows from them.

use serde::Serialize;

/// Cores busy with something else, from which figures are doubtful.
pub const NOISE: f64 = 0.1;

/// One server, one load, between two marks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measurement {
    /// Events accepted.
    pub events: u64,
    /// Seconds on the wall.
    pub elapsed: f64,
    /// The server's CPU seconds, user and system.
    pub server_cpu: f64,
    /// The part of them spent in the kernel.
    pub server_system_share: f64,
    /// CPU seconds of the process that it delivers to, if any.
    pub behind_cpu: f64,
    /// The load's own CPU seconds.
    pub client_cpu: f64,
    /// Cores that were busy with none of them.
    pub elsewhere_cores: f64,
}

impl Measurement {
    /// The server's CPU seconds for a million events.
    #[must_use]
    pub fn server_per_million(&self) -> f64 {
        self.server_cpu * 1e6 / self.events()
    }

    /// Those of what it delivers to.
    #[must_use]
    pub fn behind_per_million(&self) -> f64 {
        self.behind_cpu * 1e6 / self.events()
    }

    /// The load's.
    #[must_use]
    pub fn client_per_million(&self) -> f64 {
        self.client_cpu * 1e6 / self.events()
    }

    /// Events a second on the wall.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.events() / self.elapsed
    }

    #[allow(clippy::cast_precision_loss, reason = "below 2^52")]
    fn events(&self) -> f64 {
        self.events.max(1) as f64
    }
}

/// A median with the least and the largest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these figures.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let median =
            if figures.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) };
        Self { median, min: at(0), max: at(figures.len().wrapping_sub(1)) }
    }

    /// Of one figure of each measurement.
    #[must_use]
    pub fn over(measured: &[Measurement], figure: impl Fn(&Measurement) -> f64) -> Self {
        Self::of(measured.iter().map(figure).collect())
    }

    /// Of how many times the CPU of another's an event took, round by round.
    #[must_use]
    pub fn of_ratios(measured: &[Measurement], other: &[Measurement]) -> Self {
        let rounds = measured.iter().zip(other);
        Self::of(rounds.map(|(one, other)| one.server_per_million() / other.server_per_million()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let measured = |server_cpu| Measurement {
            events: 1_000_000,
            elapsed: 1.0,
            server_cpu,
            server_system_share: 0.5,
            behind_cpu: 0.0,
            client_cpu: 0.1,
            elsewhere_cores: 0.0,
        };
        let (gateway, bare) = ([2.0, 0.3, 4.0].map(measured), [1.0, 0.1, 4.0].map(measured));
        assert!((Spread::of_ratios(&gateway, &bare).median - 2.0).abs() < 1e-9);
    }
}
