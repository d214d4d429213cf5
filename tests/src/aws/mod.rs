//! A stand-in for Kinesis Data Streams and Firehose over HTTP, with the faults of the real ones on demand. It enforces
//! the services' documented limits, keeps what it stored (or only counts it, for benches), and does its own accounting,
//! so that what a gateway says about itself can be checked against what arrived. Every fault follows from a seed.
//! DynamoDB's calls are passed on to an emulator of it; S3 is not here. A stand-in that cannot do its work panics: a test must not go on without it.

pub mod faults;
pub mod hash;
pub mod kcl;
pub mod kinesis;
pub mod tally;

mod answer;
mod call;
mod error;
mod firehose;
mod forward;
mod link;
mod parse;
mod port;
mod state;
#[cfg(test)]
mod tests;
mod throttle;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
pub use error::{CallError, RecordError, Service};
use faults::Faults;
use kinesis::{Stream, StreamSettings};
use state::State;
use tally::Tally;
pub use tls::Tls;

/// How a stand-in is started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Serves TLS (ALPN h2, then http/1.1) with this certificate.
    pub tls: Option<Tls>,
    /// A shard's write limit as a multiple of Kinesis's 1 MiB/s and 1,000 records/s; `None` takes everything.
    pub throttle: Option<f64>,
    /// Keeps what it stores; otherwise it only counts, and does not even decode what it is sent.
    pub keep: bool,
    /// Everything that faults leave to chance follows from it.
    pub seed: u64,
    /// Where DynamoDB's calls are passed on to, after the faults that are set for them; `None`: there is no DynamoDB.
    pub dynamodb: Option<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { port: 0, tls: None, throttle: Some(1.0), keep: true, seed: 0, dynamodb: None }
    }
}

/// A running stand-in; dropping it closes its port and every connection.
pub struct StandIn {
    state: Arc<State>,
    port: port::Port,
}

impl StandIn {
    /// Opens the port; there are no streams yet.
    ///
    /// # Panics
    /// If the port is taken or the certificate is none.
    pub async fn start(settings: Settings) -> Self {
        let tls = settings.tls.as_ref().map(Tls::acceptor);
        let port_number = settings.port;
        let state = Arc::new(State::new(settings));
        let port = port::Port::open(Arc::clone(&state), port_number, tls).await;
        Self { state, port }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What an SDK takes as its endpoint; under TLS by the name `localhost`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.port.endpoint()
    }

    /// The faults: what goes wrong from now on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// What happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.state.tally()
    }

    /// Has it answer with a `Date` that is so many seconds ahead of this machine's clock, from now on.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.state.clock_offset.store(seconds, std::sync::atomic::Ordering::Relaxed);
    }

    /// Creates a data stream.
    ///
    /// # Panics
    /// If it exists already.
    pub fn create_stream(&self, settings: StreamSettings) -> Arc<Stream> {
        self.state.create_stream(settings).expect("a new stream's name is free")
    }

    /// A data stream.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Arc<Stream> {
        self.state.stream(name).unwrap_or_else(|| panic!("create the stream {name} first"))
    }

    /// Creates a delivery stream.
    ///
    /// # Panics
    /// If it exists already.
    pub fn create_delivery_stream(&self, name: &str) {
        self.state.create_delivery_stream(name).expect("a new delivery stream's name is free");
    }

    /// What a delivery stream has stored, in order.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn delivered(&self, name: &str) -> Vec<Bytes> {
        self.state.delivery_stream(name).unwrap_or_else(|| panic!("create the delivery stream {name} first")).records()
    }

    /// The data of every record that was stored without its client surely knowing, at each time it was. A client that has
    /// stopped waiting for an answer closes the connection, so the last call of each closed connection is among them: ask
    /// when all are ([`StandIn::connections`]).
    #[must_use]
    pub fn stored_in_doubt(&self) -> Vec<(Service, Bytes)> {
        self.state.books.in_doubt()
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.links.open_now()
    }

    /// Refuses connections from now on; those that are open stay open.
    pub async fn refuse_connections(&self) {
        self.port.close().await;
    }

    /// Listens again, on the same port.
    pub async fn accept_connections(&self) {
        self.port.reopen().await;
    }

    /// Closes every connection that has no call under way, as a load balancer does with what its clients keep pooled.
    pub fn close_idle_connections(&self) -> usize {
        self.state.links.close_idle(Duration::ZERO)
    }

    /// Resets every connection, whatever it is doing. Calls that were under way and stored something are ambiguous.
    pub fn reset_connections(&self) -> usize {
        self.state.links.reset_all()
    }

    /// Closes connections without notice once they have been idle for this long; `None` leaves them open.
    pub fn close_connections_idle_for(&self, limit: Option<Duration>) {
        self.port.set_idle_limit(limit);
    }
}
