//! Servers to compare the gateway with. The program that measures starts itself again to serve, so that they are built
//! as the gateway is and share nothing with the load.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use headgate_proto::v1::ingest_service_server::IngestServiceServer;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_service::Service;

use super::bare::Bare;
use super::raw::Raw;
use super::usual::Usual;
use super::{Process, floor, pinned_command};
use crate::Result;
use crate::load::{Protocol, Target};

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// TCP alone: reads every message and drops it.
    Floor,
    /// tonic alone: drops every message unread.
    Raw,
    /// tonic and prost: decodes every message and drops it.
    Bare,
    /// The usual way to do what the gateway does: prost's messages, serde_json, a record for each event, MD5 of them.
    Usual,
}

impl Kind {
    fn protocol(self) -> Protocol {
        match self {
            Self::Floor => Protocol::Frames,
            Self::Raw => Protocol::Unread,
            // It has no window, but whoever is compared with the gateway runs in as long.
            Self::Bare | Self::Usual => Protocol::Headgate,
        }
    }
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
        Self::start_pinned(kind, None)
    }

    /// Starts one on the first so many cores.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_pinned(kind: Kind, cores: Option<u32>) -> Result<Self> {
        let protocol = kind.protocol();
        let kind = kind.to_possible_value().ok_or("a kind without a name")?;
        let mut child = pinned_command(&std::env::current_exe()?, cores)
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
        Ok(Self { process, target: Target::open(address, protocol) })
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        // A thread of its own: it sleeps in a read, and the process ends with it.
        std::thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
        match kind {
            Kind::Floor => floor::listen(listener).await,
            Kind::Raw => listen(listener, Raw::default()).await,
            Kind::Bare => listen(listener, IngestServiceServer::new(Bare)).await,
            Kind::Usual => listen(listener, IngestServiceServer::new(Usual::default())).await,
        }
    })
}

/// With the gateway's HTTP/2 settings, as far as tonic has them.
async fn listen<S>(listener: TcpListener, service: S) -> Result<()>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_frame_size((256 << 10) as u32)
        .max_concurrent_streams(1_000)
        .http2_max_header_list_size(16 << 10)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_service(service)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
