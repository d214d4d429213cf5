//! What answers do.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use headgate_proto::v1::BatchVerdict;

use super::{Flight, LinkId, Store};
use crate::batch::{Batch, BatchId};
use crate::failure::{Cause, Failure};
use crate::refusal::{Refusal, Remedy};
use crate::stored::Stored;
use crate::verdict::{self, Reading};
use crate::wire;

/// What an answer is the end of.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stored: Option<Stored>,
    /// What will never be stored.
    pub(crate) failures: Vec<Failure>,
}

impl Store {
    /// The gateway has a verdict on each event of a batch.
    pub(crate) fn verdict(&mut self, link: LinkId, sequence: u64, verdict: BatchVerdict, now: Instant) -> Ends {
        let Some((mut batch, body)) = self.land(link, sequence) else { return Ends::default() };
        let Ok(Reading { accepted, rejected, again, unknown, warned, hint }) = verdict::read(verdict, batch.events)
        else {
            self.counters.answers_not_understood += 1;
            self.again(batch, None, now);
            return Ends::default();
        };
        self.counters.acknowledged += accepted;
        self.counters.unknown += unknown;
        self.counters.warned += warned;
        if again.is_empty() {
            self.window.stored();
        }
        let stored = (accepted > 0).then(|| {
            let mut except: Vec<u32> = rejected.iter().map(|one| one.index).chain(again.iter().copied()).collect();
            except.sort_unstable();
            Stored { batch: body.clone(), except, events: accepted as u32 }
        });
        let mut failures = Vec::new();
        if !rejected.is_empty() {
            let mut events = wire::events(&body).enumerate();
            for one in rejected {
                let reason = one.reason();
                self.counters.reject(reason);
                if let Some((_, framed)) = events.find(|(place, _)| *place == one.index as usize) {
                    let cause = Cause::Rejected { reason, field: one.field, message: one.message };
                    failures.push(Failure { event: framed.event, cause });
                }
            }
        }
        if again.is_empty() {
            self.settle(&batch);
        } else {
            let mut places = again.iter().copied().peekable();
            let mut rest = BytesMut::new();
            for (place, framed) in wire::events(&body).enumerate() {
                if places.next_if(|next| *next as usize == place).is_some() {
                    rest.extend_from_slice(&framed.whole);
                }
            }
            let events = again.len() as u32;
            self.books.settle_some(u64::from(batch.events - events));
            if events < batch.events {
                self.narrow(&mut batch, rest.freeze(), events);
            }
            self.again(batch, hint, now);
        }
        Ends { stored, failures }
    }

    /// The gateway has refused a batch as a whole. What will never be stored is returned.
    pub(crate) fn refused(&mut self, link: LinkId, sequence: u64, refusal: Refusal, now: Instant) -> Vec<Failure> {
        let Some((batch, body)) = self.land(link, sequence) else { return Vec::new() };
        self.counters.last_error = Some(format!("batch refused: {:?}: {}", refusal.code, refusal.message));
        match refusal.remedy(batch.events, batch.attempts) {
            Remedy::Again => {
                self.counters.batches_refused += 1;
                let until = self.again(batch, refusal.hint, now);
                if refusal.is_pressure() {
                    // Others would be refused as well.
                    self.window.refused();
                    self.paused_until = self.paused_until.max(Some(until));
                }
                Vec::new()
            }
            Remedy::Smaller => {
                self.counters.batches_refused += 1;
                self.halve(batch, &body);
                Vec::new()
            }
            Remedy::GiveUp => {
                self.counters.refused += u64::from(batch.events);
                self.settle(&batch);
                let Refusal { code, message, .. } = refusal;
                let cause = Cause::Refused { code, message };
                wire::events(&body).map(|framed| Failure { event: framed.event, cause: cause.clone() }).collect()
            }
        }
    }

    /// An answer of a kind that nobody knows: its batch is sent again.
    pub(crate) fn not_understood(&mut self, link: LinkId, sequence: u64, now: Instant) {
        self.counters.answers_not_understood += 1;
        if let Some((batch, _)) = self.land(link, sequence) {
            self.again(batch, None, now);
        }
    }

    /// The batch that an answer is for. None if it has its answer already, or never left on this stream.
    fn land(&mut self, link: LinkId, sequence: u64) -> Option<(Batch, Bytes)> {
        self.flights.get(&sequence).filter(|flight| flight.link == link)?;
        let Flight { batch, .. } = self.flights.remove(&sequence)?;
        self.in_flight_bytes -= batch.bytes;
        let body = batch.body.clone().unwrap_or_default();
        Some((batch, body))
    }

    /// Lets a batch rest; the hint, or longer if it comes back again and again.
    fn again(&mut self, mut batch: Batch, hint: Option<std::time::Duration>, now: Instant) -> Instant {
        let until = now + self.backoff.wait(batch.attempts, hint);
        batch.attempts = batch.attempts.saturating_add(1);
        self.rest(until, batch);
        until
    }

    fn halve(&mut self, mut batch: Batch, body: &Bytes) {
        let first_events = batch.events / 2;
        let middle: usize = wire::events(body).take(first_events as usize).map(|framed| framed.whole.len()).sum();
        let second_body = body.slice(middle..);
        let second_events = batch.events - first_events;
        let part = self.books.split(batch.id.number);
        self.narrow(&mut batch, body.slice(..middle), first_events);
        batch.attempts = 0;
        let second = Batch {
            id: BatchId { number: batch.id.number, part },
            bytes: second_body.len(),
            body: Some(second_body),
            events: second_events,
            ..batch.clone()
        };
        self.held.add(second.charge());
        self.queue(batch);
        self.queue(second);
    }
}
