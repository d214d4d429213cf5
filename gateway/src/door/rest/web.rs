//! gRPC-Web on the REST listener, which speaks the HTTP/1.1 that browsers and consoles do: `PublishEvents`, for pages of
//! the origins that the settings allow, and for clients that are no browsers.

use std::sync::{Arc, Weak};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use http_body_util::BodyExt;
use tower_service::Service;

use super::Shared;
use super::failure::Failure;
use crate::admission::refusal::Refusal;
use crate::config::GrpcWebSettings;
use crate::door::grpc::PUBLISH;
use crate::door::grpc::web::{OfBatch, WebPublish};
use crate::door::kill::KillSwitch;
use crate::door::unsent::{Holding, Unsent};

/// How long a browser may remember what it was told, seconds: as long as the most patient of them does.
const PREFLIGHT_AGE: &str = "7200";
/// What a page's script may send.
const HEADERS: &str = "content-type,x-api-key,authorization,x-sent-at,x-grpc-web,x-user-agent,grpc-timeout,grpc-encoding,\
                       grpc-accept-encoding";
/// What it may read of an answer.
const EXPOSED: &str = "grpc-status,grpc-message,grpc-status-details-bin";

/// What gRPC-Web is written in, each with its other name. tonic-web knows them as they stand here and in no other way.
const BINARY: [&str; 2] = ["application/grpc-web+proto", "application/grpc-web"];
const TEXT: [&str; 2] = ["application/grpc-web-text+proto", "application/grpc-web-text"];

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
    pub(super) fn routes(self, shared: &Arc<Shared>) -> Router<Arc<Shared>> {
        Router::new().route(PUBLISH, post(call).options(preflight).with_state((self, Arc::clone(shared))))
    }

    /// What a call asks for.
    ///
    /// # Errors
    /// If it is no call of gRPC-Web, or one that its page may not make.
    pub(super) fn asked(&self, headers: &HeaderMap) -> Result<Asked, Denied> {
        asked(self.origins.of(headers)?.cloned(), headers)
    }
}

fn asked(origin: Option<HeaderValue>, headers: &HeaderMap) -> Result<Asked, Denied> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(request) = media_type(text(header::CONTENT_TYPE)) else {
        let expected = "application/grpc-web+proto or application/grpc-web-text+proto";
        return Err(Denied { origin, refusal: Refusal::UnsupportedMediaType { expected } });
    };
    // Who takes anything is answered as it asks.
    let answer = text(header::ACCEPT).split(',').find_map(media_type).unwrap_or(request);
    Ok(Asked { origin, request, answer })
}

/// The one of the names that tonic-web knows. RFC 9110, 8.3.1: in any case, and parameters may follow.
fn media_type(value: &str) -> Option<&'static str> {
    let media_type = value.split(';').next().unwrap_or_default().trim();
    let is =
        |names: [&'static str; 2]| names.iter().any(|name| media_type.eq_ignore_ascii_case(name)).then_some(names[0]);
    is(BINARY).or_else(|| is(TEXT))
}

/// A call of gRPC-Web.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Of the page that makes it.
    origin: Option<HeaderValue>,
    /// What it is written in.
    request: &'static str,
    /// What its answer is to be written in.
    answer: &'static str,
}

impl Asked {
    /// An answer that is a status alone: it is in the headers.
    pub(super) fn refused(&self, refusal: &Refusal) -> Response {
        let mut response = crate::door::grpc::refused(refusal).map(Body::new);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.answer));
        readable(response, self.origin.as_ref())
    }
}

/// Why a call is not made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    /// Of the page that may know.
    origin: Option<HeaderValue>,
    refusal: Refusal,
}

impl Denied {
    /// The answer, which is counted.
    pub(super) fn response(self, shared: &Shared) -> Response {
        shared.intake.refused(None, &self.refusal);
        let failure = match &self.refusal {
            Refusal::OriginDenied => Failure::origin_denied(),
            refusal => Failure::from(refusal),
        };
        readable(failure.into_response(), self.origin.as_ref())
    }
}

/// Says of an answer that it has said itself who may read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnOrigins;

struct Origins(Vec<String>);

impl Origins {
    /// The origin that a page's request names, where the page may call; `Ok(None)`: there is no page.
    fn of<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h HeaderValue>, Denied> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        if origin.to_str().is_ok_and(|origin| self.allow(origin)) {
            Ok(Some(origin))
        } else {
            Err(Denied { origin: None, refusal: Refusal::OriginDenied })
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

/// What a call needs.
type Ground = State<(Web, Arc<Shared>)>;

async fn preflight(State((web, shared)): Ground, headers: HeaderMap) -> Response {
    let origin = match web.origins.of(&headers) {
        Ok(origin) => origin,
        Err(denied) => return denied.response(&shared),
    };
    let mut response = readable(StatusCode::NO_CONTENT.into_response(), origin);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_AGE));
    response
}

