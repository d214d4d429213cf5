//! Why a run can't be started or did not end well.

use thiserror::Error;

/// Why a run can't be started or did not end well.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(String),
    /// The endpoint can't be used.
    #[error("endpoint `{0}` can't be used: {1}; give it as http://HOST:PORT or https://HOST:PORT")]
    Endpoint(String, Box<dyn std::error::Error + Send + Sync>),
    /// The key can't be sent.
    #[error("the API key holds a character that a header can't carry")]
    ApiKey,
    /// Without certificates to trust an encrypted endpoint would be refused at every connect.
    #[error(
        "`{0}` needs certificates to trust: give those of the authority that signed the gateway's, in PEM, with --tls-ca \
         FILE; the system's own are usually in /etc/ssl/certs/ca-certificates.crt or /etc/ssl/cert.pem"
    )]
    NoAuthority(String),
    /// The file that should say which certificates to trust holds none.
    #[error("the file of --tls-ca holds no certificate: give one in PEM, with a line `-----BEGIN CERTIFICATE-----`")]
    EmptyAuthority,
    /// Certificates are given and would not be used.
    #[error("`{0}` is not encrypted, so --tls-ca would check nothing: use https://, or leave --tls-ca away")]
    PlainText(String),
    /// A game server's task panicked.
    #[error("a game server stopped: {0}")]
    Panicked(String),
}
