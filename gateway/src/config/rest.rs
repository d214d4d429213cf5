//! `rest.*`: the listener for the AWS solution's API.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TlsSettings;
use super::units::Size;

/// The REST listener, HTTP/1.1 and HTTP/2, and its TLS.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestSettings {
    /// Whether there is one. Default `true`.
    pub enabled: bool,
    /// Address to listen on. Default `127.0.0.1:8080`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Largest body of a batch of events, before and after decompression. 1 KiB to 64 MiB, default 10 MiB.
    pub max_body: Size,
    /// Events in one batch; `ingest.max_batch` holds, too. 1 to 30,000, default 500.
    pub max_batch: u32,
    /// Largest body of every other request. 1 KiB to 1 MiB, default 64 KiB.
    pub max_admin_body: Size,
    /// Connections at once; past it new ones are closed at once. 1 to 1,000,000, default 10,000.
    pub max_connections: u32,
    /// As `grpc.max_connections_per_peer`. Default 5,000.
    pub max_connections_per_peer: u32,
    /// As `grpc.max_control_frames`, of connections of HTTP/2. Default 5,000.
    pub max_control_frames: u32,
    /// Requests at once on one HTTP/2 connection. 1 to 100,000, default 100.
    pub max_concurrent_streams: u32,
    /// Largest list of request headers. 8 KiB to 1 MiB, default 16 KiB.
    pub max_header_list: Size,
    /// HTTP/2 flow-control window of a request. 64 KiB to 16 MiB, default 256 KiB.
    pub stream_window: Size,
    /// HTTP/2 flow-control window of a connection. 64 KiB to 64 MiB, default 1 MiB.
    pub connection_window: Size,
    /// How long a new connection may take for the TLS handshake, and again for its first request's headers (its preface
    /// where it speaks HTTP/2). Default 10 s.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// How long an HTTP/1.1 connection may take for each further request's headers, the time included in which it asks
    /// for nothing: longer than the idle timeout of a load balancer before the gateway (60 s at AWS's). Default 75 s.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a request's body may take to arrive. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// How long an answer may wait for a client that does not read it before the request is given up. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub slow_reader_timeout: Duration,
    /// How often a silent HTTP/2 connection is pinged. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// How long a ping may stay unanswered before the connection is closed. Default 20 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// Age after which a connection is ended once its requests are answered, so that load spreads over new tasks; 0 s:
    /// never. Default 30 min.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// Each connection's age is drawn from ± this share of it. 0 to 1, default 0.1.
    pub connection_age_jitter: f64,
    /// How long a connection past its age may go on before it is closed. At least `delivery.deadline` + `body_timeout`,
    /// default 60 s.
    #[serde(with = "humantime_serde")]
    pub connection_age_grace: Duration,
    /// TLS; none by default. With it `h2` and `http/1.1` are offered by ALPN.
    pub tls: Option<TlsSettings>,
}

impl Default for RestSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_body: Size::mib(10),
            max_batch: 500,
            max_admin_body: Size::kib(64),
            max_connections: 10_000,
            max_connections_per_peer: 5_000,
            max_control_frames: 5_000,
            max_concurrent_streams: 100,
            max_header_list: Size::kib(16),
            stream_window: Size::kib(256),
            connection_window: Size::mib(1),
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            slow_reader_timeout: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: Duration::from_secs(30 * 60),
            connection_age_jitter: 0.1,
            connection_age_grace: Duration::from_secs(60),
            tls: None,
        }
    }
}
