//! Connections to the gateway, and how long to wait before the next one.

use std::sync::Arc;
use std::time::Duration;

use headgate_client::{Client, Key};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::config::{LoadError, RunConfig};
use crate::engine::{Draw, Purpose};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
const PEM_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Where to connect to, and with which key.
#[derive(Clone)]
pub(crate) struct Connector {
    endpoint: Endpoint,
    /// For a client, which makes connections of its own.
    url: Arc<str>,
    tls_ca: Option<Arc<[u8]>>,
    key: MetadataValue<Ascii>,
    /// The connection to use, where servers share some; it opens with the first call, and again whenever it was lost.
    shared: Option<Channel>,
}

impl Connector {
    pub(crate) fn new(config: &RunConfig, key: &str, tls_ca: Option<&[u8]>) -> Result<Self, LoadError> {
        let endpoint = endpoint(&config.endpoint, tls_ca)?;
        let mut key: MetadataValue<Ascii> = key.parse().map_err(|_| LoadError::ApiKey)?;
        key.set_sensitive(true);
        Ok(Self { endpoint, url: config.endpoint.as_str().into(), tls_ca: tls_ca.map(Into::into), key, shared: None })
    }

    /// Connections to be shared; each needs a runtime.
    pub(crate) fn pool(&self, connections: u32) -> Vec<Channel> {
        (0..connections).map(|_| self.endpoint.connect_lazy()).collect()
    }

    /// The same, over a shared connection.
    pub(crate) fn over(&self, shared: Channel) -> Self {
        Self { shared: Some(shared), ..self.clone() }
    }

    /// The same with another key.
    pub(crate) fn with_key(&self, key: &str) -> Result<Self, LoadError> {
        let mut key: MetadataValue<Ascii> = key.parse().map_err(|_| LoadError::ApiKey)?;
        key.set_sensitive(true);
        Ok(Self { key, ..self.clone() })
    }

    /// A connection: the shared one, or one of its own, open.
    pub(super) async fn connect(&self) -> Result<Channel, Status> {
        match &self.shared {
            Some(shared) => Ok(shared.clone()),
            None => self.endpoint.connect().await.map_err(|error| Status::unavailable(innermost(&error))),
        }
    }

    /// A connection that opens with the first call, and again whenever it was lost.
    pub(super) fn connect_lazy(&self) -> Channel {
        self.shared.clone().unwrap_or_else(|| self.endpoint.connect_lazy())
    }

    /// A client of the same gateway, with the same key.
    pub(super) fn client(&self) -> headgate_client::Builder {
        let key = Key::value(self.key.to_str().unwrap_or_default());
        let builder = Client::builder(&*self.url, key);
        match &self.tls_ca {
            None => builder,
            Some(authority) => builder.authority(&**authority),
        }
    }

    /// A request that shows the key.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-api-key", self.key.clone());
        request
    }
}

/// A gateway at `http://HOST:PORT` or, with the authorities to trust in PEM, `https://HOST:PORT`.
pub(crate) fn endpoint(url: &str, tls_ca: Option<&[u8]>) -> Result<Endpoint, LoadError> {
    let bad_endpoint = |error: tonic::transport::Error| LoadError::Endpoint(url.to_owned(), error.into());
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(bad_endpoint)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    // Without this check an `https` endpoint would be refused at every connect, and an `http` one left unencrypted.
    let encrypted = endpoint.uri().scheme_str() == Some("https");
    let Some(authority) = tls_ca else {
        return if encrypted { Err(LoadError::NoAuthority(url.to_owned())) } else { Ok(endpoint) };
    };
    if !encrypted {
        return Err(LoadError::PlainText(url.to_owned()));
    }
    if !authority.windows(PEM_CERTIFICATE.len()).any(|text| text == PEM_CERTIFICATE) {
        return Err(LoadError::EmptyAuthority);
    }
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    endpoint.tls_config(tls).map_err(bad_endpoint)
}

/// The cause that says most: "connection refused" rather than "transport error".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Exponential backoff with full jitter: anything up to twice as long as the time before, so that many clients that lost
/// their connection at once do not come back at once.
pub(super) struct Backoff {
    draw: Draw,
    attempts: u32,
    /// Without it everybody who lost a connection at once comes back at once, as careless clients do.
    jitter: bool,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new(seed: u64, server: u32, jitter: bool) -> Self {
        Self { draw: Draw::new(seed, server, 0, Purpose::Backoff), attempts: 0, jitter }
    }

    /// How long to wait before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.full_jitter(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        wait
    }

    /// How long to wait after so many attempts.
    pub(super) fn full_jitter(&mut self, attempts: u32) -> Duration {
        let most = Self::FIRST.saturating_mul(1 << attempts.min(10)).min(Self::LONGEST);
        if self.jitter { most.mul_f64(self.draw.unit()) } else { most }
    }

    /// A little more than the hint, so that those who got the same hint do not come back at once.
    pub(super) fn after_hint(&mut self, hint: Duration) -> Duration {
        hint.mul_f64(1.0 + 0.2 * self.draw.unit())
    }

    /// It worked: begin anew.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_cap_and_begins_anew() {
        let mut backoff = Backoff::new(1, 1, true);
        let longest =
            |backoff: &mut Backoff, attempts| (0..500).map(|_| backoff.full_jitter(attempts)).max().expect("500 waits");
        assert!(longest(&mut backoff, 0) <= Duration::from_millis(100));
        assert!(longest(&mut backoff, 3) > Duration::from_millis(600));
        assert!(longest(&mut backoff, 60) <= Duration::from_secs(5));
        for _ in 0..20 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
        let hint = Duration::from_secs(1);
        assert!((hint..Duration::from_millis(1_201)).contains(&backoff.after_hint(hint)));
        let mut careless = Backoff::new(1, 1, false);
        assert_eq!([0, 1, 60].map(|attempts| careless.full_jitter(attempts).as_millis()), [100, 200, 5_000]);
    }
}
