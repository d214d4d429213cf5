//! Every event that was taken and has no end yet: where it is, and what becomes of it. No input or output, no waiting: all
//! of that is around it, so that what it promises can be tested without a network.
//!
//! An event is in the open batch, then with its batch in the queue, on the way, resting until it may be sent again, or
//! being read from the log. It leaves when it is stored, refused for good or dropped. Memory is charged from the first byte
//! on; batches that are on the log leave memory when it runs short, and are read again when their turn comes.

mod answers;
mod books;
mod ending;
mod intake;
mod logging;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

pub(crate) use self::answers::Ends;
use self::books::Books;
pub(crate) use self::intake::Offer;
use self::logging::Unlogged;
pub(crate) use self::sending::{Next, Outgoing};
use crate::backoff::Backoff;
use crate::batch::{Batch, BatchId, Charge, Open};
use crate::counters::Counters;
use crate::error::LogProblem;
use crate::ids::Ids;
use crate::limits::Limits;
use crate::log::Handle;
use crate::window::Window;

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkId(pub(crate) u32);

/// A batch without an answer.
struct Flight {
    link: LinkId,
    batch: Batch,
    sent: Instant,
}

pub(crate) struct Store {
    limits: Limits,
    pub(crate) log: Option<Handle>,
    ids: Ids,
    backoff: Backoff,
    open: Option<Open>,
    /// What the last batch took: the next one will be like it.
    last_len: usize,
    /// Ready to be sent, oldest first.
    queue: BTreeMap<BatchId, Batch>,
    /// By the instant until which they rest.
    resting: BTreeMap<(Instant, BatchId), Batch>,
    /// The batch that is read from the log.
    loading: Option<Batch>,
    /// By sequence, and so in the order in which they were sent.
    flights: BTreeMap<u64, Flight>,
    in_flight_bytes: usize,
    window: Window,
    /// The gateway takes nothing before.
    paused_until: Option<Instant>,
    books: Books,
    held: Charge,
    /// Sealed, and not yet handed to the log, by number: what is stored within a linger is never written.
    unlogged: BTreeMap<u64, Unlogged>,
    unlogged_size: Charge,
    /// Bytes handed to the log's thread that it has not written. They may be held by nobody else any more.
    on_way_to_log: usize,
    /// Chunks handed to the log, and chunks that it has dealt with.
    handed: u64,
    dealt_with: u64,
    /// The newest batch that was dropped because the log had not taken it either, and why.
    dropped_off_log: Option<(u64, LogProblem)>,
    next_number: u64,
    next_sequence: u64,
    /// When a batch left last.
    departed: Option<Instant>,
    /// When the client's thread looks again at the latest.
    awake_by: Option<Instant>,
    counters: Counters,
    /// No more events are taken.
    pub(crate) closed: bool,
    /// The client's thread is to end.
    pub(crate) stopping: bool,
    /// It has ended, and the log with it.
    pub(crate) stopped: bool,
}

impl Store {
    pub(crate) fn new(limits: Limits, window: usize, ids: Ids, backoff: Backoff) -> Self {
        Self {
            limits,
            log: None,
            ids,
            backoff,
            open: None,
            last_len: 0,
            queue: BTreeMap::new(),
            resting: BTreeMap::new(),
            loading: None,
            flights: BTreeMap::new(),
            in_flight_bytes: 0,
            window: Window::new(window),
            paused_until: None,
            books: Books::default(),
            held: Charge::default(),
            unlogged: BTreeMap::new(),
            unlogged_size: Charge::default(),
            on_way_to_log: 0,
            handed: 0,
            dealt_with: 0,
            dropped_off_log: None,
            next_number: 1,
            next_sequence: 1,
            departed: None,
            awake_by: None,
            counters: Counters::default(),
            closed: false,
            stopping: false,
            stopped: false,
        }
    }

    /// What has happened so far, and how things stand.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            pending: self.books.events(),
            events_in_memory: self.held.events,
            bytes_in_memory: (self.held.bytes + self.on_way_to_log) as u64,
            bytes_in_log: self.log.as_ref().map_or(0, Handle::bytes),
            log_problems: self.log.as_ref().map_or(0, Handle::problems),
            ..self.counters.clone()
        }
    }

    /// For what happens around the store.
    pub(crate) fn count(&mut self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.counters);
    }

    fn queue(&mut self, batch: Batch) {
        self.queue.insert(batch.id, batch);
    }

    fn rest(&mut self, until: Instant, batch: Batch) {
        self.resting.insert((until, batch.id), batch);
    }

    /// A batch has come to its end; so has what the log has of it, if it was the last part of its number.
    fn settle(&mut self, batch: &Batch) {
        self.held.subtract(batch.charge());
        let number = batch.id.number;
        let Some(entry) = self.books.settle(number, u64::from(batch.events)) else { return };
        self.forget_unlogged(number);
        let Some(log) = &mut self.log else { return };
        if entry.was_handed() {
            log.settled(number);
        }
        if self.books.oldest().is_none() {
            log.tell_settled();
        }
    }

    /// Gives a batch another body, of fewer events.
    fn narrow(&mut self, batch: &mut Batch, body: Bytes, events: u32) {
        self.held.subtract(batch.charge());
        (batch.bytes, batch.events, batch.whole) = (body.len(), events, false);
        batch.body = Some(body);
        self.held.add(batch.charge());
    }
}
