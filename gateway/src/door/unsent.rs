//! One call's answer while it is being sent: it holds its batch's bytes of the budget until it has left, and a client that
//! does not read it loses its call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::slow_readers::SlowReader;
use crate::admission::budget::Permit;
use crate::clock::Clock;
use crate::door::kill::KillSwitch;

/// When it was handed over, and how to end its call.
pub(super) struct Unsent {
    since: Instant,
    // None where the connection is watched as a whole: HTTP/1.1 has one call at a time.
    kill: Option<Arc<KillSwitch>>,
    clock: Clock,
}

impl Unsent {
    /// The answer as a piece of a body, and what to look at while it is sent.
    pub(super) fn new(
        encoded: Vec<u8>,
        permit: Option<Permit>,
        kill: Option<Arc<KillSwitch>>,
        clock: &Clock,
    ) -> (Bytes, Arc<Self>) {
        let unsent = Arc::new(Self { since: clock.now(), kill, clock: clock.clone() });
        let piece = Piece { encoded, _permit: permit, _unsent: Arc::clone(&unsent) };
        (Bytes::from_owner(piece), unsent)
    }
}

impl SlowReader for Unsent {
    fn give_up_after(&self, patience: Duration) -> bool {
        let stuck = self.clock.now().saturating_duration_since(self.since) >= patience;
        if stuck && let Some(kill) = &self.kill {
            kill.kill();
        }
        stuck
    }
}

/// The same of an answer whose pieces are made by somebody else, as gRPC-Web's text is: each holds the batch's bytes.
#[derive(Clone)]
pub(super) struct Holding {
    _permit: Arc<Permit>,
    _unsent: Arc<Unsent>,
}

impl Holding {
    /// What each piece holds, and what to look at while they are sent.
    pub(super) fn new(permit: Arc<Permit>, kill: Option<Arc<KillSwitch>>, clock: &Clock) -> (Self, Arc<Unsent>) {
        let unsent = Arc::new(Unsent { since: clock.now(), kill, clock: clock.clone() });
        (Self { _permit: permit, _unsent: Arc::clone(&unsent) }, unsent)
    }

    /// A piece of the answer.
    pub(super) fn piece(&self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(HeldPiece { bytes, _holding: self.clone() })
    }
}

struct HeldPiece {
    bytes: Bytes,
    _holding: Holding,
}

impl AsRef<[u8]> for HeldPiece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

struct Piece {
    encoded: Vec<u8>,
    _permit: Option<Permit>,
    // Nobody looks at it any more once the piece has left.
    _unsent: Arc<Unsent>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.encoded
    }
}
