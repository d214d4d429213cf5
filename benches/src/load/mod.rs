//! A closed-loop load: a bounded number of batches on their way, encoded beforehand, every answer checked.
//!
//! It spends as little as it can, so that it is not what is measured: HTTP/2 frames are handed to `h2` itself, events are
//! copied from templates, and only their ids are written anew, for a server that knows an id already has less to do.

mod answers;
mod batch;
mod connection;
mod frames;
mod otlp;
mod paced;
mod quiet;
mod stream;
mod unary;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::HeaderValue;
use tokio::task::JoinSet;

pub use self::batch::Batches;
pub use self::paced::{Pace, paced};
pub use self::quiet::Quiet;
use crate::Result;
use crate::events::Size;

/// Connections that loads are made for.
pub const USUAL_CONNECTIONS: usize = 8;

/// Events of one load at most, whatever else goes wrong.
const MAX_EVENTS: u64 = 1_000_000_000;

/// How batches are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `StreamEvents`, one stream a connection, one DATA frame a message.
    Stream,
    /// `PublishEvents`.
    Unary,
}

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// How batches are sent.
    pub call: Call,
    /// Events in a batch.
    pub batch: u32,
}

impl Case {
    /// Every case, in the order in which they are measured.
    pub const ALL: [Self; 8] = [
        Self::new(Call::Stream, 1),
        Self::new(Call::Stream, 10),
        Self::new(Call::Stream, 100),
        Self::new(Call::Stream, 1_000),
        Self::new(Call::Unary, 1),
        Self::new(Call::Unary, 10),
        Self::new(Call::Unary, 100),
        Self::new(Call::Unary, 1_000),
    ];

    /// A case.
    #[must_use]
    pub const fn new(call: Call, batch: u32) -> Self {
        Self { call, batch }
    }

    /// Batches on their way on one connection: enough that a server always has work, and that buckets close for their
    /// size rather than their age.
    fn in_flight(self) -> usize {
        match (self.call, self.batch) {
            (Call::Stream, ..10) => 512,
            (Call::Stream, 10..100) => 128,
            (Call::Stream, 100..1_000) => 24,
            (Call::Unary, ..10) => 192,
            (Call::Unary, 10..100) => 64,
            (Call::Unary, 100..1_000) => 16,
            (_, 1_000..) => 4,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self.call {
            Call::Stream => "stream",
            Call::Unary => "unary",
        };
        f.pad(&format!("{call}-{}", self.batch))
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("{text} is no case; write stream-N or unary-N with N from 1 to 1000");
        let (call, batch) = text.split_once('-').ok_or_else(wrong)?;
        let call = match call {
            "stream" => Call::Stream,
            "unary" => Call::Unary,
            _ => return Err(wrong()),
        };
        let batch = batch.parse().ok().filter(|batch| (1..=1_000).contains(batch)).ok_or_else(wrong)?;
        Ok(Self { call, batch })
    }
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Headgate's gRPC service, every verdict checked.
    Headgate,
    /// The same calls, to a server that does not look into messages: it gives one answer to each, the same to all.
    Unread,
    /// The same messages on a bare TCP connection, each answered by [`ANSWER`] bytes.
    Frames,
    /// OTLP over gRPC: an event is a log record.
    Otlp,
}

/// Bytes of an answer of [`Protocol::Frames`].
pub const ANSWER: usize = 8;

impl Protocol {
    /// Whether it has such calls.
    #[must_use]
    pub fn has(self, call: Call) -> bool {
        match self {
            Self::Headgate | Self::Unread => true,
            Self::Frames => call == Call::Stream,
            // OTLP has no streams.
            Self::Otlp => call == Call::Unary,
        }
    }

    /// Whether its servers may remember ids and are not warm before they forget as many as they learn.
    #[must_use]
    pub fn has_window(self) -> bool {
        self == Self::Headgate
    }
}

/// Where a load goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's address.
    pub address: SocketAddr,
    /// The key that it is shown.
    pub key: HeaderValue,
    /// What it speaks.
    pub protocol: Protocol,
}

