//! One stream after the other, each with many batches in flight.

use std::collections::HashMap;
use std::time::Duration;

use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{StreamEventsRequest, StreamEventsResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{LONGEST_PAUSE, RECONNECT_PAUSE, SLOW_PAUSE, Stage, Worker};
use crate::client::{Connection, EventStream, Failure};
use crate::oracle::{Batch, Oracle};

/// A stream is given up so many times more rarely than a call: many batches are lost with it.
const CANCEL_STREAM: u64 = 4;
/// A slow reader pauses before one answer in so many.
const SLOW_ONE_IN: u64 = 8;

/// A stream that is open.
struct Conversation {
    /// `None` once nothing more is sent on it.
    requests: Option<mpsc::Sender<StreamEventsRequest>>,
    in_flight: HashMap<u64, (Batch, Instant)>,
    next_sequence: u64,
    /// When the gateway said to try again.
    not_before: Instant,
}

impl Worker {
    pub(super) async fn stream(mut self, stubborn: bool, slow: bool) {
        while self.has_work() {
            match self.open().await {
                Ok(stream) => self.converse(stream, stubborn, slow).await,
                Err(failure) => {
                    self.note(|tally| tally.stream_ended(Some(&failure)));
                    self.pause(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    async fn open(&self) -> Result<EventStream, Failure> {
        let mut connection = Connection::open(&self.target).await?;
        let stream = connection.stream(self.shape.window).await;
        stream.map_err(|status| connection.failure(&status))
    }

    async fn converse(&mut self, stream: EventStream, stubborn: bool, slow: bool) {
        let EventStream { requests, mut answers } = stream;
        let mut talk = Conversation {
            requests: Some(requests),
            in_flight: HashMap::new(),
            next_sequence: 1,
            not_before: Instant::now(),
        };
        let mut stage = self.stage.clone();
        let end = loop {
            let running = *stage.borrow_and_update() == Stage::Running;
            // One moment for all that follows: what is not due now is waited for, however long this takes.
            let now = Instant::now();
            while talk.may_send(self.shape.window, now)
                && let Some(batch) = self.next_batch(now)
            {
                talk.send(batch, &self.shared.oracle);
            }
            if !running && self.backlog.is_empty() && talk.in_flight.is_empty() {
                talk.requests = None;
            }
            if !talk.in_flight.is_empty() && self.happens(self.shape.cancel_one_in.saturating_mul(CANCEL_STREAM)) {
                self.note(|tally| tally.cancelled += 1);
                talk.leave(&self.shared.oracle, "given up by the client");
                return self.backlog.extend(talk.in_flight.into_values().map(|(batch, _)| batch));
            }
            if slow && self.happens(SLOW_ONE_IN) {
                self.note(|tally| tally.slow_reads += 1);
                self.pause(SLOW_PAUSE).await;
            }
            let due = [talk.not_before, self.rests_until].into_iter().filter(|due| *due > now).min();
            tokio::select! {
                answer = answers.message() => match answer {
                    Ok(Some(answer)) => self.answered(&mut talk, answer, stubborn),
                    Ok(None) => break None,
                    Err(status) => break Some(Failure::of(&status)),
                },
                () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
                _ = stage.changed() => {}
            }
        };
        self.note(|tally| {
            tally.stream_ended(end.as_ref());
            tally.forgotten += u64::from(end.is_none() && !talk.in_flight.is_empty());
        });
        talk.leave(&self.shared.oracle, &end.map_or_else(|| "the stream ended".to_owned(), |end| end.label()));
        self.backlog.extend(talk.in_flight.into_values().map(|(batch, _)| batch));
    }

    fn answered(&mut self, talk: &mut Conversation, answer: StreamEventsResponse, stubborn: bool) {
        let sent = talk.in_flight.remove(&answer.sequence);
        if let Some((_, sent_at)) = &sent {
            self.note(|tally| tally.answered_after(sent_at.elapsed()));
        }
        let batch = sent.map(|(batch, _)| batch);
        match (answer.answer, batch) {
            (Some(Answer::Verdict(verdict)), Some(batch)) => {
                self.take_verdict(batch, &verdict);
            }
            (Some(Answer::Refusal(refusal)), Some(batch)) => {
                self.shared.oracle.refused(&batch);
                let retry_after = refusal.retry_delay.and_then(|delay| Duration::try_from(delay).ok());
                let failure = Failure::Refused { code: refusal.code.into(), retry_after };
                self.note(|tally| tally.refused(&failure));
                talk.not_before = Instant::now() + retry_after.unwrap_or(RECONNECT_PAUSE).min(LONGEST_PAUSE);
                self.send_again(batch);
            }
            (Some(Answer::Notice(_)), None) => {
                self.note(|tally| tally.notices += 1);
                if !stubborn {
                    talk.requests = None;
                }
            }
            (answer, batch) => panic!("sequence {}: {answer:?} for {batch:?}", talk.next_sequence),
        }
    }
}

impl Conversation {
    /// What is in flight stays without an answer.
    fn leave(&self, oracle: &Oracle, why: &str) {
        self.in_flight.values().for_each(|(batch, _)| oracle.unanswered(batch, why));
    }

    fn may_send(&self, window: usize, now: Instant) -> bool {
        self.requests.is_some() && self.in_flight.len() < window && self.not_before <= now
    }

    fn send(&mut self, batch: Batch, oracle: &Oracle) {
        let events = oracle.send(&batch);
        let request = StreamEventsRequest { sequence: self.next_sequence, events };
        // The queue is as long as the window: it is only ever closed, when the call is over, never full. Then the batch
        // counts as sent and unanswered.
        if let Some(requests) = &self.requests
            && requests.try_send(request).is_err()
        {
            self.requests = None;
        }
        self.in_flight.insert(self.next_sequence, (batch, Instant::now()));
        self.next_sequence += 1;
    }
}
