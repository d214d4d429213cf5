use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::config::Secret;

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SIGNED_AT_MS: i64 = 1_440_938_160_000;
const BODY: &[u8] = br#"{"Name":"skyfall"}"#;

/// A request as a client of AWS's SDK signs it.
struct Signed {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Signed {
    fn new(service: &str, region: &str, more: &[(&'static str, &'static str)], body: SignableBody<'_>) -> Self {
        let uri = "http://gateway.example:8080/live/applications?b=2&a=%20x";
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("gateway.example:8080"));
        for (name, value) in more {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let identity = Credentials::new(ID, SECRET, None, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(UNIX_EPOCH + Duration::from_millis(SIGNED_AT_MS.unsigned_abs()))
            .settings(SigningSettings::default())
            .build()
            .expect("everything is there")
            .into();
        let pairs: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("is text").to_owned()))
            .collect();
        let borrowed = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new("POST", uri, borrowed, body).expect("can be signed");
        let (instructions, _) = sign(request, &params).expect("is signed").into_parts();
        for (name, value) in instructions.headers() {
            let name: http::HeaderName = name.parse().expect("a header's name");
            headers.insert(name, value.parse().expect("a header's value"));
        }
        Self { method: Method::POST, uri: uri.parse().expect("a URI"), headers, body: BODY.to_vec() }
    }

    fn good() -> Self {
        Self::new(SERVICE, "eu-west-1", &[("content-type", "application/json")], SignableBody::Bytes(BODY))
    }

    fn check_with(&self, secret: &str, is_encrypted: bool) -> Result<(), SignatureError> {
        let authorization = self.headers["authorization"].to_str().expect("is text");
        let signature = Signature::parse(authorization, &self.headers)?;
        assert_eq!(signature.access_key_id(), ID);
        signature.check_time(SIGNED_AT_MS)?;
        signature.check(&Secret::from(secret), &self.method, &self.uri, &self.headers, &self.body, is_encrypted)
    }

    fn check(&self) -> Result<(), SignatureError> {
        self.check_with(SECRET, false)
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, value.parse().expect("a header's value"));
    }

    fn with_authorization(mut self, change: impl FnOnce(String) -> String) -> Self {
        let authorization = change(self.headers["authorization"].to_str().expect("is text").to_owned());
        self.set("authorization", &authorization);
        self
    }
}

#[test]
fn what_the_owner_of_the_secret_signed_is_taken_in_any_region() {
    assert_eq!(Signed::good().check(), Ok(()));
    assert_eq!(Signed::new(SERVICE, "us-east-1", &[], SignableBody::Bytes(BODY)).check(), Ok(()));
    // HTTP/2 has the host in the URI.
    let mut http2 = Signed::good();
    http2.headers.remove("host");
    assert_eq!(http2.check(), Ok(()));
    // Signed with two values of one header.
    let twice = [("x-amz-meta", "a"), ("x-amz-meta", "b  c")];
    assert_eq!(Signed::new(SERVICE, "us-east-1", &twice, SignableBody::Bytes(BODY)).check(), Ok(()));
}

#[test]
fn another_secret_is_refused() {
    assert_eq!(
        Signed::good().check_with("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ", false),
        Err(SignatureError::Wrong)
    );
}

#[test]
fn whatever_is_signed_can_not_be_changed() {
    let changes: [fn(&mut Signed); 6] = [
        |signed| signed.body[2] ^= 1,
        |signed| signed.body.clear(),
        |signed| signed.method = Method::PUT,
        |signed| signed.uri = Uri::from_static("http://gateway.example:8080/live/applications?b=3&a=%20x"),
        |signed| signed.uri = Uri::from_static("http://gateway.example:8080/applications?b=2&a=%20x"),
        |signed| signed.set("content-type", "text/plain"),
    ];
    for (place, change) in changes.iter().enumerate() {
        let mut signed = Signed::good();
        change(&mut signed);
        assert_eq!(signed.check(), Err(SignatureError::Wrong), "change {place}");
    }
    let mut signed = Signed::good();
    signed.set("host", "elsewhere.example");
    assert_eq!(signed.check(), Err(SignatureError::Wrong));
    let mut signed = Signed::good();
    signed.headers.remove("content-type");
    assert_eq!(signed.check(), Err(SignatureError::SignedHeader));
    // The date of the same day, a second later.
    let mut signed = Signed::good();
    signed.set("x-amz-date", "20150830T123601Z");
    assert_eq!(signed.check(), Err(SignatureError::Wrong));
    for (from, to) in [("eu-west-1", "eu-west-2"), ("Signature=", "Signature=0")] {
        let signed = Signed::good().with_authorization(|authorization| authorization.replace(from, to));
        assert_eq!(signed.check(), Err(SignatureError::Wrong), "{to}");
    }
}