impl Target {
    /// A server that asks for no key.
    #[must_use]
    pub fn open(address: SocketAddr, protocol: Protocol) -> Self {
        Self { address, key: HeaderValue::from_static("none"), protocol }
    }
}

/// A load that runs on the current runtime.
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<Result<()>>,
}

/// What the connections of a load share.
struct Shared {
    case: Case,
    // Batches on their way on one connection.
    in_flight: usize,
    sent: AtomicU64,
    accepted: AtomicU64,
    stopped: AtomicBool,
}

impl Load {
    /// Starts it on connections of its own.
    ///
    /// # Errors
    /// If the server can't be reached.
    pub async fn start(target: &Target, case: Case, connections: usize) -> Result<Self> {
        Self::sized(target, case, connections, Size::Usual).await
    }

    /// Starts it with events of this size.
    ///
    /// # Errors
    /// If the server can't be reached.
    pub async fn sized(target: &Target, case: Case, connections: usize, size: Size) -> Result<Self> {
        Self::spread(std::slice::from_ref(target), case, connections, size).await
    }

    /// Starts it on connections that go to these targets by turns. However many there are, no more is on its way than on
    /// [`USUAL_CONNECTIONS`], unless that is less than a batch on each.
    ///
    /// # Errors
    /// If a server can't be reached.
    pub async fn spread(targets: &[Target], case: Case, connections: usize, size: Size) -> Result<Self> {
        let in_flight = (case.in_flight() * USUAL_CONNECTIONS / connections.max(USUAL_CONNECTIONS)).max(1);
        let shared = Arc::new(Shared {
            case,
            in_flight,
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        for (number, target) in (0..connections).zip(targets.iter().cycle()) {
            let batches = match target.protocol {
                Protocol::Otlp => Batches::otlp(case, number as u64, size)?,
                _ => Batches::sized(case, number as u64, size)?,
            };
            let shared = Arc::clone(&shared);
            if target.protocol == Protocol::Frames {
                tasks.spawn(frames::run(frames::open(target).await?, batches, shared));
                continue;
            }
            let connection = connection::open(target).await?;
            let target = target.clone();
            match case.call {
                Call::Stream => tasks.spawn(stream::run(connection, batches, target, shared)),
                Call::Unary => tasks.spawn(unary::run(connection, batches, target, shared)),
            };
        }
        Ok(Self { shared, tasks })
    }

    /// Events that were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Waits until so many events were accepted, or until a connection ends, which is an error.
    ///
    /// # Errors
    /// What went wrong on a connection.
    pub async fn until(&mut self, accepted: u64) -> Result<()> {
        while self.accepted() < accepted {
            self.run_for(std::time::Duration::from_millis(5)).await?;
        }
        Ok(())
    }

    /// Lets it run.
    ///
    /// # Errors
    /// What went wrong on a connection meanwhile.
    pub async fn run_for(&mut self, time: std::time::Duration) -> Result<()> {
        match tokio::time::timeout(time, self.tasks.join_next()).await {
            Err(_elapsed) => Ok(()),
            Ok(ended) => {
                ended.ok_or("the load has no connections")???;
                Err("a connection has ended before the load was stopped".into())
            }
        }
    }

    /// Sends no more and waits for the last answers. Returns how many events were sent, each of which was accepted.
    ///
    /// # Errors
    /// What went wrong on a connection, or if events were lost.
    pub async fn stop(mut self) -> Result<u64> {
        self.shared.stopped.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        let (sent, accepted) = (self.shared.sent.load(Ordering::Relaxed), self.accepted());
        if sent == accepted { Ok(sent) } else { Err(format!("{sent} events were sent, {accepted} accepted").into()) }
    }
}

impl Shared {
    /// Asks for leave to send one more batch.
    fn may_send(&self) -> bool {
        if self.stopped.load(Ordering::Relaxed) || self.sent.load(Ordering::Relaxed) >= MAX_EVENTS {
            return false;
        }
        self.sent.fetch_add(self.case.batch.into(), Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_written_as_it_is_read() {
        for case in Case::ALL {
            assert_eq!(case.to_string().parse(), Ok(case));
        }
        for wrong in ["stream", "stream-0", "bidi-1", "unary-x", "unary-1001"] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }
}
