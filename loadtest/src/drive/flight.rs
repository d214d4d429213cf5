//! Batches without an end yet: on the way, waiting for a connection, or resting until they may be sent again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::Carrier;
use crate::engine::Batch;

/// A batch and its story so far.
pub(super) struct Flight {
    pub(super) batch: Batch,
    /// When it was to leave at first; latency counts from here, whatever happens to it.
    pub(super) intended: Instant,
    /// When it left last.
    pub(super) sent: Option<Instant>,
    /// The gateway asked not to see it again before.
    pub(super) not_before: Option<Instant>,
    /// How often it was sent in vain.
    pub(super) attempts: u32,
}

/// All flights of a game server.
#[derive(Default)]
pub(super) struct Flights {
    on_the_way: HashMap<u64, (Carrier, Flight)>,
    waiting: VecDeque<Flight>,
    /// By the instant until which they rest, and a number that tells equal ones apart.
    resting: BTreeMap<(Instant, u64), Flight>,
    next_sequence: u64,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.on_the_way.len() + self.waiting.len() + self.resting.len()
    }

    /// A sequence that no other batch of this game server has; sequences begin at 1, since 0 marks a notice.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    pub(super) fn depart(&mut self, sequence: u64, carrier: Carrier, flight: Flight) {
        self.on_the_way.insert(sequence, (carrier, flight));
    }

    /// The batch of this sequence, which has its answer.
    pub(super) fn land(&mut self, sequence: u64) -> Option<Flight> {
        self.on_the_way.remove(&sequence).map(|(_, flight)| flight)
    }

    /// The batches that went with this carrier, in the order in which they left.
    pub(super) fn lost(&mut self, carrier: Carrier) -> Vec<Flight> {
        let mut lost: Vec<_> = self.on_the_way.extract_if(|_, (with, _)| *with == carrier).collect();
        lost.sort_unstable_by_key(|(sequence, _)| *sequence);
        lost.into_iter().map(|(_, (_, flight))| flight).collect()
    }

    pub(super) fn wait(&mut self, flight: Flight) {
        self.waiting.push_back(flight);
    }

    /// Everything that waits for a connection.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Flight> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn rest(&mut self, until: Instant, flight: Flight) {
        let tie = self.next_sequence();
        self.resting.insert((until, tie), flight);
    }

    /// When the first resting batch may be sent again.
    pub(super) fn next_rested(&self) -> Option<Instant> {
        self.resting.first_key_value().map(|((until, _), _)| *until)
    }

    /// A batch that has rested long enough.
    pub(super) fn take_rested(&mut self, now: Instant) -> Option<Flight> {
        let first = self.resting.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// Everything, at the end of a run.
    pub(super) fn take_all(&mut self) -> Vec<Flight> {
        let Self { on_the_way, waiting, resting, .. } = std::mem::take(self);
        on_the_way.into_values().map(|(_, flight)| flight).chain(waiting).chain(resting.into_values()).collect()
    }
}