#[test]
fn a_clock_more_than_five_minutes_off_is_refused_either_way() {
    let signed = Signed::good();
    let authorization = signed.headers["authorization"].to_str().expect("is text");
    let signature = Signature::parse(authorization, &signed.headers).expect("is signed");
    let minutes_5 = 300_000;
    for (off, expected) in [
        (0, Ok(())),
        (minutes_5, Ok(())),
        (-minutes_5, Ok(())),
        (minutes_5 + 1, Err(SignatureError::Stale)),
        (-minutes_5 - 1, Err(SignatureError::Stale)),
        (i64::MAX - SIGNED_AT_MS, Err(SignatureError::Stale)),
    ] {
        assert_eq!(signature.check_time(SIGNED_AT_MS + off), expected, "{off} ms");
    }
}

#[test]
fn a_hash_in_the_headers_has_to_be_the_bodys() {
    let hash: &'static str = "bfc3b8f1f8f2b1d0d8b7a4b8c7a9d8e1f0f1e2d3c4b5a69788796a5b4c3d2e1f";
    let wrong = Signed::new(
        SERVICE,
        "eu-west-1",
        &[("x-amz-content-sha256", hash)],
        SignableBody::Precomputed(hash.to_owned()),
    );
    assert_eq!(wrong.check(), Err(SignatureError::Body));
}

#[test]
fn a_body_that_is_not_signed_is_taken_over_an_encrypted_connection_only() {
    let unsigned = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    let signed = Signed::new(SERVICE, "eu-west-1", &unsigned, SignableBody::UnsignedPayload);
    assert_eq!(signed.check_with(SECRET, true), Ok(()));
    assert_eq!(signed.check_with(SECRET, false), Err(SignatureError::Body));
    // Nobody can say so of a body that was signed.
    let mut other = Signed::good();
    other.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(other.check_with(SECRET, true), Err(SignatureError::NotAllSigned));
}

#[test]
fn what_has_to_be_signed_is() {
    let mut signed = Signed::good();
    signed.set("x-amz-security-token", "token");
    assert_eq!(signed.check(), Err(SignatureError::NotAllSigned));
    let signed = Signed::good().with_authorization(|authorization| authorization.replace("host;", ""));
    assert_eq!(signed.check(), Err(SignatureError::NotAllSigned));
    let signed = Signed::good().with_authorization(|authorization| authorization.replace(";x-amz-date", ""));
    assert_eq!(signed.check(), Err(SignatureError::NotAllSigned));
    let mut signed = Signed::good();
    signed.headers.remove("x-amz-date");
    assert_eq!(signed.check(), Err(SignatureError::NoDate));
}

#[test]
fn another_service_another_day_and_other_authorizations_are_refused() {
    assert_eq!(Signed::new("s3", "eu-west-1", &[], SignableBody::Bytes(BODY)).check(), Err(SignatureError::Scope));
    let signed = Signed::good().with_authorization(|authorization| authorization.replace("20150830", "20150831"));
    assert_eq!(signed.check(), Err(SignatureError::Scope));
    for (authorization, error) in [
        ("", SignatureError::NotSigned),
        ("Basic dXNlcjpwYXNz", SignatureError::NotSigned),
        ("AWS4-HMAC-SHA256", SignatureError::NotSigned),
        ("AWS4-HMAC-SHA256 Credential=a/20150830/r/execute-api/aws4_request", SignatureError::NotSigned),
        ("AWS4-HMAC-SHA256X Credential=a, SignedHeaders=host, Signature=0", SignatureError::NotSigned),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0", SignatureError::Scope),
        (
            "AWS4-HMAC-SHA256 Credential=a/20150830/r/execute-api, SignedHeaders=host, Signature=0",
            SignatureError::Scope,
        ),
    ] {
        let headers = Signed::good().headers;
        assert_eq!(Signature::parse(authorization, &headers).map(|_| ()), Err(error), "{authorization}");
    }
}
