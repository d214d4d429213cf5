//! What a run tells: snapshots while it goes on, and a report at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Latencies, Ledger, Percentiles};
use crate::drive::{End, Trace};

/// The ids of a run's events by the end they came to; empty unless the run keeps ids.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    /// Answered as stored: each has to be at the destination.
    pub acknowledged: Vec<u128>,
    /// Answered as breaking a rule: none may be at the destination.
    pub rejected: Vec<u128>,
    /// Sent, but never answered for certain: they may be at the destination.
    pub undecided: Vec<u128>,
}

impl Ids {
    pub(crate) fn of(trace: &Trace) -> Self {
        let mut ids = Self::default();
        trace.visit(&mut |id, end| match end {
            None => ids.acknowledged.push(id),
            Some(End::Rejected) => ids.rejected.push(id),
            Some(End::Undecided) => ids.undecided.push(id),
            Some(End::Unsent) => {}
        });
        ids
    }
}

/// A run's figures at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Since the schedule began.
    pub elapsed: Duration,
    /// Where the events are.
    pub ledger: Ledger,
    /// Latencies of the whole run, from the instant at which a batch was to leave to its answer.
    pub ack: Percentiles,
    /// The same since the previous snapshot.
    pub recent: Recent,
    /// The load tester's own lateness.
    pub lag: Percentiles,
    /// Open connections.
    pub connections: u64,
    /// Connections opened after one was lost or asked to move.
    pub reconnects: u64,
}

/// Figures since the previous snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    /// Since when.
    pub span: Duration,
    /// Events answered as stored.
    pub accepted: u64,
    /// Events answered as stored, a second.
    pub events_per_second: f64,
    /// Latencies.
    pub ack: Percentiles,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// How long events were due.
    pub elapsed: Duration,
    /// Where every event has gone.
    pub ledger: Ledger,
    /// From the instant at which a batch was to leave to its answer, once for each event.
    pub ack: Latencies,
    /// From the instant at which a batch really left to its answer, once for each event.
    pub service: Latencies,
    /// The load tester's own lateness, once for each batch.
    pub lag: Latencies,
    /// The ids, if the run kept them.
    pub ids: Ids,
    /// What went wrong, in words, and for how many events or times.
    pub problems: BTreeMap<String, u64>,
    /// Connections opened after one was lost or asked to move.
    pub reconnects: u64,
}
