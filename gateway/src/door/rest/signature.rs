//! AWS Signature Version 4 in the `Authorization` header, for the service `execute-api`: what was signed is signed again,
//! by AWS's own code, and compared.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. Signatures in the query
//! (presigned URLs) are not taken.

#[cfg(feature = "aws")]
mod again;
mod time;

use http::HeaderMap;
#[cfg(feature = "aws")]
use http::{HeaderValue, Method, Uri};

/// The algorithm, the one that there is for a single region.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// API Gateway's name as a service.
const SERVICE: &str = "execute-api";
const TERMINATOR: &str = "aws4_request";
const DATE: &str = "x-amz-date";

/// How far the signer's clock may be off, either way: AWS's own bound.
const MAX_SKEW_MS: i64 = 5 * 60 * 1_000;

/// Why a signature does not count. For the log alone: clients are told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "nothing checks signatures then"))]
pub(super) enum SignatureError {
    #[error("the authorization is neither a bearer token nor a signature of {ALGORITHM}")]
    NotSigned,
    #[error("the credential is not ID/DATE/REGION/{SERVICE}/{TERMINATOR}, or of another day than {DATE}")]
    Scope,
    #[error("{DATE} is missing or no time")]
    NoDate,
    #[error("{DATE} is more than five minutes off")]
    Stale,
    #[error("a header that has to be signed is not")]
    NotAllSigned,
    #[error("a header that is said to be signed is missing or no text")]
    SignedHeader,
    #[error("x-amz-content-sha256 is not the body's, or the body is not signed and the connection not encrypted")]
    Body,
    #[error("the signature is not the access key's")]
    Wrong,
    #[cfg(not(feature = "aws"))]
    #[error("this headgate was built without the feature `aws`, which checks signatures")]
    NotBuilt,
}

/// A request's signature.
#[derive(Debug)]
#[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "nothing checks signatures then"))]
pub(super) struct Signature<'a> {
    access_key_id: &'a str,
    region: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
    signed_at_ms: i64,
}

impl<'a> Signature<'a> {
    /// Reads the authorization and the date. Whatever has to be signed is, or it is an error.
    pub(super) fn parse(authorization: &'a str, headers: &HeaderMap) -> Result<Self, SignatureError> {
        let fields = authorization.strip_prefix(ALGORITHM).ok_or(SignatureError::NotSigned)?;
        if !fields.starts_with([' ', '\t']) {
            return Err(SignatureError::NotSigned);
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => signed_headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => return Err(SignatureError::NotSigned),
            }
        }
        let (Some(credential), Some(signed_headers), Some(signature)) = (credential, signed_headers, signature) else {
            return Err(SignatureError::NotSigned);
        };
        let date = headers.get(DATE).and_then(|date| date.to_str().ok()).ok_or(SignatureError::NoDate)?;
        let signed_at_ms = time::parse(date).ok_or(SignatureError::NoDate)?;
        let (access_key_id, region) = scope(credential, &date[..8]).ok_or(SignatureError::Scope)?;
        let signed_headers: Vec<&str> = signed_headers.split(';').collect();
        let is_signed = |name: &str| signed_headers.iter().any(|signed| signed.eq_ignore_ascii_case(name));
        // As AWS has it: the host, and everything that is AWS's own.
        let all_signed = is_signed("host")
            && headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-amz-")).all(is_signed);
        if !all_signed {
            return Err(SignatureError::NotAllSigned);
        }
        Ok(Self { access_key_id, region, signed_headers, signature, signed_at_ms })
    }

    /// Who signed, as the request says.
    pub(super) fn access_key_id(&self) -> &'a str {
        self.access_key_id
    }

    /// Whether it was signed just now.
    pub(super) fn check_time(&self, now_ms: i64) -> Result<(), SignatureError> {
        if now_ms.abs_diff(self.signed_at_ms) <= MAX_SKEW_MS.unsigned_abs() {
            Ok(())
        } else {
            Err(SignatureError::Stale)
        }
    }
}

/// The access key's id and the region of `ID/DATE/REGION/execute-api/aws4_request`.
fn scope<'a>(credential: &'a str, date: &str) -> Option<(&'a str, &'a str)> {
    let mut parts = credential.split('/');
    let (id, day, region) = (parts.next()?, parts.next()?, parts.next()?);
    let rest_fits = parts.next() == Some(SERVICE) && parts.next() == Some(TERMINATOR) && parts.next().is_none();
    (rest_fits && day == date && !id.is_empty() && !region.is_empty()).then_some((id, region))
}

#[cfg(not(feature = "aws"))]
impl Signature<'_> {
    /// Never: this build can't check signatures.
    pub(super) fn check(
        &self,
        _: &crate::config::Secret,
        _: &http::Method,
        _: &http::Uri,
        _: &HeaderMap,
        _: &[u8],
        _: bool,
    ) -> Result<(), SignatureError> {
        Err(SignatureError::NotBuilt)
    }
}

#[cfg(all(test, feature = "aws"))]
mod tests;