async fn call(State((mut web, shared)): Ground, mut request: Request) -> Response {
    let asked = match web.asked(request.headers()) {
        Ok(asked) => asked,
        Err(denied) => return denied.response(&shared),
    };
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asked.request));
    headers.insert(header::ACCEPT, HeaderValue::from_static(asked.answer));
    let mut response = match web.publish.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let response = match response.extensions_mut().remove::<OfBatch>() {
        None => response.map(Body::new),
        Some(OfBatch(permit)) => {
            let (holding, unsent) = Holding::new(permit, KillSwitch::of_this_call(), &shared.clock);
            let unsent: Weak<Unsent> = Arc::downgrade(&unsent);
            shared.slow_readers.add(unsent);
            response.map(|body| held(body, holding))
        }
    };
    readable(response, asked.origin.as_ref())
}

/// A body whose pieces hold what their batch does until they have left.
fn held<B>(body: B, holding: Holding) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    Body::new(body.map_frame(move |frame| frame.map_data(|bytes| holding.piece(bytes))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admission::budget::{Budget, Share};
    use crate::clock::Clock;
    use crate::door::slow_readers::SlowReader;
    use crate::metrics::GaugeHandle;

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
        assert_eq!(origins.of(&headers), Err(Denied { origin: None, refusal: Refusal::OriginDenied }));
    }

    #[test]
    fn a_call_is_known_by_its_media_type_alone_and_answered_as_it_accepts() {
        let web = media_type;
        for binary in ["application/grpc-web", "Application/gRPC-Web+proto", " application/grpc-web ; charset=utf-8"] {
            assert_eq!(web(binary), Some(BINARY[0]), "{binary}");
        }
        for text in ["application/grpc-web-text", "application/grpc-web-text+proto;a=b"] {
            assert_eq!(web(text), Some(TEXT[0]), "{text}");
        }
        for other in ["", "application/grpc", "application/grpc-web+json", "application/grpc-webx", "text/plain"] {
            assert_eq!(web(other), None, "{other}");
        }
        let answer = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc-web-text"));
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            asked(None, &headers).map(|asked| (asked.request, asked.answer))
        };
        assert_eq!(answer("*/*"), Ok((TEXT[0], TEXT[0])));
        assert_eq!(answer("text/html, application/grpc-web;q=1"), Ok((TEXT[0], BINARY[0])));
        let refused = asked(None, &HeaderMap::new()).expect_err("no content type");
        assert!(matches!(refused.refusal, Refusal::UnsupportedMediaType { .. }));
    }

    #[test]
    fn a_refusal_beside_the_route_is_a_status_that_the_page_may_read() {
        let origin = HeaderValue::from_static("https://a.example");
        let asked = Asked { origin: Some(origin.clone()), request: BINARY[0], answer: TEXT[0] };
        let response = asked.refused(&Refusal::Draining);
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("a text"));
        assert_eq!((response.status(), header("grpc-status")), (StatusCode::OK, Some("14")));
        assert_eq!(
            (header("content-type"), header("access-control-allow-origin")),
            (Some(TEXT[0]), origin.to_str().ok())
        );
        assert!(header("access-control-expose-headers").is_some_and(|exposed| exposed.contains("grpc-status")));
        assert!(response.extensions().get::<OwnOrigins>().is_some());
    }

    /// A client that takes the answer's body and does not read on: hyper holds its pieces, and has dropped the body.
    #[tokio::test]
    async fn what_is_not_sent_yet_holds_its_batchs_bytes_and_its_reader_is_watched() {
        let budget = Budget::new(1 << 20, 1.0, GaugeHandle::default());
        let permit = budget.take(&Arc::new(Share::default()), 1_000).expect("there is room");
        let (holding, unsent) = Holding::new(Arc::new(permit), None, &Clock::system());
        let watched = Arc::downgrade(&unsent);
        drop(unsent);
        let mut body = held(Body::from(vec![7; 100]), holding);
        let piece = body.frame().await.expect("a piece").expect("of a body").into_data().expect("of bytes");
        drop(body);
        assert_eq!((piece.len(), budget.held()), (100, Budget::cost(1_000)));
        assert!(watched.upgrade().is_some_and(|unsent| unsent.give_up_after(Duration::ZERO)));
        drop(piece);
        assert_eq!((budget.held(), watched.strong_count()), (0, 0));
    }
}
