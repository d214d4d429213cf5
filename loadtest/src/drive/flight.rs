//! Batches without an end yet: on the way, waiting for a connection, resting until they may be sent again, or held back
//! because their application sends too much.

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
    /// By the instant at which they were to leave at first, and a number that tells equal ones apart.
    held: BTreeMap<(Instant, u64), Flight>,
    held_events: u64,
    next_sequence: u64,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.on_the_way.len() + self.waiting.len() + self.resting.len() + self.held.len()
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

    /// Holds a batch back: those that were to leave first are in front, sent before or not.
    pub(super) fn hold(&mut self, flight: Flight) {
        self.held_events += flight.batch.events() as u64;
        let tie = self.next_sequence();
        self.held.insert((flight.intended, tie), flight);
    }

    /// When the oldest batch that is held back was to leave at first.
    pub(super) fn oldest_held(&self) -> Option<Instant> {
        self.held.first_key_value().map(|((intended, _), _)| *intended)
    }

    /// The oldest batch that is held back.
    pub(super) fn take_held(&mut self) -> Option<Flight> {
        let (_, flight) = self.held.pop_first()?;
        self.held_events -= flight.batch.events() as u64;
        Some(flight)
    }

    /// Events held back.
    pub(super) fn held_events(&self) -> u64 {
        self.held_events
    }

    /// Everything, at the end of a run.
    pub(super) fn take_all(&mut self) -> Vec<Flight> {
        let Self { on_the_way, waiting, resting, held, .. } = std::mem::take(self);
        let on_the_way = on_the_way.into_values().map(|(_, flight)| flight);
        on_the_way.chain(waiting).chain(resting.into_values()).chain(held.into_values()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Mark;

    #[test]
    fn what_was_to_leave_first_is_in_front_of_what_is_held_back() {
        let start = Instant::now();
        let mut flights = Flights::default();
        for (seconds, events, attempts) in [(2, 20, 0), (3, 30, 0), (1, 10, 1), (2, 21, 0)] {
            let marks = (0..events).map(|sequence| Mark::new(1, sequence, 0, 0)).collect();
            let intended = start + Duration::from_secs(seconds);
            flights.hold(Flight { batch: Batch::of(&[], marks), intended, sent: None, not_before: None, attempts });
        }
        assert_eq!((flights.len(), flights.held_events()), (4, 81));
        assert_eq!(flights.oldest_held(), Some(start + Duration::from_secs(1)));
        let events = |flight: Flight| flight.batch.events();
        assert_eq!([10, 20, 21].map(|_| flights.take_held().map(events)), [Some(10), Some(20), Some(21)]);
        assert_eq!((flights.take_all().len(), flights.held_events()), (1, 0));
    }
}
