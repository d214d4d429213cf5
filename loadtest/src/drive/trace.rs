//! What became of each event, without keeping every id.
//!
//! Ids follow from the seed, so it is enough to keep the events that were not accepted, and how far each server lived:
//! a second pass through the same game gives all ids again, with their ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::seat::{Common, Seat};
use crate::engine::{Batch, Engine, Mark};
use crate::verify::{self, Expectation};

/// How an event ended that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Rejected,
    /// Sent, but never answered for certain.
    Undecided,
    Unsent,
}

/// What became of one server's events.
#[derive(Default)]
pub(crate) struct ServerTrace {
    seat: Option<Seat>,
    begins: Duration,
    /// In milliseconds of game time.
    lived_until: u64,
    /// By player and sequence. An event that is sent twice on purpose may be here twice.
    ends: Vec<(u32, u32, End)>,
}

/// What became of all events of a run.
pub(crate) struct Trace {
    common: Arc<Common>,
    servers: Vec<ServerTrace>,
}

impl ServerTrace {
    pub(super) fn new(seat: Seat, begins: Duration) -> Self {
        Self { seat: Some(seat), begins, lived_until: 0, ends: Vec::new() }
    }

    /// The instant at which it is told to stop may lie before the batch that has just left.
    pub(super) fn lived_until(&mut self, game_ms: u64) {
        self.lived_until = self.lived_until.max(game_ms);
    }

    pub(super) fn one(&mut self, mark: Mark, end: End) {
        self.ends.push((mark.player, mark.sequence, end));
    }

    pub(super) fn all(&mut self, batch: &Batch, end: End) {
        for mark in &batch.marks {
            self.one(*mark, end);
        }
    }
}

impl Expectation for Trace {
    fn visit(&self, each: &mut dyn FnMut(u128, verify::End)) {
        Self::visit(self, &mut |id, end| match end {
            None => each(id, verify::End::Acknowledged),
            Some(End::Rejected) => each(id, verify::End::Rejected),
            Some(End::Undecided) => each(id, verify::End::Undecided),
            Some(End::Unsent) => {}
        });
    }
}

impl Trace {
    pub(crate) fn new(common: Arc<Common>, servers: Vec<ServerTrace>) -> Self {
        Self { common, servers }
    }

    /// Tells the id of every event that was due, once, and its end; none if it was accepted.
    ///
    /// An event that is sent twice on purpose and was not accepted both times counts as undecided, unless neither was
    /// answered otherwise: it may be there.
    pub(crate) fn visit(&self, each: &mut dyn FnMut(u128, Option<End>)) {
        for server in &self.servers {
            let Some(seat) = &server.seat else { continue };
            let mut ends: HashMap<(u32, u32), (u32, End)> = HashMap::new();
            for (player, sequence, end) in &server.ends {
                let seen = ends.entry((*player, *sequence)).or_insert((0, *end));
                seen.0 += 1;
                if *end == End::Undecided {
                    seen.1 = *end;
                }
            }
            let world = &self.common.world;
            let mut engine = Engine::new(world.clone(), self.common.engine_seat(seat, server.begins));
            engine.advance(server.lived_until, |player, _, happening| {
                let sequence = happening.sequence;
                let copies = if world.is_sent_twice(player, sequence) { 2 } else { 1 };
                let end = ends.get(&(player, sequence));
                let end = end.map(|(times, end)| if *times < copies { End::Undecided } else { *end });
                each(world.dice().event_id(player, sequence), end);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_is_not_forgotten_at_a_stop_that_was_called_before() {
        let mut trace = ServerTrace::default();
        trace.lived_until(1_000);
        trace.lived_until(998);
        assert_eq!(trace.lived_until, 1_000);
    }
}
