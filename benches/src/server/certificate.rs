//! A certificate for `localhost` that nobody trusts but who is told to, in files that go with it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::Result;
use crate::server::TlsFiles;

/// See the module.
#[derive(Debug)]
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    _folder: TempDir,
}

impl Certificate {
    /// A new one.
    ///
    /// # Errors
    /// If it can't be made or written.
    pub fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let folder = tempfile::tempdir()?;
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        Ok(Self { certificate, key, _folder: folder })
    }

    /// Where it lies.
    #[must_use]
    pub fn files(&self) -> TlsFiles<'_> {
        TlsFiles { certificate: &self.certificate, key: &self.key }
    }
}
