//! A run's figures in one second.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::{Ledger, Percentiles};
use crate::result::HealthState;

/// What is shown of a run. Rates and latencies are of the latest second, counts of the whole run so far.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// Since the schedule began.
    pub elapsed: Duration,
    /// How long events are due; after that, answers are waited for.
    pub run_time: Duration,
    /// The phase that the run is in, if it is in one.
    pub phase: Option<String>,
    /// Events a second that the plan has due.
    pub planned_per_s: f64,
    /// Events a second that became due.
    pub offered_per_s: f64,
    /// Events a second that were answered as stored.
    pub accepted_per_s: f64,
    /// From the instant at which a batch was to leave to its answer.
    pub ack: Percentiles,
    /// From the instant at which a batch really left to its answer: the 99th percentile.
    pub service_p99: Duration,
    /// The load tester's own lateness: the 99th percentile.
    pub lag_p99: Duration,
    /// Where the events are.
    pub ledger: Ledger,
    /// Answers by gRPC code name, in batches.
    pub codes: BTreeMap<String, u64>,
    /// Players online.
    pub online: u64,
    /// Open connections.
    pub connections: u64,
    /// Connections opened again.
    pub reconnects: u64,
    /// CPU time of the load tester: 1 is one core.
    pub cpu_cores: f64,
    /// Its resident bytes.
    pub resident: u64,
    /// Whether it keeps up.
    pub health: HealthState,
}

impl Tick {
    /// How much of the run is over, 0 to 1.
    #[must_use]
    pub fn done(&self) -> f64 {
        if self.run_time.is_zero() { 1.0 } else { self.elapsed.div_duration_f64(self.run_time).min(1.0) }
    }

    /// The phase, or that the run only waits for answers.
    #[must_use]
    pub fn stage(&self) -> &str {
        if self.elapsed > self.run_time { "drain" } else { self.phase.as_deref().unwrap_or("") }
    }
}

/// A health state as a word.
pub(super) fn word(health: HealthState) -> &'static str {
    match health {
        HealthState::Ok => "ok",
        HealthState::Late => "late",
        HealthState::Saturated => "saturated",
    }
}
