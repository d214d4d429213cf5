//! Figures of servers measured in turn, and what follows from them.

use serde::Serialize;

use crate::load::Case;

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
    /// The load's own CPU seconds.
    pub client_cpu: f64,
    /// Cores that were busy with neither.
    pub elsewhere_cores: f64,
}

impl Measurement {
    /// The server's CPU seconds for a million events.
    #[must_use]
    pub fn server_per_million(&self) -> f64 {
        self.server_cpu * 1e6 / self.events()
    }

    /// The load's CPU seconds for a million events.
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

/// The servers, one after the other, on the same load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    /// tonic and prost alone.
    pub bare: Measurement,
    /// Headgate.
    pub gateway: Measurement,
    /// The usual way, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<Measurement>,
}

impl Round {
    /// The gateway's CPU over the bare server's.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.gateway.server_per_million() / self.bare.server_per_million()
    }

    /// A line that says how it went.
    #[must_use]
    pub fn line(&self, case: Case) -> String {
        let elsewhere = self.bare.elsewhere_cores.max(self.gateway.elsewhere_cores);
        let noise = if elsewhere > NOISE {
            format!("  ({elsewhere:.2} cores busy with something else)")
        } else {
            String::new()
        };
        format!(
            "{case:<12} bare {:.3}  gateway {:.3}  ratio {:.2}{noise}",
            self.bare.server_per_million(),
            self.gateway.server_per_million(),
            self.ratio()
        )
    }
}

/// Every round of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// Its name.
    pub case: String,
    /// In the order in which they ran.
    pub rounds: Vec<Round>,
}

impl CaseResult {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(case: Case) -> Self {
        Self { case: case.to_string(), rounds: Vec::new() }
    }

    /// What follows from the rounds.
    #[must_use]
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            case: &self.case,
            bare_cpu_seconds_per_million: self.spread(|round| round.bare.server_per_million()),
            gateway_cpu_seconds_per_million: self.spread(|round| round.gateway.server_per_million()),
            ratio: self.spread(Round::ratio),
        }
    }

    /// A figure over all rounds.
    #[must_use]
    pub fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure).collect())
    }
}

/// What follows from a case's rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary<'a> {
    case: &'a str,
    bare_cpu_seconds_per_million: Spread,
    gateway_cpu_seconds_per_million: Spread,
    ratio: Spread,
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
    fn ratios_are_taken_pair_by_pair() {
        let measured = |server_cpu| Measurement {
            events: 1_000_000,
            elapsed: 1.0,
            server_cpu,
            server_system_share: 0.5,
            client_cpu: 0.1,
            elsewhere_cores: 0.0,
        };
        let round = |bare, gateway| Round { bare: measured(bare), gateway: measured(gateway), usual: None };
        let rounds = vec![round(1.0, 2.0), round(0.1, 0.3), round(4.0, 4.0)];
        let case = CaseResult { case: "stream-100".to_owned(), rounds };
        assert!((case.spread(Round::ratio).median - 2.0).abs() < 1e-9);
    }
}
