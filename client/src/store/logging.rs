//! What is between the store and the log.

use std::io;
use std::time::Instant;

use bytes::Bytes;

use super::Store;
use crate::batch::{Batch, BatchId, Charge};
use crate::error::LogProblem;
use crate::log::{Recovered, Written};

/// A batch that the log does not give back, however often it is asked, is given up.
const READ_ATTEMPTS: u32 = 5;
/// So many bytes are handed to the log at the latest, however long the linger.
const UNLOGGED_MAX: usize = 1 << 20;

/// What the log does not have of a sealed batch.
pub(super) struct Unlogged {
    /// When its first event came.
    pub(super) since: Instant,
    pub(super) events: u32,
    pub(super) data: Bytes,
}

impl Unlogged {
    fn size(&self) -> Charge {
        Charge { bytes: self.data.len(), events: u64::from(self.events) }
    }
}

impl Store {
    /// Batches that an earlier process left on the log come first.
    pub(crate) fn recover(&mut self, batches: Vec<Recovered>, next_number: u64) {
        self.next_number = self.next_number.max(next_number);
        for Recovered { number, events, bytes } in batches {
            let id = BatchId { number, part: 0 };
            // Nobody knows whether it was sent; it counts as resent when it is.
            let batch = Batch { id, body: None, bytes, events, whole: true, attempts: 0, sent: true };
            self.counters.recovered += u64::from(events);
            self.books.recover(number, u64::from(events));
            self.held.add(batch.charge());
            self.queue(batch);
        }
    }

    /// Keeps for the log what it does not have of a batch that is sealed. It may well be stored before it lingers.
    pub(super) fn log_later(&mut self, number: u64, unlogged: Unlogged) {
        if self.log.is_none() {
            return;
        }
        if let Some(entry) = self.books.get_mut(number) {
            entry.unlogged = true;
        }
        self.unlogged_size.add(unlogged.size());
        self.unlogged.insert(number, unlogged);
        // Much of the memory must not wait for a linger, however long: what is on the log can leave it.
        let Charge { bytes, events } = self.unlogged_size;
        if bytes >= UNLOGGED_MAX.min(self.limits.memory_bytes / 8) || events >= self.limits.memory_events / 8 {
            let _ticket = self.log_all();
        }
    }

    /// A batch has come to its end before the log got it.
    pub(super) fn forget_unlogged(&mut self, number: u64) {
        if let Some(unlogged) = self.unlogged.remove(&number) {
            self.unlogged_size.subtract(unlogged.size());
        }
    }

    fn hand_to_log(&mut self, number: u64, events: u32, data: Bytes) {
        let Some(log) = &mut self.log else { return };
        if let Some(entry) = self.books.get_mut(number) {
            entry.unheard += 1;
            entry.unlogged = false;
        }
        self.handed += 1;
        self.on_way_to_log += data.len();
        log.append(number, events, data);
    }

    /// Hands the log everything that it does not have, and gives the ticket with which to ask whether it is there.
    pub(crate) fn log_all(&mut self) -> u64 {
        self.unlogged_size = Charge::default();
        for (number, Unlogged { events, data, .. }) in std::mem::take(&mut self.unlogged) {
            self.hand_to_log(number, events, data);
        }
        if self.log.is_some()
            && let Some(open) = &mut self.open
            && open.logged.0 < open.body.len()
        {
            let (number, (bytes, events)) = (open.number, open.logged);
            let rest = Bytes::copy_from_slice(&open.body[bytes..]);
            let new_events = open.events - events;
            (open.logged, open.unlogged_since) = ((open.body.len(), open.events), None);
            self.hand_to_log(number, new_events, rest);
        }
        self.handed
    }

    /// Logs everything once something has lingered. An open batch may have to stay open for long, where the gateway is
    /// away.
    pub(crate) fn log_what_lingers(&mut self, now: Instant) {
        if self.log_due().is_some_and(|due| due <= now) {
            let _ticket = self.log_all();
        }
    }

