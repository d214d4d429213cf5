//! gRPC-Web on the REST listener, which speaks the HTTP/1.1 that browsers and consoles do: `PublishEvents`, for pages of
//! the origins that the settings allow, and for clients that are no browsers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use tower_service::Service;

use super::Shared;
use super::failure::Failure;
use crate::config::GrpcWebSettings;
use crate::door::grpc::PUBLISH;
use crate::door::grpc::web::WebPublish;

/// How long a browser may remember what it was told, seconds: as long as the most patient of them does.
const PREFLIGHT_AGE: &str = "7200";
/// What a page's script may send.
const HEADERS: &str =
    "content-type,x-api-key,authorization,x-grpc-web,x-user-agent,grpc-timeout,grpc-encoding,grpc-accept-encoding";
/// What it may read of an answer.
const EXPOSED: &str = "grpc-status,grpc-message,grpc-status-details-bin";

/// The calls and whose pages may make them.
#[derive(Clone)]
pub struct Web {
    publish: WebPublish,
    origins: Arc<Origins>,
}

impl Web {
    /// Of these origins.
    #[must_use]
    pub fn new(publish: WebPublish, settings: &GrpcWebSettings) -> Self {
        Self { publish, origins: Arc::new(Origins(settings.origins.clone())) }
    }

    /// The routes.
    pub(super) fn routes(self) -> Router<Arc<Shared>> {
        Router::new().route(PUBLISH, post(call).options(preflight).with_state(self))
    }
}

/// Says of an answer that it has said itself who may read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnOrigins;

struct Origins(Vec<String>);

impl Origins {
    /// The origin that a page's request names, where the page may call; `Ok(None)`: there is no page.
    fn of<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h HeaderValue>, Failure> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        if origin.to_str().is_ok_and(|origin| self.allow(origin)) {
            Ok(Some(origin))
        } else {
            Err(Failure::origin_denied())
        }
    }

    fn allow(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| match allowed.as_str() {
            GrpcWebSettings::ANY => true,
            GrpcWebSettings::LOOPBACK => is_loopback(origin),
            allowed => allowed == origin,
        })
    }
}

fn is_loopback(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let scheme = uri.scheme_str();
    (scheme == Some("http") || scheme == Some("https"))
        && matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// An answer that the page of this origin may read.
fn readable(mut response: Response, origin: Option<&HeaderValue>) -> Response {
    response.extensions_mut().insert(OwnOrigins);
    let headers = response.headers_mut();
    // Whoever keeps an answer keeps it for its origin.
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    response
}

async fn preflight(State(web): State<Web>, headers: HeaderMap) -> Response {
    let origin = match web.origins.of(&headers) {
        Ok(origin) => origin,
        Err(denied) => return readable(denied.into_response(), None),
    };
    let mut response = readable(StatusCode::NO_CONTENT.into_response(), origin);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_AGE));
    response
}

async fn call(State(mut web): State<Web>, request: Request) -> Response {
    let origin = match web.origins.of(request.headers()) {
        Ok(origin) => origin.cloned(),
        Err(denied) => return readable(denied.into_response(), None),
    };
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !content_type.starts_with(b"application/grpc-web") {
        let detail =
            "gRPC-Web is application/grpc-web+proto or application/grpc-web-text; plain gRPC has a port of its own";
        return readable(Failure::unsupported_media_type(detail).into_response(), origin.as_ref());
    }
    match web.publish.call(request).await {
        Ok(response) => readable(response.map(Body::new), origin.as_ref()),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_allowed_origins_may_call_and_no_others() {
        let allowed = |origins: &[&str], origin: &str| {
            Origins(origins.iter().map(|origin| (*origin).to_owned()).collect()).allow(origin)
        };
        let loopback = ["http://localhost", "http://localhost:5173", "https://127.0.0.1:1", "http://[::1]:80"];
        for origin in loopback {
            assert!(allowed(&["loopback"], origin), "{origin}");
            assert!(!allowed(&["https://a.example"], origin) && !allowed(&[], origin), "{origin}");
        }
        let foreign = [
            "https://a.example",
            "http://localhost.a.example",
            "http://127.0.0.1.a.example",
            "http://a@localhost.example",
            "file://localhost",
            "null",
            "",
        ];
        for origin in foreign {
            assert!(!allowed(&["loopback", "https://b.example"], origin), "{origin}");
            assert!(allowed(&["*"], origin), "{origin}");
        }
        assert!(allowed(&["https://b.example", "https://a.example"], "https://a.example"));
        assert!(!allowed(&["https://a.example"], "https://a.example:8443"));
        assert!(!allowed(&["https://a.example"], "http://a.example"));
    }

    #[test]
    fn a_client_without_an_origin_is_no_page() {
        let origins = Origins(Vec::new());
        assert_eq!(origins.of(&HeaderMap::new()), Ok(None));
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://a.example"));
        assert_eq!(origins.of(&headers), Err(Failure::origin_denied()));
    }
}
