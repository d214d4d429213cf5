//! Answers: JSON, readable by every origin (those of OTLP and gRPC-Web have their own ways), and counted as a call until they have left.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use serde::Serialize;

use super::web::OwnOrigins;
use crate::door::open_calls::OpenCall;

/// What a preflight is told, as API Gateway tells it for the AWS solution.
const METHODS: &str = "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT";
const HEADERS: &str = "Content-Type,Authorization,X-Amz-Date,X-Api-Key,X-Amz-Security-Token,X-Sent-At";

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Plain structures of texts and numbers: they have no way of failing.
    of_json(status, serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec()))
}

/// An answer of bytes that are JSON.
pub(super) fn of_json(status: StatusCode, bytes: impl Into<Body>) -> Response {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer to a preflight (OPTIONS).
pub(super) async fn preflight() -> Response {
    let mut response = of_json(StatusCode::OK, "{}");
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    response
}

/// What every answer carries.
pub(super) fn complete(response: &mut Response) {
    const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
    let has_own_origins = response.extensions().get::<OwnOrigins>().is_some();
    let headers = response.headers_mut();
    if !has_own_origins {
        readable_by_all(headers);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
}

fn readable_by_all(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if headers.contains_key(header::RETRY_AFTER) {
        // A browser hides it from a page's script otherwise.
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    }
}

/// An answer's body. Its call is open until it is dropped.
pub struct RestBody {
    body: Body,
    _call: OpenCall,
}

impl RestBody {
    pub(super) fn new(body: Body, call: OpenCall) -> Self {
        Self { body, _call: call }
    }
}

impl http_body::Body for RestBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