    pub(super) fn log_due(&self) -> Option<Instant> {
        self.log.as_ref()?;
        // Numbers are given in the order of time.
        let sealed = self.unlogged.first_key_value().map(|(_, unlogged)| unlogged.since);
        let since = sealed.or_else(|| self.open.as_ref().and_then(|open| open.unlogged_since))?;
        Some(since + self.limits.linger)
    }

    /// The log has dealt with chunks.
    pub(crate) fn written(&mut self, written: &[Written]) {
        for Written { batch, events, bytes, result } in written {
            self.dealt_with += 1;
            self.on_way_to_log -= bytes;
            if let Some(entry) = self.books.get_mut(*batch) {
                entry.unheard -= 1;
                match result {
                    Ok(()) => {
                        entry.written = true;
                        // Of what comes behind a gap nobody was promised anything.
                        entry.promised += if entry.problem.is_none() { *events } else { 0 };
                    }
                    Err(problem) => entry.problem = Some(*problem),
                }
                self.spill(*batch);
            }
        }
    }

    /// Lets go of a batch's bytes if the log has them and more than half of the memory is taken.
    pub(super) fn spill(&mut self, number: u64) {
        let bytes_short = self.held.bytes + self.on_way_to_log > self.limits.memory_bytes / 2;
        let events_short = self.held.events > self.limits.memory_events / 2;
        if (bytes_short || events_short) && self.books.get(number).is_some_and(|entry| entry.is_on_log()) {
            let id = BatchId { number, part: 0 };
            if let Some(batch) = self.queue.get_mut(&id).filter(|batch| batch.whole) {
                self.held.subtract(batch.charge());
                batch.body = None;
                self.held.add(batch.charge());
            }
        }
    }

    /// What the log gave for the batch that was asked for.
    pub(crate) fn loaded(&mut self, result: io::Result<Bytes>, now: Instant) {
        let Some(mut batch) = self.loading.take() else { return };
        match result {
            Ok(body) if body.len() == batch.bytes => {
                self.held.subtract(batch.charge());
                batch.body = Some(body);
                self.held.add(batch.charge());
                self.queue(batch);
            }
            Err(error) if error.kind() != io::ErrorKind::InvalidData && batch.attempts + 1 < READ_ATTEMPTS => {
                self.counters.last_error = Some(format!("the log can't be read: {error}"));
                let wait = self.backoff.wait(batch.attempts, None);
                batch.attempts += 1;
                self.rest(now + wait, batch);
            }
            Ok(_) | Err(_) => {
                self.counters.last_error = Some("the log no longer has a batch that it had".to_owned());
                self.counters.unreadable += u64::from(batch.events);
                self.settle(&batch);
            }
        }
    }

    /// A batch is dropped. Somebody may wait for it to be on the log.
    pub(super) fn note_dropped(&mut self, number: u64) {
        if let Some(problem) = self.books.get(number).and_then(|entry| entry.problem)
            && self.dropped_off_log.is_none_or(|(newest, _)| newest < number)
        {
            self.dropped_off_log = Some((number, problem));
        }
    }

    /// Whether the log has dealt with everything up to a ticket.
    pub(crate) fn is_dealt_with(&self, ticket: u64) -> bool {
        self.dealt_with >= ticket
    }

    /// Why the log does not have all of this batch. One that has come to its end needs no log, unless it was dropped: of
    /// older ones than the newest that was, nobody remembers which they are.
    pub(crate) fn log_problem(&self, number: u64) -> Option<LogProblem> {
        match self.books.get(number) {
            Some(entry) => entry.problem,
            None => self.dropped_off_log.filter(|(dropped, _)| number <= *dropped).map(|(_, problem)| problem),
        }
    }

    /// Why the log does not have everything that was taken so far and is not settled.
    pub(crate) fn any_log_problem(&self) -> Option<LogProblem> {
        self.books.problem_below(self.next_number)
    }
}
