//! What becomes of a batch once there is an answer, or will be none: booked, sent again, or given up.
//!
//! Each event is booked exactly once, and latency counts from the instant at which its batch was to leave at first.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use super::super::Answer;
use super::super::flight::Flight;
use super::super::outcome::{Outcome, code_name};
use super::super::settle::Settled;
use super::super::trace::End;
use super::{CARELESS_PAUSE, GameServer};
use crate::config::Retry;
use crate::engine::Mark;

impl GameServer {
    pub(super) fn settle(&mut self, mut flight: Flight, answer: Answer) {
        let now = Instant::now();
        flight.attempts += 1;
        match answer {
            Answer::Verdict(verdict) => match Settled::read(&verdict, flight.batch.events()) {
                Ok(settled) => self.book(flight, &settled, now),
                Err(what) => self.give_up(flight, Code::Internal, what),
            },
            Answer::Refused { code, message, retry_after } => {
                let for_now = matches!(code, Code::Unavailable | Code::ResourceExhausted);
                if !for_now || self.common.retry == Retry::None {
                    return self.give_up(flight, code, &format!("batch refused: {code:?}: {message}"));
                }
                let events = flight.batch.events() as u64;
                let recorder = &self.common.recorder;
                let at = recorder.second_of(now);
                let mut shard = recorder.shard(self.seat.class, self.seat.server as usize);
                shard.ledger.retry += events;
                shard.problem(format!("batch refused for now: {message}"), events);
                let second = shard.second(at);
                second.retry += events;
                *second.codes.entry(code_name(code)).or_default() += 1;
                drop(shard);
                self.outcome(now.saturating_duration_since(flight.intended), code, Some(&message));
                if code == Code::ResourceExhausted && self.common.retry == Retry::Sdk {
                    return self.throttle(flight, retry_after, now);
                }
                self.rest(flight, retry_after, now);
            }
            Answer::Unanswered(why) => {
                self.outcome(now.saturating_duration_since(flight.intended), Code::Unknown, Some(&why));
                if self.common.retry == Retry::None {
                    return self.give_up(flight, Code::Unknown, &why);
                }
                self.problem(why, 1);
                self.rest(flight, None, now);
            }
        }
    }

    /// Books a verdict, and has those events rest that are to be sent again.
    fn book(&mut self, flight: Flight, settled: &Settled, now: Instant) {
        let ends = flight.batch.events() - settled.retry.len();
        let recorder = &self.common.recorder;
        let ack = now.saturating_duration_since(flight.intended);
        let service = flight.sent.map_or(ack, |sent| now.saturating_duration_since(sent));
        let (left_at, at) = (recorder.second_of(flight.intended), recorder.second_of(now));
        let mut shard = recorder.shard(self.seat.class, self.seat.server as usize);
        settled.book(&mut shard.ledger, flight.batch.events() as u64);
        let second = shard.second(left_at);
        second.ack.record(ack, ends as u64);
        second.service.record(service, ends as u64);
        let ack_us = ack.as_micros() as u64;
        for lead_us in settled.ended(&flight.batch).map(Mark::lead_us) {
            second.event_age.record_us(ack_us + u64::from(lead_us), 1);
        }
        let second = shard.second(at);
        // A client's batches are its own: it counts them.
        second.batches += u64::from(self.common.transport.sends_again());
        *second.codes.entry("OK").or_default() += 1;
        second.accepted += settled.accepted;
        second.rejected += settled.rejected();
        second.failed += settled.unknown();
        second.retry += settled.retry.len() as u64;
        drop(shard);
        if self.common.trace {
            settled.trace(&flight.batch, &mut self.trace);
        }
        self.outcome(ack, Code::Ok, None);
        if settled.retry.is_empty() {
            return;
        }
        let batch = flight.batch.select(&settled.retry);
        let flight = Flight { batch, ..flight };
        if !self.common.transport.sends_again() {
            return self.give_up(flight, Code::Unavailable, "given up by the client");
        }
        if self.common.retry == Retry::None {
            return self.give_up(flight, Code::Unavailable, "the gateway asked for events again, and retries are off");
        }
        self.rest(flight, settled.retry_after, now);
    }

    /// Has a batch rest until its hint says, or for a backoff if there is none.
    fn rest(&mut self, mut flight: Flight, hint: Option<Duration>, now: Instant) {
        flight.not_before = hint.map(|hint| now + hint);
        let pause = match hint {
            _ if self.common.retry == Retry::Careless => CARELESS_PAUSE,
            Some(hint) => self.backoff.after_hint(hint),
            None => self.backoff.full_jitter(flight.attempts),
        };
        self.flights.rest(now + pause, flight);
    }

    /// A batch that will not be delivered: its events have failed, and count as slow as they are by now.
    pub(super) fn give_up(&mut self, flight: Flight, code: Code, why: &str) {
        let events = flight.batch.events() as u64;
        let now = Instant::now();
        let ack = now.saturating_duration_since(flight.intended);
        let recorder = &self.common.recorder;
        let (left_at, at) = (recorder.second_of(flight.intended), recorder.second_of(now));
        let mut shard = recorder.shard(self.seat.class, self.seat.server as usize);
        shard.ledger.failed += events;
        shard.ledger.in_flight -= events;
        shard.problem(why.to_owned(), events);
        shard.second(left_at).ack.record(ack, events);
        let second = shard.second(at);
        second.failed += events;
        second.batches += u64::from(self.common.transport.sends_again());
        *second.codes.entry(code_name(code)).or_default() += 1;
        drop(shard);
        if self.common.trace {
            self.trace.all(&flight.batch, if flight.sent.is_some() { End::Undecided } else { End::Unsent });
        }
        self.outcome(ack, code, Some(why));
    }

    fn outcome(&mut self, ack: Duration, code: Code, error: Option<&str>) {
        if self.common.outcomes {
            self.outcomes.push(Outcome { ack, code, error: error.map(str::to_owned) });
        }
    }

    pub(super) fn problem(&self, what: String, times: u64) {
        self.common.recorder.shard(self.seat.class, self.seat.server as usize).problem(what, times);
    }
}
