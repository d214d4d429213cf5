//! `StreamEvents`: one state machine for each stream, driven by its response body.
//!
//! It sends what is answered, then reads what has come, and never one without the other: while answers can't be sent, no
//! further batch is read, so a slow reader bounds itself. It ends after every batch it took is answered: when the client
//! ends, when its key is revoked or loses its scope, when the protocol is broken, or when the client was asked to leave and its grace is
//! over.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use headgate_proto::v1::{StreamEventsResponse, StreamNotice, stream_events_response::Answer, stream_notice};
use http_body::Frame;
use hyper::body::Incoming as RequestBody;
use tokio::time::Sleep;
use tonic::Status;

use super::answers::{Answers, Pending};
use super::body::trailers;
use super::message::{MessageReader, Next, ReadError};
use super::{Shared, status};
use crate::admission::budget::Permit;
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::door::connection::Leave;
use crate::door::intake::Admitted;
use crate::door::kill::KillSwitch;
use crate::door::open_calls::OpenCall;
use crate::event::scan::Envelope;
use crate::ingest::Incoming;
use crate::ingest::verdict::Reply;
use crate::registry::Purpose;

/// Batches read in one go before other streams get their turn.
const BATCHES_IN_A_ROW: u32 = 32;

type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A stream's response body.
pub struct StreamBody {
    shared: Arc<Shared>,
    grant: Grant,
    answers: Arc<Answers>,
    reply: Arc<dyn Reply>,
    reader: MessageReader<RequestBody>,
    affinity: usize,
    clock_skew_ms: Option<i64>,
    // Asked only when they are ready, and not whenever something came.
    signals: FuturesUnordered<Waiting<Signal>>,
    // While the client has been asked to leave: when reading ends.
    leaving: Option<Pin<Box<Sleep>>>,
    // While a message has begun and is not whole: when patience ends.
    message_due: Option<Pin<Box<Sleep>>>,
    phase: Phase,
    _call: OpenCall,
}

enum Phase {
    Reading,
    // No more is read; what is in flight is answered, then this is the end.
    Finishing(Result<(), Refusal>),
    Done,
}

/// What may end the reading.
enum Signal {
    // The key was revoked, or lost its scope.
    KeyEnded,
    Leave(Leave),
}

enum Turn {
    Again,
    Wait,
}

impl StreamBody {
    pub(super) fn new(
        shared: &Arc<Shared>,
        grant: Grant,
        reader: MessageReader<RequestBody>,
        leave: impl Future<Output = Leave> + Send + 'static,
        affinity: usize,
        call: OpenCall,
        clock_skew_ms: Option<i64>,
    ) -> Self {
        let answers = Answers::new(&shared.clock, KillSwitch::of_this_call());
        let slow_reader: Weak<Answers> = Arc::downgrade(&answers);
        shared.slow_readers.add(slow_reader);
        shared.metrics.streams.inc();
        shared.metrics.streams_opened.inc();
        let signals = FuturesUnordered::<Waiting<Signal>>::new();
        signals.push(key_ended(&grant));
        signals.push(Box::pin(leave.map(Signal::Leave)));
        Self {
            shared: Arc::clone(shared),
            reply: Arc::clone(&answers) as Arc<dyn Reply>,
            answers,
            grant,
            reader,
            affinity,
            clock_skew_ms,
            signals,
            leaving: None,
            message_due: None,
            phase: Phase::Reading,
            _call: call,
        }
    }

