//! How events come in.

use std::time::Instant;

use bytes::Bytes;
use uuid::Uuid;

use super::Store;
use super::logging::Unlogged;
use crate::batch::{OVERHEAD, Open};
use crate::wire::Measured;

/// What came of an event.
#[derive(Debug)]
pub(crate) enum Offer {
    Taken {
        id: Uuid,
        /// Of its batch.
        number: u64,
        /// Whether there is something for the client's thread to do.
        wake: bool,
    },
    Full,
    Closed,
    NoId(getrandom::Error),
}

impl Store {
    /// Takes an event, if there is room.
    pub(crate) fn offer(&mut self, event: &Measured<'_>, wall_ms: u64, now: impl Fn() -> Instant) -> Offer {
        if self.closed {
            return Offer::Closed;
        }
        let len = event.len();
        if !self.has_room(len) {
            return Offer::Full;
        }
        let id = match event.id().map_or_else(|| self.ids.next(wall_ms), Ok) {
            Ok(id) => id,
            Err(error) => return Offer::NoId(error),
        };
        let full = |open: &Open| open.body.len() + len > self.limits.batch_bytes;
        let mut wake = false;
        if self.open.as_ref().is_some_and(full) {
            self.seal();
            wake = self.has_window();
        }
        let mut open = self.open.take().unwrap_or_else(|| self.begin(now()));
        // The first that waits, for its batch to leave or for the log. The clock is read for it alone.
        if open.unlogged_since.is_none() {
            let since = if open.events == 0 { open.since } else { now() };
            open.unlogged_since = Some(since);
            wake |= self.sleeps_past(since + self.limits.linger);
        }
        let number = open.number;
        open.push(event, id);
        self.books.event();
        self.counters.accepted += 1;
        self.held.bytes += len;
        self.held.events += 1;
        let sealed = open.events >= self.limits.batch_events || open.body.len() >= self.limits.batch_bytes;
        self.open = Some(open);
        if sealed {
            self.seal();
            // Where the window is full, the answer that makes room wakes the thread.
            wake |= self.has_window();
        }
        Offer::Taken { id, number, wake }
    }

    /// Whether an event of so many bytes has room.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        let taken = self.held.bytes + self.on_way_to_log;
        // What is on the log takes its little of memory whether or not there is room for it; one batch is always taken.
        let is_empty = self.held.events == 0 && self.on_way_to_log == 0;
        (taken + len + OVERHEAD <= self.limits.memory_bytes && self.held.events < self.limits.memory_events) || is_empty
    }

    /// What is in memory: events, bytes.
    pub(crate) fn held(&self) -> (u64, u64) {
        (self.held.events, (self.held.bytes + self.on_way_to_log) as u64)
    }

    /// Makes room for an event by dropping the oldest batches that wait in memory and that nobody was promised.
    pub(crate) fn drop_oldest(&mut self, len: usize) -> Vec<Bytes> {
        let mut dropped = Vec::new();
        while !self.has_room(len) {
            let books = &self.books;
            let lost = |number| books.get(number).is_none_or(|entry| entry.may_be_dropped());
            let queued = self.queue.values().find(|batch| batch.body.is_some() && lost(batch.id.number));
            let batch = match queued.map(|batch| batch.id) {
                Some(id) => self.queue.remove(&id),
                None => {
                    let resting = self.resting.iter().find(|((_, id), _)| lost(id.number)).map(|(key, _)| *key);
                    resting.and_then(|key| self.resting.remove(&key))
                }
            };
            let Some(batch) = batch else { break };
            self.note_dropped(batch.id.number);
            self.counters.dropped += u64::from(batch.events);
            self.settle(&batch);
            dropped.extend(batch.body);
        }
        dropped
    }

    /// The event for which there was no room is dropped.
    pub(crate) fn drop_newest(&mut self) {
        self.counters.accepted += 1;
        self.counters.dropped += 1;
    }

    fn begin(&mut self, now: Instant) -> Open {
        let number = self.next_number;
        self.next_number += 1;
        self.books.open(number);
        let capacity = (self.last_len + self.last_len / 8).min(self.limits.batch_bytes);
        let open = Open::new(number, capacity, now);
        self.held.add(open.charge());
        open
    }

    /// Closes the open batch, if there is one: it may be sent.
    pub(crate) fn seal(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (number, events, (logged_bytes, logged_events)) = (open.number, open.events, open.logged);
        let since = open.unlogged_since.unwrap_or(open.since);
        let batch = open.seal();
        self.last_len = batch.bytes;
        if let Some(entry) = self.books.get_mut(number) {
            entry.sealed = true;
        }
        if let Some(body) = &batch.body
            && logged_bytes < batch.bytes
        {
            let data = body.slice(logged_bytes..);
            self.log_later(number, Unlogged { since, events: events - logged_events, data });
        }
        self.queue(batch);
        self.spill(number);
    }
}
