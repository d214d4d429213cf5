//! Where the gateway is, and how it is spoken to.

use std::time::Duration;

use futures_util::Stream;
use headgate_proto::v1::StreamEventsResponse;
use http::uri::PathAndQuery;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::codec::BatchCodec;
use crate::error::BuildError;
use crate::store::Outgoing;

const PATH: &str = "/headgate.v1.IngestService/StreamEvents";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
// A gateway that is gone without a word is noticed within half a minute.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A reason for each of 10,000 events.
const ANSWER_MAX: usize = 16 << 20;
const USER_AGENT: &str = concat!("headgate-client/", env!("CARGO_PKG_VERSION"));

/// Whom to trust, and who to be.
#[derive(Clone, Default)]
pub(crate) struct TlsChoice {
    /// PEM; without one, the authorities that the machine trusts.
    pub(crate) authority: Option<Vec<u8>>,
    /// PEM: certificate chain and private key.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Makes connections, each with its stream.
#[derive(Clone)]
pub(crate) struct Connector {
    endpoint: Endpoint,
    compress: bool,
}

impl Connector {
    pub(crate) fn new(endpoint: &str, tls: &TlsChoice, compress: bool) -> Result<Self, BuildError> {
        let unusable = |problem: String| BuildError::Endpoint { endpoint: endpoint.to_owned(), problem };
        let made = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| unusable(error.to_string()))?;
        let encrypted = match made.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unusable("it names neither http nor https".to_owned())),
        };
        if made.uri().host().is_none_or(str::is_empty) {
            return Err(unusable("it names no host".to_owned()));
        }
        let made = made
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .user_agent(USER_AGENT)
            .map_err(|error| unusable(error.to_string()))?;
        let endpoint = if encrypted {
            with_tls(made, tls)?
        } else if tls.authority.is_some() || tls.identity.is_some() {
            return Err(BuildError::Tls(
                "an http endpoint has none; write https, or leave the certificates out".to_owned(),
            ));
        } else {
            made
        };
        Ok(Self { endpoint, compress })
    }

    /// Opens a stream on a connection of its own.
    pub(crate) async fn open(
        &self,
        key: MetadataValue<Ascii>,
        batches: impl Stream<Item = Outgoing> + Send + 'static,
    ) -> Result<Streaming<StreamEventsResponse>, Status> {
        let channel: Channel = self.endpoint.connect().await.map_err(|error| Status::from_error(error.into()))?;
        let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(ANSWER_MAX);
        if self.compress {
            client = client.send_compressed(CompressionEncoding::Zstd);
        }
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(batches);
        request.metadata_mut().insert("x-api-key", key);
        let response = client.streaming(request, PathAndQuery::from_static(PATH), BatchCodec).await?;
        Ok(response.into_inner())
    }
}

#[cfg(feature = "tls")]
fn with_tls(endpoint: Endpoint, tls: &TlsChoice) -> Result<Endpoint, BuildError> {
    use tonic::transport::{Certificate, ClientTlsConfig, Identity};

    const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let mut config = match &tls.authority {
        Some(pem) if !pem.windows(CERTIFICATE.len()).any(|text| text == CERTIFICATE) => {
            return Err(BuildError::Tls("the authority holds no certificate in PEM".to_owned()));
        }
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some((certificate, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    endpoint.tls_config(config).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        BuildError::Tls(cause)
    })
}

#[cfg(not(feature = "tls"))]
fn with_tls(_: Endpoint, _: &TlsChoice) -> Result<Endpoint, BuildError> {
    Err(BuildError::NoTls)
}
