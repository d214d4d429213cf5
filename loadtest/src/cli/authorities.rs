//! The certificate authorities that this machine trusts, for an https target without `--tls-ca`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Failure;

/// Of a line in PEM (RFC 7468).
const LINE: usize = 64;

/// All of them, in PEM. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
pub(super) fn of_this_machine() -> Result<Vec<u8>, Failure> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(Failure::usage(format!(
            "no certificate authority that this machine trusts ({why}): give --tls-ca FILE, or set SSL_CERT_FILE"
        )));
    }
    Ok(found.certs.iter().flat_map(|certificate| pem(certificate).into_bytes()).collect())
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(LINE) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_is_what_an_authority_writes_itself() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let own =
            rcgen::CertificateParams::new(Vec::new()).expect("no names").self_signed(&key).expect("it signs itself");
        assert_eq!(pem(own.der()), own.pem().replace("\r\n", "\n"));
    }
}
