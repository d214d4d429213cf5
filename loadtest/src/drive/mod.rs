//! Game servers: each turns its players' events into batches at fixed instants, sends them without waiting for answers,
//! and follows every batch to its end.
//!
//! A refusal or a `retry` verdict is sent again after its hint, a batch without an answer when the connection is back;
//! always with the same event ids and the instant at which it was to leave at first. A server whose application sends more
//! than it may holds batches back and lets them leave at a pace ([`pace`]).

#[cfg(feature = "cli")]
mod bad;
mod client;
mod clock;
#[cfg(feature = "cli")]
mod closed_loop;
mod codec;
mod conn;
mod flight;
#[cfg(feature = "cli")]
pub(crate) mod goose;
mod outcome;
mod pace;
mod schedule;
mod seat;
mod server;
mod settle;
mod stream;
mod trace;
mod unary;

use std::time::Duration;

#[cfg(feature = "cli")]
pub(crate) use bad::BadClient;
use client::ClientLink;
pub(crate) use clock::GameClock;
#[cfg(feature = "cli")]
pub(crate) use closed_loop::ClosedLoopClient;
pub(crate) use conn::Connector;
#[cfg(feature = "cli")]
pub(crate) use conn::{endpoint, innermost};
use headgate_proto::v1::BatchVerdict;
#[cfg(feature = "cli")]
pub(crate) use outcome::code_name;
pub(crate) use schedule::{Schedule, Start};
pub(crate) use seat::{Common, Seat};
pub(crate) use server::{GameServer, Running};
use stream::StreamLink;
use tonic::Code;
pub(crate) use trace::{End, ServerTrace, Trace};
use unary::UnaryLink;

use crate::engine::Batch;

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
    /// Batches can be sent from now on; connecting took so long.
    Opened {
        after: Duration,
        again: bool,
    },
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
    Client(Box<ClientLink>),
}

impl Link {
    /// Sends without waiting; none if there is nothing to send on now.
    fn send(&mut self, sequence: u64, batch: &mut Batch) -> Option<Carrier> {
        match self {
            Self::Stream(link) => link.send(sequence, batch),
            Self::Unary(link) => Some(link.send(sequence, batch.frame(None))),
            Self::Client(link) => link.send(sequence, batch).then_some(Carrier(0)),
        }
    }

    /// What comes in next. Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Incoming {
        match self {
            Self::Stream(link) => link.next().await,
            Self::Unary(link) => link.next().await,
            Self::Client(link) => link.next().await,
        }
    }

    /// Cuts the connection without a word; unary calls go on over the next one by themselves.
    fn cut(&mut self) -> Vec<Carrier> {
        match self {
            Self::Stream(link) => link.cut(),
            Self::Unary(link) => link.cut(),
            Self::Client(link) => {
                link.cut();
                Vec::new()
            }
        }
    }

    /// Tells the gateway that nothing more comes, and waits a moment for it to agree.
    async fn close(&mut self) {
        match self {
            Self::Stream(link) => link.close().await,
            Self::Unary(_) => {}
            Self::Client(link) => link.close().await,
        }
    }
}
