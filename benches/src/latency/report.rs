//! What was measured: for people as a table, for programs as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Options;
use crate::machine::Machine;
use crate::measurement::Spread;

/// The load at which added latency is held to bars, per cent.
const HELD_AT: u32 = 70;
/// The most that the gateway may add at the median and at 99 %, milliseconds.
const BARS: [f64; 2] = [1.0, 5.0];
/// Quantiles of the curves.
pub(super) const QUANTILES: [f64; 9] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999];

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// Length of a measurement.
    pub seconds: f64,
    /// Events in a batch.
    pub batch: u32,
    /// Connections.
    pub connections: usize,
    /// Events a second that the gateway takes at most on its core, with as much under way as it can use.
    pub most: f64,
    /// The loads.
    pub loads: Vec<AtLoad>,
}

/// One load.
#[derive(Clone, Debug, Serialize)]
pub struct AtLoad {
    /// Per cent of the time for which the gateway's core is busy.
    pub load: u32,
    /// Events a second that both servers were offered.
    pub events_per_second: f64,
    /// The bare server's latencies at 10, 25, 50, 75, 90, 95, 99, 99.5 and 99.9 %, of all rounds, milliseconds.
    pub bare: Vec<f64>,
    /// The gateway's.
    pub gateway: Vec<f64>,
    /// What the gateway adds at the median and at 99 %, round by round, milliseconds.
    pub added: [Spread; 2],
    #[serde(skip)]
    pub(super) rounds: Vec<Round>,
}

/// Both servers in turn: their latencies, in order, milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Round {
    bare: Vec<f64>,
    gateway: Vec<f64>,
}

impl Round {
    pub(super) fn of(bare: Vec<Duration>, gateway: Vec<Duration>) -> Self {
        let sorted = |latencies: Vec<Duration>| {
            let mut latencies: Vec<f64> = latencies.into_iter().map(|latency| latency.as_secs_f64() * 1e3).collect();
            latencies.sort_by(f64::total_cmp);
            latencies
        };
        Self { bare: sorted(bare), gateway: sorted(gateway) }
    }
}

impl AtLoad {
    pub(super) fn new(load: u32, events_per_second: f64) -> Self {
        let none = Spread { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        let (bare, gateway) = (Vec::new(), Vec::new());
        Self { load, events_per_second, bare, gateway, added: [none; 2], rounds: Vec::new() }
    }

    /// With everything that follows from its rounds.
    pub(super) fn done(mut self) -> Self {
        let all = |of: fn(&Round) -> &Vec<f64>| {
            let mut all: Vec<f64> = self.rounds.iter().flat_map(of).copied().collect();
            all.sort_by(f64::total_cmp);
            QUANTILES.map(|share| quantile(&all, share)).to_vec()
        };
        let added = |share: f64| {
            let rounds = self.rounds.iter();
            Spread::of(rounds.map(|round| quantile(&round.gateway, share) - quantile(&round.bare, share)).collect())
        };
        (self.bare, self.gateway, self.added) =
            (all(|round| &round.bare), all(|round| &round.gateway), [0.5, 0.99].map(added));
        self
    }
}

/// The value below which this share of them lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().wrapping_sub(1))).copied().unwrap_or(f64::NAN)
}

impl Report {
    pub(super) fn new(machine: Machine, options: &Options, most: f64) -> Self {
        let Options { batch, connections, .. } = *options;
        Self { machine, seconds: options.time().as_secs_f64(), batch, connections, most, loads: Vec::new() }
    }

    /// For programs.
    ///
    /// # Errors
    /// Never with these types; the serializer's are passed on.
    pub fn to_json(&self) -> crate::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.write(f)?;
        writeln!(
            f,
            "load       {} connections with a stream each, batches of {}, {:.1} s a measurement; a core for the server",
            self.connections, self.batch, self.seconds
        )?;
        writeln!(f, "most       {:.0} events a second through the gateway on its core, in a closed loop\n", self.most)?;
        writeln!(f, "{:<8}{:>12}   {:<26}{:<26}added by the gateway", "load", "events/s", "bare", "gateway")?;
        writeln!(
            f,
            "{:<20}   {:<26}{:<26}p50 (min to max)        p99 (min to max)",
            "", "p50 / p99 / p99.9", "p50 / p99 / p99.9"
        )?;
        for at in &self.loads {
            let latencies = |of: &[f64]| {
                let at = |share: f64| {
                    let place = QUANTILES.iter().position(|known| (known - share).abs() < 1e-9);
                    place.and_then(|place| of.get(place)).copied().unwrap_or(f64::NAN)
                };
                format!("{:.2} / {:.2} / {:.2}", at(0.5), at(0.99), at(0.999))
            };
            let spread =
                |Spread { median, min, max }: Spread| format!("{:<24}", format!("{median:.2} ({min:.2} to {max:.2})"));
            writeln!(
                f,
                "{:<8}{:>12.0}   {:<26}{:<26}{}{}",
                format!("{} %", at.load),
                at.events_per_second,
                latencies(&at.bare),
                latencies(&at.gateway),
                spread(at.added[0]),
                spread(at.added[1]).trim_end()
            )?;
        }
        writeln!(
            f,
            "\nmilliseconds from when a batch was due to its answer. added: the gateway's less the bare server's, the"
        )?;
        writeln!(f, "median of the rounds. The gateway discards and does not linger (gather.linger=0s).")?;
        for at in self.loads.iter().filter(|at| at.load == HELD_AT) {
            writeln!(f)?;
            for ((name, added), bar) in ["p50", "p99"].into_iter().zip(at.added).zip(BARS) {
                let held = if added.median <= bar { "held" } else { "NOT HELD" };
                writeln!(f, "added at {HELD_AT} % load, {name}: {:.2} ms (at most {bar:.0}) {held}", added.median)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_the_median_of_the_rounds_differences() {
        let latencies = |ms: u64| (1..=100).map(|_| Duration::from_millis(ms)).collect();
        let mut at = AtLoad::new(70, 1_000.0);
        for (bare, gateway) in [(1, 2), (5, 9), (1, 4)] {
            at.rounds.push(Round::of(latencies(bare), latencies(gateway)));
        }
        let at = at.done();
        assert_eq!(at.added.map(|added| added.median.round()), [3.0, 3.0]);
        assert_eq!((at.bare[2].round(), at.gateway[2].round()), (1.0, 4.0));
    }

    #[test]
    fn quantiles_are_of_what_is_there() {
        let sorted: Vec<f64> = (0..1_000).map(f64::from).collect();
        assert!((quantile(&sorted, 0.99) - 990.0).abs() < 1e-9);
        assert!((quantile(&sorted, 1.0) - 999.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