    /// The next piece of the response.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match catch_unwind(AssertUnwindSafe(|| self.poll(cx))) {
            Ok(poll) => poll,
            Err(_) => {
                self.shared.tasks.panicked("stream");
                self.phase = Phase::Done;
                self.ended("panic");
                let refusal = Refusal::Internal;
                self.shared.refused(Some(self.grant.app().id()), &refusal);
                Poll::Ready(Some(Ok(Frame::trailers(trailers(&status::status(&refusal))))))
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Phase::Reading = self.phase {
            self.watch(cx);
        }
        let mut batches = 0;
        loop {
            let in_flight = match self.answers.poll_take(cx) {
                Pending::Answers(encoded) => return Poll::Ready(Some(Ok(Frame::data(encoded)))),
                Pending::None { in_flight } => in_flight,
                Pending::GivenUp => {
                    self.phase = Phase::Done;
                    self.ended("slow_reader");
                    return Poll::Ready(Some(Err(Status::cancelled("answers were not read for too long"))));
                }
            };
            match &self.phase {
                Phase::Done => return Poll::Ready(None),
                Phase::Finishing(_) if in_flight > 0 => return Poll::Pending,
                Phase::Finishing(end) => {
                    let (status, cause) = match end {
                        Ok(()) => (Status::ok(""), "client"),
                        Err(refusal) => (status::status(refusal), refusal.row().label),
                    };
                    self.phase = Phase::Done;
                    self.ended(cause);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))));
                }
                Phase::Reading => {}
            }
            if let Err(refusal) = self.grant.check(Purpose::SendStream) {
                self.finish(refusal);
                continue;
            }
            if batches == BATCHES_IN_A_ROW {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            batches += 1;
            match self.read(cx) {
                Turn::Again => {}
                // Answers that came meanwhile have woken the task again: nothing is missed.
                Turn::Wait => return Poll::Pending,
            }
        }
    }

    /// Looks at what may end the reading, once each time the task is woken: the key, the connection, the client's grace.
    fn watch(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(signal)) = self.signals.poll_next_unpin(cx) {
            match (signal, self.grant.check(Purpose::SendStream)) {
                (Signal::Leave(reason), _) => self.ask_to_leave(reason),
                (Signal::KeyEnded, Err(refusal)) => return self.finish(refusal),
                // It was taken back at once.
                (Signal::KeyEnded, Ok(())) => self.signals.push(key_ended(&self.grant)),
            }
        }
        if let Some(leaving) = &mut self.leaving
            && leaving.as_mut().poll(cx).is_ready()
        {
            self.finish(Refusal::Draining);
        }
    }

    fn ask_to_leave(&mut self, reason: Leave) {
        let (kind, grace) = match reason {
            Leave::Draining { grace } => (stream_notice::Kind::Draining, grace),
            Leave::ConnectionAge { grace } => (stream_notice::Kind::ConnectionAge, grace),
        };
        // A client that follows the notice needs some of the grace for its answers to come back.
        let reading = grace / 2;
        let notice = StreamNotice { kind: kind.into(), grace: status::proto_duration(reading) };
        self.answers.push(&StreamEventsResponse { sequence: 0, answer: Some(Answer::Notice(notice)) });
        self.leaving = Some(Box::pin(tokio::time::sleep_until(self.after(reading))));
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Turn {
        if !self.answers.has_room(self.shared.max_batches_in_flight) {
            return Turn::Wait;
        }
        match self.reader.poll_next(cx, self.grant.app()) {
            Poll::Ready(Ok(Next::Message { bytes, permit })) => {
                self.message_due = None;
                self.take(bytes, permit);
                Turn::Again
            }
            Poll::Ready(Ok(Next::Refused { refusal, sequence })) => {
                self.message_due = None;
                self.refuse(sequence, refusal);
                Turn::Again
            }
            Poll::Ready(Ok(Next::End)) => {
                self.phase = Phase::Finishing(Ok(()));
                Turn::Again
            }
            Poll::Ready(Err(ReadError::Protocol(refusal))) => {
                self.finish(refusal);
                Turn::Again
            }
            Poll::Ready(Err(ReadError::Gone)) => {
                self.phase = Phase::Finishing(Ok(()));
                Turn::Again
            }
            Poll::Pending if self.reader.is_mid_message() => {
                // Judged only once everything that has come is read: a message that waited for the gateway is in time.
                let limit = self.shared.message_timeout;
                let due = self.shared.clock.now() + limit;
                let due = self.message_due.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
                if due.as_mut().poll(cx).is_pending() {
                    return Turn::Wait;
                }
                self.finish(Refusal::MessageTimeout { limit });
                Turn::Again
            }
            Poll::Pending => Turn::Wait,
        }
    }

    fn take(&mut self, message: Bytes, mut permit: Permit) {
        let arrived: Instant = self.shared.clock.now();
        let app = self.grant.app();
        match self.shared.admit(app, &message, &mut permit, Envelope::Stream) {
            Ok(Admitted { head, policy }) => {
                self.answers.begin_batch();
                self.shared.intake.take(Incoming {
                    app: Arc::clone(app),
                    message,
                    envelope: Envelope::Stream,
                    head,
                    flaws: Vec::new(),
                    policy,
                    permit,
                    arrived,
                    clock_skew_ms: self.clock_skew_ms,
                    reply: Arc::clone(&self.reply),
                    token: head.sequence,
                    affinity: self.affinity,
                });
            }
            Err((sequence, refusal)) => self.refuse(sequence, refusal),
        }
    }

    /// Answers one batch with a refusal; without its sequence nobody would know which, so then the stream ends.
    fn refuse(&mut self, sequence: Option<u64>, refusal: Refusal) {
        let Some(sequence) = sequence else { return self.finish(refusal) };
        self.shared.refused(Some(self.grant.app().id()), &refusal);
        let answer = Some(Answer::Refusal(status::answer(&refusal)));
        self.answers.push(&StreamEventsResponse { sequence, answer });
    }

    fn finish(&mut self, refusal: Refusal) {
        self.shared.refused(Some(self.grant.app().id()), &refusal);
        self.phase = Phase::Finishing(Err(refusal));
    }

    fn after(&self, duration: Duration) -> tokio::time::Instant {
        (self.shared.clock.now() + duration).into()
    }

    fn ended(&self, cause: &'static str) {
        self.shared.metrics.stream_ended(cause);
    }
}

fn key_ended(grant: &Grant) -> Waiting<Signal> {
    let grant = grant.clone();
    Box::pin(async move {
        grant.ended(Purpose::SendStream).await;
        Signal::KeyEnded
    })
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.shared.metrics.streams.dec();
        if !matches!(self.phase, Phase::Done) {
            self.ended("gone");
        }
    }
}
