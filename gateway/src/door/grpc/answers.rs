//! A stream's answers: batches that are settled put theirs here, encoded, and the stream sends what is here in one piece.
//!
//! Bounded on both sides: a stream with too many batches in flight, or too many answers that its client does not read,
//! is not read on. An answer holds its batch's bytes of the budget until it has left for the client, so a client that
//! reads nothing uses up its own application's share and nobody else's; after a time its call is ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Context;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use headgate_proto::v1::{StreamEventsResponse, stream_events_response::Answer};
use prost::Message;

use super::status;
use crate::admission::budget::Permit;
use crate::clock::Clock;
use crate::door::kill::KillSwitch;
use crate::door::slow_readers::SlowReader;
use crate::ingest::verdict::{BatchOutcome, Reply};

/// Answers waiting for the client, in bytes, past which the stream is not read on.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// The answers of one stream.
pub struct Answers {
    // Itself, for the pieces that it sends.
    this: Weak<Self>,
    state: Mutex<State>,
    waker: AtomicWaker,
    kill: Option<Arc<KillSwitch>>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    // gRPC messages, one after the other.
    encoded: Vec<u8>,
    permits: Vec<Permit>,
    in_flight: u32,
    // Pieces that were handed over and have not left yet.
    leaving: u32,
    // Since when something has been waiting without any of it leaving.
    stuck_since: Option<Instant>,
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
    /// Of a stream that just began. `kill` ends its call.
    #[must_use]
    pub fn new(clock: &Clock, kill: Option<Arc<KillSwitch>>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            state: Mutex::default(),
            waker: AtomicWaker::new(),
            kill,
            clock: clock.clone(),
        })
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
        let mut state = self.lock();
        if state.given_up {
            return Pending::GivenUp;
        }
        if state.encoded.is_empty() {
            return Pending::None { in_flight: state.in_flight };
        }
        state.leaving += 1;
        let piece = Piece {
            encoded: std::mem::take(&mut state.encoded),
            _permits: std::mem::take(&mut state.permits),
            answers: self.this.clone(),
        };
        Pending::Answers(Bytes::from_owner(piece))
    }

    /// Whether another batch may be read.
    #[must_use]
    pub fn has_room(&self, max_in_flight: u32) -> bool {
        let state = self.lock();
        state.in_flight < max_in_flight && state.encoded.len() < MAX_WAITING_BYTES
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
                if state.stuck_since.is_none() {
                    state.stuck_since = Some(self.clock.now());
                }
            }
        }
        self.waker.wake();
    }

    /// A piece has left for the client, or was dropped with the call.
    fn left(&self) {
        let mut state = self.lock();
        state.leaving = state.leaving.saturating_sub(1);
        let more = state.leaving > 0 || !state.encoded.is_empty();
        state.stuck_since = more.then(|| self.clock.now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlowReader for Answers {
    fn give_up_after(&self, patience: Duration) -> bool {
        let now = self.clock.now();
        let dropped = {
            let mut state = self.lock();
            let stuck = state.stuck_since.map(|since| now.saturating_duration_since(since));
            if state.given_up || stuck.is_none_or(|stuck| stuck < patience) {
                return false;
            }
            state.given_up = true;
            (std::mem::take(&mut state.encoded), std::mem::take(&mut state.permits))
        };
        drop(dropped);
        if let Some(kill) = &self.kill {
            kill.kill();
        }
        self.waker.wake();
        true
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

/// Answers on their way out. Dropped once they have left, with the bytes that their batches held of the budget.
struct Piece {
    encoded: Vec<u8>,
    _permits: Vec<Permit>,
    answers: Weak<Answers>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.encoded
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(answers) = self.answers.upgrade() {
            answers.left();
        }
    }
}
