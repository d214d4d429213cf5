//! TLS from PEM files, read again when they change. Files that can't be used leave the ones before in force.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};
use tokio_rustls::TlsAcceptor;

use crate::config::{ClientCertificates, TlsProfile, TlsSettings};
use crate::metrics::{Counter, Metrics};

/// gRPC is HTTP/2.
pub const GRPC_PROTOCOLS: &[&[u8]] = &[b"h2"];

/// What the REST API speaks.
pub const REST_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Of TLS 1.3 (RFC 8446, B.4).
const MODERN: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// Of TLS 1.2: ephemeral keys and authenticated encryption, all others are left out.
const INTERMEDIATE: [SupportedCipherSuite; 6] = [
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

static MODERN_VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13];
static INTERMEDIATE_VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// A profile's versions and suites, the preferred ones first.
fn spoken(profile: TlsProfile) -> (&'static [&'static SupportedProtocolVersion], Vec<SupportedCipherSuite>) {
    match profile {
        TlsProfile::Modern => (MODERN_VERSIONS, MODERN.to_vec()),
        TlsProfile::Intermediate => (INTERMEDIATE_VERSIONS, [&MODERN[..], &INTERMEDIATE].concat()),
    }
}

/// Why TLS can't be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or holds no PEM of the kind expected.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The certificate and the key do not fit, or are not acceptable.
    #[error("the certificate and key can't be used: {0}")]
    Unusable(String),
}

/// The TLS in force.
#[derive(Clone)]
pub struct Tls {
    settings: TlsSettings,
    protocols: &'static [&'static [u8]],
    current: Arc<RwLock<Current>>,
}

struct Current {
    config: Arc<ServerConfig>,
    files: Vec<Option<Stamp>>,
}

/// What tells that a file changed.
type Stamp = (SystemTime, u64);

impl Tls {
    /// Reads the files. `protocols` are offered by ALPN (RFC 7301), the preferred one first.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(settings: &TlsSettings, protocols: &'static [&'static [u8]]) -> Result<Self, TlsError> {
        let files = stamps(settings);
        let config = Arc::new(read(settings, protocols)?);
        Ok(Self { settings: settings.clone(), protocols, current: Arc::new(RwLock::new(Current { config, files })) })
    }

    /// For one handshake.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    /// Looks at the files every so often and reads them again when they changed. To be run as a task.
    pub async fn reload_on_change(self, metrics: Arc<Metrics>) {
        let reloads = |result| metrics.counter(Counter::CertificateReloads, &[result]);
        loop {
            tokio::time::sleep(self.settings.reload_interval.max(Duration::from_millis(100))).await;
            let this = self.clone();
            match tokio::task::spawn_blocking(move || this.reload_if_changed()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => {
                    reloads("ok").inc();
                    tracing::info!("the TLS files changed and are in force");
                }
                Ok(Err(error)) => {
                    reloads("failed").inc();
                    tracing::warn!(%error, "the TLS files changed but can't be used; the ones before stay in force");
                }
                // The look ended in a panic or with the runtime; there is a next one.
                Err(_) => {}
            }
        }
    }

    fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let files = stamps(&self.settings);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).files == files {
            return Ok(false);
        }
        let read = read(&self.settings, self.protocols);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Remembered even if they can't be used: they are reported once, not at every look.
        current.files = files;
        current.config = Arc::new(read?);
        Ok(true)
    }
}

fn stamps(settings: &TlsSettings) -> Vec<Option<Stamp>> {
    let stamp = |path: &Path| -> io::Result<Stamp> {
        let metadata = fs::metadata(path)?;
        Ok((metadata.modified()?, metadata.len()))
    };
    [Some(&settings.certificate), Some(&settings.private_key), settings.client_ca.as_ref()]
        .into_iter()
        .map(|path| path.and_then(|path| stamp(path).ok()))
        .collect()
}

fn read(settings: &TlsSettings, protocols: &[&[u8]]) -> Result<ServerConfig, TlsError> {
    let certificates = certificates(&settings.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&settings.private_key)
        .map_err(|error| file_error(&settings.private_key, &error.to_string()))?;
    let (versions, cipher_suites) = spoken(settings.profile);
    let provider = Arc::new(rustls::crypto::CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() });
    let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unusable(&error))?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in self::certificates(path)? {
                roots.add(authority).map_err(|error| file_error(path, &error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match settings.client_certificate {
                ClientCertificates::Required => verifier,
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| unusable(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(certificates, key).map_err(|error| unusable(&error))?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(file_error(path, "it holds no certificate in PEM"));
    }
    Ok(certificates)
}

fn file_error(path: &Path, problem: &str) -> TlsError {
    TlsError::File { path: path.display().to_string(), problem: problem.to_owned() }
}
