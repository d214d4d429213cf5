//! Game servers: each turns its players' events into batches at fixed instants, sends them without waiting for answers,
//! and follows every batch to its end.
//!
//! A refusal or a `retry` verdict is sent again after its hint, a batch without an answer when the connection is back;
//! always with the same event ids and the instant at which it was to leave at first.

mod codec;
mod conn;
mod flight;
mod schedule;
mod server;
mod settle;
mod stream;
mod unary;

use std::time::Duration;

use bytes::Bytes;
pub(crate) use conn::Connector;
use headgate_proto::v1::BatchVerdict;
pub(crate) use schedule::Schedule;
pub(crate) use server::GameServer;
use stream::StreamLink;
use tonic::Code;
use unary::UnaryLink;

/// What the gateway said of a batch.
enum Answer {
    Verdict(BatchVerdict),
    /// Refused as a whole; nothing of it is stored.
    Refused {
        code: Code,
        message: String,
        retry_after: Option<Duration>,
    },
    /// The connection broke, or nothing was said in time; it may be stored.
    Unanswered(String),
}

/// What comes in on a link.
enum Incoming {
    /// Batches can be sent from now on.
    Opened,
    Answered {
        sequence: u64,
        answer: Answer,
    },
    /// This stream is over; what was sent on it and not answered will not be.
    Lost {
        carrier: Carrier,
        why: Option<String>,
        /// The gateway had asked for it: no trouble, unless batches are unanswered.
        asked: bool,
    },
    /// A connection could not be opened; the link tries again by itself.
    Trouble(String),
}

/// The stream that a batch was sent on, counted from the link's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Carrier(u32);

/// How a game server's batches travel.
enum Link {
    Stream(Box<StreamLink>),
    Unary(Box<UnaryLink>),
}

impl Link {
    /// Sends without waiting; none if there is nothing to send on now.
    fn send(&mut self, sequence: u64, events: Bytes) -> Option<Carrier> {
        match self {
            Self::Stream(link) => link.send(sequence, events),
            Self::Unary(link) => Some(link.send(sequence, events)),
        }
    }

    /// What comes in next. Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Incoming {
        match self {
            Self::Stream(link) => link.next().await,
            Self::Unary(link) => link.next().await,
        }
    }

    /// Tells the gateway that nothing more comes, and waits a moment for it to agree.
    async fn close(self) {
        if let Self::Stream(link) = self {
            link.close().await;
        }
    }
}
