//! What is sent next, and when.

use std::time::Instant;

use bytes::Bytes;

use super::{Flight, LinkId, Store};

/// A batch that leaves.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) sequence: u64,
    pub(crate) events: Bytes,
}

/// What there is to do for a stream.
#[derive(Debug)]
pub(crate) enum Next {
    Send(Outgoing),
    /// Read this batch from the log first.
    Load(u64),
    Nothing,
}

impl Store {
    /// What leaves next on this stream. Oldest first; the open batch only when nothing else waits, so that batches are full
    /// where the gateway is slower than the events come.
    pub(crate) fn next(&mut self, link: LinkId, now: Instant) -> Next {
        self.wake_rested(now);
        self.paused_until = self.paused_until.filter(|until| *until > now);
        if !self.may_send() {
            return Next::Nothing;
        }
        if self.queue.is_empty() && self.open.as_ref().is_some_and(|open| open.since + self.limits.linger <= now) {
            self.seal();
        }
        let Some(first) = self.queue.first_entry() else { return Next::Nothing };
        let nothing_flies = self.flights.is_empty();
        if self.in_flight_bytes + first.get().bytes > self.limits.in_flight_bytes() && !nothing_flies {
            return Next::Nothing;
        }
        if let Some(body) = &first.get().body {
            let events = body.clone();
            let batch = first.remove();
            return Next::Send(self.depart(link, batch, events, now));
        }
        // There may be no room until something is answered, or has rested and is sent again. Where there is nothing of that
        // kind, this one batch goes beyond the limit.
        let fits = self.held.bytes + self.on_way_to_log + first.get().bytes <= self.limits.memory_bytes;
        let nothing_comes = nothing_flies && self.resting.is_empty();
        if !fits && !nothing_comes {
            return Next::Nothing;
        }
        let batch = first.remove();
        let number = batch.id.number;
        self.loading = Some(batch);
        Next::Load(number)
    }

    fn depart(&mut self, link: LinkId, mut batch: crate::batch::Batch, events: Bytes, now: Instant) -> Outgoing {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.counters.sent += u64::from(batch.events);
        if batch.sent {
            self.counters.resent += u64::from(batch.events);
        }
        batch.sent = true;
        self.departed = Some(now);
        self.in_flight_bytes += batch.bytes;
        self.flights.insert(sequence, Flight { link, batch, sent: now });
        Outgoing { sequence, events }
    }

    fn may_send(&self) -> bool {
        self.paused_until.is_none() && self.has_window()
    }

    pub(super) fn has_window(&self) -> bool {
        self.window.has_room(self.flights.len()) && self.loading.is_none()
    }

    fn wake_rested(&mut self, now: Instant) {
        while let Some(first) = self.resting.first_entry()
            && first.key().0 <= now
        {
            let batch = first.remove();
            self.queue(batch);
        }
    }

    /// When to look again if nothing happens. Where batches leave one behind the other, a look one linger later costs less
    /// than to be woken for the first event of each.
    pub(crate) fn look_again(&mut self, sending: bool, now: Instant) -> Option<Instant> {
        let next = self.departed.map(|departed| departed + self.limits.linger).filter(|at| *at > now);
        self.awake_by = self.next_deadline(sending).into_iter().chain(next).min();
        self.awake_by
    }

    /// Whether the client's thread has to be woken for something that is due then.
    pub(super) fn sleeps_past(&self, due: Instant) -> bool {
        self.awake_by.is_none_or(|awake_by| awake_by > due)
    }

    /// When there is something to do that nobody tells of. `sending`: whether there is a stream to send on.
    pub(crate) fn next_deadline(&self, sending: bool) -> Option<Instant> {
        let waits = !self.queue.is_empty() || self.open.is_some();
        let paused = self.paused_until.filter(|_| waits);
        let rested = self.resting.first_key_value().map(|((until, _), _)| *until);
        let ripe = self.open.as_ref().filter(|_| self.has_window() && self.queue.is_empty());
        let ripe = ripe.map(|open| open.since + self.limits.linger);
        let ripe = ripe.map(|ripe| paused.map_or(ripe, |paused| paused.max(ripe)));
        let sends = if sending { [paused, rested, ripe] } else { [None; 3] };
        sends.into_iter().chain([self.log_due(), self.answer_due()]).flatten().min()
    }

    fn answer_due(&self) -> Option<Instant> {
        self.flights.first_key_value().map(|(_, flight)| flight.sent + self.limits.answer_timeout)
    }

    /// A stream on which a batch has waited too long for its answer: nothing may come of it any more.
    pub(crate) fn overdue(&self, now: Instant) -> Option<LinkId> {
        let (_, oldest) = self.flights.first_key_value()?;
        (oldest.sent + self.limits.answer_timeout <= now).then_some(oldest.link)
    }

    /// A stream has ended: what has no answer is sent again.
    pub(crate) fn lost(&mut self, link: LinkId) {
        let lost: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| flight.link == link).map(|(seq, _)| *seq).collect();
        for sequence in lost {
            if let Some(Flight { batch, .. }) = self.flights.remove(&sequence) {
                self.in_flight_bytes -= batch.bytes;
                self.queue(batch);
            }
        }
    }
}
