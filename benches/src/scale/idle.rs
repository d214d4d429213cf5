//! What connections and streams take of memory on which nobody sends.

use serde::Serialize;
use tokio::time::{Duration, sleep};

use super::DESTINATION;
use crate::Result;
use crate::load::Quiet;
use crate::server::{House, Programs};

/// Connections, each with a stream; then so many streams more on the first ones.
const CONNECTIONS: usize = 2_000;
const FURTHER_STREAMS: usize = 8_000;
/// Until the gateway has settled down.
const PAUSE: Duration = Duration::from_secs(3);

/// Bytes of resident memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Idle {
    /// Of a connection with one stream, beside what its client takes.
    pub connection_with_a_stream: f64,
    /// Of one stream more on a connection.
    pub stream: f64,
}

pub(super) async fn measure(programs: &Programs) -> Result<Idle> {
    eprintln!("idle streams");
    let settings = ["grpc.max_connections_per_peer=10000".to_owned()];
    let gateway = House::start("gateway", DESTINATION, programs, &settings).await?;
    sleep(PAUSE).await;
    let resident = || -> Result<f64> { Ok(gateway.resident()? as f64) };
    let alone = resident()?;
    let mut quiet = Quiet::open(gateway.target(), CONNECTIONS).await?;
    sleep(PAUSE).await;
    let with_connections = resident()?;
    quiet.open_streams(FURTHER_STREAMS).await?;
    sleep(PAUSE).await;
    let with_streams = resident()?;
    drop(quiet);
    Ok(Idle {
        connection_with_a_stream: (with_connections - alone) / CONNECTIONS as f64,
        stream: (with_streams - with_connections) / FURTHER_STREAMS as f64,
    })
}
