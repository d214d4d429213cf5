//! Whom a client trusts, where its connections are TLS.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// gRPC's protocol, as ALPN names it. Without an agreement on it gRPC clients turn away (gRPC over HTTP/2, security).
const ALPN: &[u8] = b"h2";

/// One authority, and servers that are called `localhost`.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl fmt::Debug for Trust {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Trust")
    }
}

impl Trust {
    /// Trusts what this authority (PEM) signed.
    ///
    /// # Panics
    /// If it is no certificate.
    #[must_use]
    pub fn in_authority(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(pem.as_bytes()).expect("the authority is PEM");
        roots.add(authority).expect("and a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self(Arc::new(config))
    }

    pub(super) async fn connect(&self, io: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::clone(&self.0)).connect(name, io).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(ALPN) => Ok(stream),
            other => Err(io::Error::other(format!("the server agreed on {other:?} and not on h2 (ALPN)"))),
        }
    }
}
