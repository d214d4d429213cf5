//! Reads gRPC messages off a request body without decoding them.
//!
//! A message's declared length is charged to the budget before its bytes are read. What can't be afforded is refused
//! without being kept: its bytes are dropped as they arrive, all but the first few, which tell the batch's sequence. A
//! message that lies in one piece of the body is not copied.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;

use crate::admission::app::App;
use crate::admission::budget::Permit;
use crate::admission::refusal::Refusal;
use crate::door::decompress::{Decompressor, Encoding};
use crate::event::scan;

/// A message's prefix: one byte for compression, four for the length.
const PREFIX: usize = 5;
/// Enough of a message for the tag and the varint of its sequence.
const START: usize = 11;
/// How many times the limit a refused message may be long and still be read over; past it the call ends.
const SKIP_FACTOR: u64 = 4;

/// What comes next on the body.
pub enum Next {
    /// A message, decompressed, with the bytes it holds of the budget.
    Message {
        /// Its bytes.
        bytes: Bytes,
        /// What it was charged.
        permit: Permit,
    },
    /// A message that is refused; the body can be read on.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The batch's sequence, where its first bytes told it.
        sequence: Option<u64>,
    },
    /// The client has sent everything.
    End,
}

/// Why the body can't be read on.
#[derive(Debug)]
pub enum ReadError {
    /// The client broke the protocol.
    Protocol(Refusal),
    /// The client is gone.
    Gone,
}

/// Reads messages off a body.
pub struct MessageReader<B> {
    body: B,
    chunk: Bytes,
    state: State,
    encoding: Encoding,
    decompressor: Decompressor,
    limit: usize,
}

enum State {
    Prefix { bytes: [u8; PREFIX], filled: usize },
    Reading { compressed: bool, length: usize, permit: Permit, gathered: BytesMut },
    Skipping { compressed: bool, remaining: u64, refusal: Refusal, start: Vec<u8> },
}

const EMPTY_PREFIX: State = State::Prefix { bytes: [0; PREFIX], filled: 0 };

impl<B> MessageReader<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Messages of at most `limit` bytes, before and after decompression.
    pub fn new(body: B, encoding: Encoding, limit: usize) -> Self {
        let decompressor = Decompressor::new(limit);
        Self { body, chunk: Bytes::new(), state: EMPTY_PREFIX, encoding, decompressor, limit }
    }

    /// Whether a message has begun and is not whole.
    pub fn is_mid_message(&self) -> bool {
        !matches!(self.state, State::Prefix { filled: 0, .. })
    }

    /// The next message.
    ///
    /// # Errors
    /// [`ReadError`], after which the body can't be read on.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, app: &App) -> Poll<Result<Next, ReadError>> {
        loop {
            if let Some(next) = self.advance(app)? {
                return Poll::Ready(Ok(next));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.chunk = data;
                    }
                }
                Some(Err(_)) => return Poll::Ready(Err(ReadError::Gone)),
                None if self.is_mid_message() => {
                    return Poll::Ready(Err(ReadError::Protocol(Refusal::Undecodable {
                        why: "the call ended in the middle of a message",
                    })));
                }
                None => return Poll::Ready(Ok(Next::End)),
            }
        }
    }

    /// Goes as far as the chunk in hand allows; `None`: it is used up.
    fn advance(&mut self, app: &App) -> Result<Option<Next>, ReadError> {
        loop {
            match &mut self.state {
                State::Prefix { bytes, filled } => {
                    let taken = self.chunk.len().min(PREFIX - *filled);
                    self.chunk.copy_to_slice(&mut bytes[*filled..*filled + taken]);
                    *filled += taken;
                    if *filled < PREFIX {
                        return Ok(None);
                    }
                    let prefix = *bytes;
                    self.state = self.begin(prefix, app)?;
                }
                State::Reading { length, gathered, .. } => {
                    let missing = *length - gathered.len();
                    let whole = if gathered.is_empty() && self.chunk.len() >= missing {
                        self.chunk.split_to(missing)
                    } else {
                        if gathered.is_empty() {
                            gathered.reserve(*length);
                        }
                        let piece = self.chunk.split_to(self.chunk.len().min(missing));
                        gathered.extend_from_slice(&piece);
                        if gathered.len() < *length {
                            return Ok(None);
                        }
                        std::mem::take(gathered).freeze()
                    };
                    return Ok(Some(self.finish(whole)));
                }
                State::Skipping { remaining, start, .. } => {
                    let here = usize::try_from(*remaining).unwrap_or(usize::MAX).min(self.chunk.len());
                    let kept = here.min(START.saturating_sub(start.len()));
                    start.extend_from_slice(&self.chunk[..kept]);
                    self.chunk.advance(here);
                    *remaining -= here as u64;
                    if *remaining > 0 {
                        return Ok(None);
                    }
                    return Ok(Some(self.skipped()));
                }
            }
        }
    }

    fn begin(&mut self, prefix: [u8; PREFIX], app: &App) -> Result<State, ReadError> {
        let [flag, length @ ..] = prefix;
        let undecodable = |why| Err(ReadError::Protocol(Refusal::Undecodable { why }));
        let compressed = match flag {
            0 => false,
            1 if self.encoding == Encoding::Identity => {
                return undecodable("a compressed message in a call without grpc-encoding");
            }
            1 => true,
            _ => return undecodable("a message's compression flag is neither 0 nor 1"),
        };
        let size = u64::from(u32::from_be_bytes(length));
        let limit = self.limit as u64;
        if size > limit {
            let refusal = Refusal::MessageTooLarge { size, limit };
            if size > limit * SKIP_FACTOR {
                return Err(ReadError::Protocol(refusal));
            }
            return Ok(State::Skipping { compressed, remaining: size, refusal, start: Vec::with_capacity(START) });
        }
        #[allow(clippy::cast_possible_truncation, reason = "not above the limit, a usize")]
        let length = size as usize;
        Ok(match app.take_permit(length) {
            Ok(permit) => State::Reading { compressed, length, permit, gathered: BytesMut::new() },
            Err(refusal) => State::Skipping { compressed, remaining: size, refusal, start: Vec::with_capacity(START) },
        })
    }

    fn finish(&mut self, bytes: Bytes) -> Next {
        let State::Reading { compressed, mut permit, .. } = std::mem::replace(&mut self.state, EMPTY_PREFIX) else {
            return Next::Refused { refusal: Refusal::Internal, sequence: None };
        };
        if !compressed {
            return Next::Message { bytes, permit };
        }
        match self.decompressor.decompress(self.encoding, &bytes, &mut permit) {
            Ok(output) => Next::Message { bytes: output.into(), permit },
            Err(failed) => Next::Refused { refusal: failed.refusal, sequence: scan::leading_sequence(&failed.start) },
        }
    }

    fn skipped(&mut self) -> Next {
        let State::Skipping { compressed, refusal, start, .. } = std::mem::replace(&mut self.state, EMPTY_PREFIX)
        else {
            return Next::Refused { refusal: Refusal::Internal, sequence: None };
        };
        // The start of a compressed message tells nothing without decompressing it, which is what can't be afforded.
        let sequence = if compressed { None } else { scan::leading_sequence(&start) };
        Next::Refused { refusal, sequence }
    }
}
