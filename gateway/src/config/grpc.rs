//! `grpc.*`: the listener for game servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// The gRPC listener, its HTTP/2 settings and its TLS.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcSettings {
    /// Address to listen on. Default `127.0.0.1:50051`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Largest message, before and after decompression. 1 KiB to 64 MiB, default 4 MiB (what gRPC clients send at most
    /// unless told otherwise).
    pub max_message: Size,
    /// Batches of one stream that may wait for their verdicts; past it the stream is not read on. 1 to 65,536, default
    /// 1,024.
    pub max_batches_in_flight: u32,
    /// Streams and calls at once on one connection. 1 to 100,000, default 1,000.
    pub max_concurrent_streams: u32,
    /// Connections at once; past it new ones are closed at once. 1 to 1,000,000, default 10,000.
    pub max_connections: u32,
    /// Of these, connections of one address (of IPv6, one /64). Behind a load balancer that hides its clients' addresses
    /// everybody has its address: set it to `max_connections` there. 1 to 1,000,000, default 5,000.
    pub max_connections_per_peer: u32,
    /// Frames of HTTP/2 a second, on one connection, that are part of no message: resets, PING, SETTINGS, PRIORITY,
    /// CONTINUATION and empty ones. Past it the connection is closed. 100 to 1,000,000, default 5,000.
    pub max_control_frames: u32,
    /// HTTP/2 flow-control window of a stream, at most: with more than 64 connections it is smaller, 64 KiB from 256 on.
    /// 64 KiB to 16 MiB, default 256 KiB.
    pub stream_window: Size,
    /// HTTP/2 flow-control window of a connection, at most: with more than 8 connections it is smaller, and down to that
    /// of a stream. 64 KiB to 64 MiB, default 1 MiB.
    pub connection_window: Size,
    /// Largest HTTP/2 frame that clients may send. 16 KiB to 16 MiB less 1 byte, default 256 KiB.
    pub max_frame: Size,
    /// Largest list of request headers. 1 KiB to 1 MiB, default 16 KiB.
    pub max_header_list: Size,
    /// How often a silent connection is pinged. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// How long a ping may stay unanswered before the connection is closed. Default 20 s.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// How long a client may take for the TLS handshake and the HTTP/2 preface. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// How long a message may take to arrive once its first byte is there. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub message_timeout: Duration,
    /// How long answers may wait for a client that does not read them before its stream is reset. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub slow_reader_timeout: Duration,
    /// Age after which a connection is asked to end, so that load spreads over new tasks; 0 s: never. Default 30 min.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
    /// Each connection's age is drawn from ± this share of it, so that a fleet does not reconnect at once. 0 to 1,
    /// default 0.1.
    pub connection_age_jitter: f64,
    /// How long a connection past its age may go on before it is closed; its streams are read for the first half. At
    /// least twice `delivery.deadline` + 1 s, default 60 s.
    #[serde(with = "humantime_serde")]
    pub connection_age_grace: Duration,
    /// TLS; none by default.
    pub tls: Option<TlsSettings>,
}

/// TLS from PEM files, which are read again when they change.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// Authorities of client certificates. None by default: clients are asked for no certificate.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client must show a certificate of `client_ca`, or may. Default `required`.
    #[serde(default)]
    pub client_certificate: ClientCertificates,
    /// Which versions of TLS are spoken. Default `modern`.
    #[serde(default)]
    pub profile: TlsProfile,
    /// How often the files are looked at. Default 5 s.
    #[serde(default = "reload_interval", with = "humantime_serde")]
    pub reload_interval: Duration,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Who shows none is turned away.
    #[default]
    Required,
    /// Who shows none is let in, and has only a key to be known by. Who shows one that does not count is turned away.
    Optional,
}

/// Versions of TLS and what they are spoken with, under the names of Mozilla's recommendations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsProfile {
    /// TLS 1.3 alone.
    #[default]
    Modern,
    /// TLS 1.3, and 1.2 with forward secrecy and authenticated encryption alone.
    Intermediate,
}

fn reload_interval() -> Duration {
    Duration::from_secs(5)
}

impl Default for GrpcSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            max_message: Size::mib(4),
            max_batches_in_flight: 1_024,
            max_concurrent_streams: 1_000,
            max_connections: 10_000,
            max_connections_per_peer: 5_000,
            max_control_frames: 5_000,
            stream_window: Size::kib(256),
            connection_window: Size::mib(1),
            max_frame: Size::kib(256),
            max_header_list: Size::kib(16),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(30),
            slow_reader_timeout: Duration::from_secs(60),
            max_connection_age: Duration::from_secs(30 * 60),
            connection_age_jitter: 0.1,
            connection_age_grace: Duration::from_secs(60),
            tls: None,
        }
    }
}
