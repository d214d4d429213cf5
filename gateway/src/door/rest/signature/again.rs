//! Signs a request again, with what it says it was signed with.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{HeaderMap, HeaderValue, Method, SERVICE, Signature, SignatureError, Uri};
use crate::config::Secret;

const BODY_HASH: &str = "x-amz-content-sha256";
/// In the place of a hash: the body is not part of what is signed.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

impl Signature<'_> {
    /// Whether the owner of `secret` signed this request. A body that is not part of it is taken only over a connection
    /// that is encrypted.
    pub(in crate::door::rest) fn check(
        &self,
        secret: &Secret,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
        is_encrypted: bool,
    ) -> Result<(), SignatureError> {
        let body = signed_body(headers, body, is_encrypted)?;
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let host = headers.get("host").and_then(|host| host.to_str().ok()).or(authority);
        let host = host.ok_or(SignatureError::SignedHeader)?;
        let mut signed = Vec::with_capacity(self.signed_headers.len());
        for name in &self.signed_headers {
            if name.eq_ignore_ascii_case("host") {
                signed.push((*name, host));
                continue;
            }
            let before = signed.len();
            for value in headers.get_all(*name) {
                signed.push((*name, value_text(value)?));
            }
            if signed.len() == before {
                return Err(SignatureError::SignedHeader);
            }
        }
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let signature = self.signature_of(secret, method, &format!("https://{host}{path}"), &signed, body);
        // Where they differ must not show in the time it takes.
        let same = signature.ok_or(SignatureError::Wrong)?.as_bytes().ct_eq(self.signature.as_bytes());
        if bool::from(same) { Ok(()) } else { Err(SignatureError::Wrong) }
    }

    fn signature_of(
        &self,
        secret: &Secret,
        method: &Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: SignableBody<'_>,
    ) -> Option<String> {
        let identity = Credentials::new(self.access_key_id, secret.expose(), None, None, "admin access key").into();
        let mut settings = SigningSettings::default();
        // Exactly the headers that the client names.
        settings.excluded_headers = None;
        let signed_at = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.signed_at_ms).ok()?);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(SERVICE)
            .time(signed_at)
            .settings(settings)
            .build()
            .ok()?;
        let request = SignableRequest::new(method.as_str(), uri, headers.iter().copied(), body).ok()?;
        let params = SigningParams::from(params);
        Some(sign(request, &params).ok()?.signature().to_owned())
    }
}

/// What the signature covers of the body.
fn signed_body<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    is_encrypted: bool,
) -> Result<SignableBody<'a>, SignatureError> {
    let Some(hash) = headers.get(BODY_HASH) else { return Ok(SignableBody::Bytes(body)) };
    let hash = value_text(hash)?;
    if hash == UNSIGNED_PAYLOAD {
        return if is_encrypted { Ok(SignableBody::UnsignedPayload) } else { Err(SignatureError::Body) };
    }
    let actual: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    if actual == hash { Ok(SignableBody::Precomputed(actual)) } else { Err(SignatureError::Body) }
}

fn value_text(value: &HeaderValue) -> Result<&str, SignatureError> {
    value.to_str().map_err(|_| SignatureError::SignedHeader)
}
