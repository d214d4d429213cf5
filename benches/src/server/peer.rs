//! Servers to compare the gateway with. The program that measures starts itself again to serve, so that they are built
//! as the gateway is and share nothing with the load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use headgate_proto::v1::ingest_service_server::{IngestService, IngestServiceServer};
use http::HeaderValue;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::Process;
use super::bare::Bare;
use super::usual::Usual;
use crate::Result;
use crate::load::Target;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// tonic and prost: decodes every message and drops it.
    Bare,
    /// The usual way to do what the gateway does: prost's messages, serde_json, a record for each event.
    Usual,
}

/// A server that runs.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    target: Target,
}

impl Peer {
    /// Starts one. Ends with this value, and also when the program that started it ends in any other way.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(kind: Kind) -> Result<Self> {
        let kind = kind.to_possible_value().ok_or("a kind without a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .arg(kind.get_name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let process = Process(child);
        let mut line = String::new();
        BufReader::new(output.ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("the {} server does not start", kind.get_name()))?;
        Ok(Self { process, target: Target { address, key: HeaderValue::from_static("none") } })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where to send events.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }
}

/// Serves until standard input ends. Prints the address first.
///
/// # Errors
/// If it can't serve.
pub fn serve(kind: Kind) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("peer").build()?;
    runtime.block_on(async {
        let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.with_nodelay(Some(true));
        println!("{}", incoming.local_addr()?);
        std::io::stdout().flush()?;
        // A thread of its own: it sleeps in a read, and the process ends with it.
        std::thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
        match kind {
            Kind::Bare => listen(incoming, Bare).await,
            Kind::Usual => listen(incoming, Usual::default()).await,
        }
    })
}

/// With the gateway's HTTP/2 settings, as far as tonic has them.
async fn listen(incoming: TcpIncoming, service: impl IngestService) -> Result<()> {
    Server::builder()
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_frame_size((256 << 10) as u32)
        .max_concurrent_streams(1_000)
        .http2_max_header_list_size(16 << 10)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_service(IngestServiceServer::new(service))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
