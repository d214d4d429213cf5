//! Clients that flood, dawdle, lie or vanish on the gRPC port: each costs its connection at most, is counted, holds no
//! byte of the budget, and a neighbour beside it notices nothing. REST's are in `rest/hostile.rs`.

mod connections;
mod events;
mod floods;
mod slow;

use std::sync::Arc;
use std::time::Duration;

use headgate::config::Settings;
use headgate::delivery::lake::OsFiles;
use headgate::metrics::{Counter, Gauge};
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::frames::{self, Frames};
use headgate_tests::inproc::InProcess;
use headgate_tests::poll;
use tempfile::TempDir;

use crate::{PATIENCE, no_rate_limit};

struct House {
    gateway: InProcess,
    target: Target,
    neighbour: Connection,
    _data: TempDir,
}

impl House {
    /// Short of patience, so that a test need not be long of it.
    async fn with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let gateway = InProcess::start(data.path(), Arc::new(OsFiles), |settings| {
            no_rate_limit(settings);
            settings.grpc.handshake_timeout = Duration::from_millis(500);
            settings.grpc.message_timeout = Duration::from_millis(500);
            settings.grpc.slow_reader_timeout = Duration::from_millis(500);
            settings.rest.handshake_timeout = Duration::from_millis(500);
            adjust(settings);
        })
        .await;
        let (_, target) = gateway.demo();
        let neighbour = Connection::open(&target).await.expect("it listens");
        Self { gateway, target, neighbour, _data: data }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    fn refused(&self, cause: &'static str) -> u64 {
        self.gateway.metrics().counter(Counter::ConnectionsRefused, &[cause]).get()
    }

    async fn counted(&self, cause: &'static str, times: u64) {
        poll::until("it is counted", PATIENCE, async || (self.refused(cause) >= times).then_some(())).await;
    }

    /// The neighbour's call goes through, nothing is held any more, and nothing has panicked.
    async fn is_well(&mut self) {
        assert_eq!(self.neighbour.publish(vec![login()]).await.expect("the neighbour is served").accepted, 1);
        let metrics = self.gateway.metrics();
        poll::until("all bytes of the budget are given back", PATIENCE, async || {
            (metrics.gauge(Gauge::BytesInFlight, &[]).get() == 0).then_some(())
        })
        .await;
        for task in ["call", "stream", "http2", "connection"] {
            assert_eq!(metrics.counter(Counter::Panics, &[task]).get(), 0, "{task}");
        }
    }

    async fn frames(&self) -> Frames {
        Frames::open(self.target.address, &[]).await.expect("it listens")
    }

    /// Sends this again and again until the gateway closes.
    async fn flood(&self, mut next: impl FnMut(&mut Frames) -> Vec<u8>) -> (usize, frames::Heard) {
        let mut connection = self.frames().await;
        let mut sent = 0;
        let flooding = async {
            loop {
                let bytes = next(&mut connection);
                if connection.send(&bytes).await.is_err() {
                    return;
                }
                sent += 1;
            }
        };
        tokio::time::timeout(PATIENCE, flooding).await.expect("the gateway closes the connection");
        (sent, connection.hear(Duration::from_secs(2)).await)
    }
}
