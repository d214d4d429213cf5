//! Who a client says that it is with its certificate, once an authority that the gateway trusts has vouched for it.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

/// A client's certificate, by its SHA-256 fingerprint: `certificate sha256:5f2b…`, 64 digits, those that `openssl x509
/// -fingerprint -sha256` shows. A name would be what its authority lets be written there; this is one certificate. Cheap
/// to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate(Arc<str>);

impl ClientCertificate {
    /// Of the certificate that the client showed.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = Sha256::digest(certificate.as_ref());
        let fingerprint: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("certificate sha256:{fingerprint}").into())
    }
}

impl fmt::Display for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_known_by_its_fingerprint() {
        // FIPS 180-2, appendix B.1.
        let expected = "certificate sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(ClientCertificate::of(&CertificateDer::from(b"abc".to_vec())).to_string(), expected);
    }
}
