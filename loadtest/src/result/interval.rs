//! One second of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::Latencies;

/// What happened in one second, or in several of a long run. Counts of events, unless said otherwise, are booked in the
/// second in which they happened; latencies in the second in which the batch was to leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Seconds from the start of the schedule to the interval's beginning.
    pub at: u32,
    /// Its length in seconds.
    pub width: u32,
    /// Events that the plan has due: the profile's expectation.
    pub planned: f64,
    /// Players that the plan has online.
    pub planned_online: f64,
    /// Players online at the end.
    pub online: u64,
    /// Events that became due.
    pub due: u64,
    /// Events that left for the first time.
    pub sent: u64,
    /// Events that left again.
    pub resent: u64,
    /// Events answered as stored.
    pub accepted: u64,
    /// Events answered as breaking a rule.
    pub rejected: u64,
    /// Events to be sent again: `retry` verdicts and refused batches.
    pub retry: u64,
    /// Events given up or of unknown fate.
    pub failed: u64,
    /// Events never sent because too many batches were unanswered.
    pub overflow: u64,
    /// Batches answered with an error, by gRPC code name.
    pub codes: BTreeMap<String, u64>,
    /// Events in flight at the end.
    pub in_flight: u64,
    /// Open connections at the end.
    pub connections: u64,
    /// Connections opened again.
    pub reconnects: u64,
    /// See [`crate::result::Series`].
    pub ack: Latencies,
    /// See [`crate::result::Series`].
    pub service: Latencies,
    /// See [`crate::result::Series`].
    pub lag: Latencies,
    /// `ack` by class of servers, if there is more than one.
    pub ack_of: BTreeMap<String, Latencies>,
    /// `accepted` by class of servers, if there is more than one.
    pub accepted_of: BTreeMap<String, u64>,
    /// What the load tester noticed of itself.
    pub health: Health,
}

/// What the load tester noticed of itself in an interval. Shares are of one second of wall-clock time, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The judgement; the worst of several seconds.
    pub state: HealthState,
    /// The 99th percentile of the lag, in microseconds.
    pub lag_p99_us: u64,
    /// Time that threads were ready and had no core, in seconds of all threads together.
    pub run_queue_s: f64,
    /// CPU time of this process, in seconds.
    pub cpu_s: f64,
    /// The busiest runtime worker's share.
    pub busy: f64,
    /// Share of the second for which the cgroup's CPU quota stopped this process.
    pub throttled: f64,
    /// Pressure stall: share of the second in which some task of the machine waited for a CPU; none without PSI.
    pub pressure: Option<f64>,
}

/// Whether the load tester kept up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// It did.
    #[default]
    Ok,
    /// Batches left late, but not for lack of a core: the timer's granularity, or the machine slept.
    Late,
    /// It was the limit itself: figures of this second say nothing about the gateway.
    Saturated,
}

impl Interval {
    /// Adds the interval that follows this one.
    pub fn append(&mut self, next: &Self) {
        self.width += next.width;
        self.combine(next);
        self.online = next.online;
        self.in_flight = next.in_flight;
        self.connections = next.connections;
        let (ours, theirs) = (f64::from(self.width - next.width), f64::from(next.width));
        self.planned_online = (self.planned_online * ours + next.planned_online * theirs) / (ours + theirs).max(1.0);
    }

    /// Adds the same interval of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.combine(other);
        self.online += other.online;
        self.in_flight += other.in_flight;
        self.connections += other.connections;
        self.planned_online += other.planned_online;
    }

    fn combine(&mut self, other: &Self) {
        self.planned += other.planned;
        self.due += other.due;
        self.sent += other.sent;
        self.resent += other.resent;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.retry += other.retry;
        self.failed += other.failed;
        self.overflow += other.overflow;
        self.reconnects += other.reconnects;
        self.ack.add(&other.ack);
        self.service.add(&other.service);
        self.lag.add(&other.lag);
        for (code, batches) in &other.codes {
            *self.codes.entry(code.clone()).or_default() += batches;
        }
        for (class, latencies) in &other.ack_of {
            self.ack_of.entry(class.clone()).or_default().add(latencies);
        }
        for (class, events) in &other.accepted_of {
            *self.accepted_of.entry(class.clone()).or_default() += events;
        }
        self.health.combine(&other.health);
    }
}

impl Health {
    pub(crate) fn combine(&mut self, other: &Self) {
        self.state = self.state.max(other.state);
        self.lag_p99_us = self.lag_p99_us.max(other.lag_p99_us);
        self.run_queue_s += other.run_queue_s;
        self.cpu_s += other.cpu_s;
        self.busy = self.busy.max(other.busy);
        self.throttled = self.throttled.max(other.throttled);
        self.pressure = match (self.pressure, other.pressure) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }
}
