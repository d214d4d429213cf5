//! A stream's answers: batches that are settled put theirs here, encoded, and the stream sends what is here in one piece.
//!
//! Bounded on both sides: a stream with too many batches in flight, or too many answers that its client does not read,
//! is not read on. An answer holds its batch's bytes of the budget until it is on its way, so a client that reads nothing
//! uses up its own application's share and nobody else's; after a time its stream is given up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use headgate_proto::v1::{StreamEventsResponse, stream_events_response::Answer};
use prost::Message;

use super::status;
use crate::admission::budget::Permit;
use crate::clock::Clock;
use crate::ingest::verdict::{BatchOutcome, Reply};

/// Answers waiting for the client, in bytes, past which the stream is not read on.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// The answers of one stream.
pub struct Answers {
    state: Mutex<State>,
    waker: AtomicWaker,
    clock: Clock,
}

#[derive(Default)]
struct State {
    // gRPC messages, one after the other.
    encoded: Vec<u8>,
    permits: Vec<Permit>,
    in_flight: u32,
    waiting_since: Option<Instant>,
    given_up: bool,
}

/// What there is to send.
pub enum Pending {
    /// Answers, encoded.
    Answers(Bytes),
    /// None now; `in_flight` batches are not settled.
    None {
        /// Batches without an outcome.
        in_flight: u32,
    },
    /// The client did not read for too long.
    GivenUp,
}

impl Answers {
    /// Of a stream that just began.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        Self { state: Mutex::default(), waker: AtomicWaker::new(), clock: clock.clone() }
    }

    /// A batch is on its way and will be settled.
    pub fn begin_batch(&self) {
        self.lock().in_flight += 1;
    }

    /// Puts an answer that belongs to no batch in flight.
    pub fn push(&self, response: &StreamEventsResponse) {
        self.put(response, None);
    }

    /// Takes everything there is to send. `cx` is woken when there is more.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Pending {
        self.waker.register(cx.waker());
        let (encoded, permits) = {
            let mut state = self.lock();
            if state.given_up {
                return Pending::GivenUp;
            }
            if state.encoded.is_empty() {
                return Pending::None { in_flight: state.in_flight };
            }
            state.waiting_since = None;
            (std::mem::take(&mut state.encoded), std::mem::take(&mut state.permits))
        };
        drop(permits);
        Pending::Answers(encoded.into())
    }

    /// Whether another batch may be read.
    #[must_use]
    pub fn has_room(&self, max_in_flight: u32) -> bool {
        let state = self.lock();
        state.in_flight < max_in_flight && state.encoded.len() < MAX_WAITING_BYTES
    }

    /// Gives the stream up if its answers have waited for longer than `patience`. Says whether it did so now.
    pub fn give_up_after(&self, patience: Duration) -> bool {
        let now = self.clock.now();
        let dropped = {
            let mut state = self.lock();
            let waited = state.waiting_since.map(|since| now.saturating_duration_since(since));
            if state.given_up || waited.is_none_or(|waited| waited < patience) {
                return false;
            }
            state.given_up = true;
            (std::mem::take(&mut state.encoded), std::mem::take(&mut state.permits))
        };
        drop(dropped);
        self.waker.wake();
        true
    }

    fn put(&self, response: &StreamEventsResponse, settled: Option<Permit>) {
        let length = response.encoded_len();
        {
            let mut state = self.lock();
            if settled.is_some() {
                state.in_flight = state.in_flight.saturating_sub(1);
            }
            // A stream that was given up is only waiting to be closed.
            if !state.given_up {
                state.encoded.reserve(5 + length);
                state.encoded.push(0);
                state.encoded.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
                // A vector grows: encoding into it can't run out of room.
                let _ = response.encode(&mut state.encoded);
                state.permits.extend(settled);
                if state.waiting_since.is_none() {
                    state.waiting_since = Some(self.clock.now());
                }
            }
        }
        self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reply for Answers {
    fn settled(&self, token: u64, outcome: BatchOutcome, permit: Permit) {
        let answer = match outcome {
            BatchOutcome::Settled(verdict) => Answer::Verdict(verdict),
            BatchOutcome::Refused(refusal) => Answer::Refusal(status::answer(&refusal)),
        };
        self.put(&StreamEventsResponse { sequence: token, answer: Some(answer) }, Some(permit));
    }
}

/// Polls to ready with the reply of a single batch.
pub struct OneReply {
    outcome: Mutex<Option<(BatchOutcome, Permit)>>,
    waker: AtomicWaker,
}

impl OneReply {
    /// Not settled yet.
    #[must_use]
    pub fn new() -> Self {
        Self { outcome: Mutex::new(None), waker: AtomicWaker::new() }
    }

    /// Waits for the outcome; the permit is to be held until it is on its way.
    pub async fn wait(&self) -> (BatchOutcome, Permit) {
        std::future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            match self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(outcome) => Poll::Ready(outcome),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Default for OneReply {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply for OneReply {
    fn settled(&self, _token: u64, outcome: BatchOutcome, permit: Permit) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some((outcome, permit));
        self.waker.wake();
    }
}
