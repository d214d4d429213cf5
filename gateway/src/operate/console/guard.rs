//! What stands before every page: who is signed in, whether a form is one of ours, and what a browser may do with what
//! it gets.
//!
//! A form is taken only from a page of this very console: the browser must not say that it comes from elsewhere
//! (`Sec-Fetch-Site`, else `Origin`), and it must carry the token that is bound to the session.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Redirect, Response};

use super::fields::Fields;
use super::layout;
use super::session::Session;
use super::{Console, pages};

/// The largest form: a schema of 64 KiB, of which every byte may be written as three.
const MAX_FORM: usize = 256 << 10;

pub(super) const COOKIE: &str = "headgate_console";

/// Nothing but what this listener serves itself; no page may be put into a frame.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src \
                                 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Puts on every answer what a browser is to heed, and a page in the place of the bare line that an address gets which
/// can't be read.
pub(super) async fn with_headers(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_page = !path.starts_with("/console/api/") && !path.starts_with("/console/assets/");
    let mut response = next.run(request).await;
    if is_page && response.status().is_client_error() && !is_html(&response) {
        response = match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                let words = "This address takes a form of the console's pages, and is no page itself.";
                layout::problem(StatusCode::METHOD_NOT_ALLOWED, words).into_response()
            }
            _ => pages::not_found().await,
        };
    }
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`: with it browsers send `Origin: null` with our own forms.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    response
}

fn is_html(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Lets in whoever is signed in; of forms, only our own. Handlers find the [`Session`] and the [`Fields`].
pub(super) async fn signed_in(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let Some(session) = session_id(request.headers()).and_then(|id| console.sessions.find(id)) else {
        return to_sign_in(&request);
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        if !is_same_origin(request.headers()) {
            return forbidden("This form came from another site, so nothing was done.");
        }
        let body = std::mem::take(request.body_mut());
        let Ok(body) = to_bytes(body, MAX_FORM).await else {
            return layout::problem(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large.").into_response();
        };
        let fields = Fields::parse(&body);
        if !session.is_form_token(fields.raw("form_token")) {
            return forbidden(
                "This form belongs to an earlier sign-in, so nothing was done. Go back, load the page \
                              again, and send it once more.",
            );
        }
        request.extensions_mut().insert(fields);
        request.extensions_mut().insert(Signed(session));
        // What was begun is ended, and written to the audit log, though the browser may be gone.
        let act = console.tasks.spawn("console act", async move { next.run(request).await });
        let failed =
            || layout::problem(StatusCode::INTERNAL_SERVER_ERROR, "This was not done to its end.").into_response();
        return act.await.ok().flatten().unwrap_or_else(failed);
    }
    request.extensions_mut().insert(Signed(session));
    next.run(request).await
}

/// Whoever is signed in.
#[derive(Clone)]
pub(super) struct Signed(pub(super) Arc<Session>);

impl std::ops::Deref for Signed {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Signed {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::FORBIDDEN)
    }
}

impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.remove::<Self>().ok_or(StatusCode::FORBIDDEN)
    }
}

/// The address that a request came from.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(known.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())))
    }
}

/// Reads the form of somebody who is not signed in.
pub(super) async fn open_form(headers: &HeaderMap, body: Body) -> Result<Fields, Box<Response>> {
    if !is_same_origin(headers) {
        return Err(Box::new(forbidden("This form came from another site, so nothing was done.")));
    }
    let read = to_bytes(body, 8 << 10).await;
    let too_large =
        |_| Box::new(layout::problem(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large.").into_response());
    read.map(|body| Fields::parse(&body)).map_err(too_large)
}

/// The session's id in a request's cookies.
pub(super) fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The cookie of a session; of none, the one that removes it.
pub(super) fn cookie(id: &str, seconds: u64, headers: &HeaderMap) -> String {
    let secure = if is_tls(headers) { "; Secure" } else { "" };
    format!("{COOKIE}={id}; Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether the browser speaks TLS, to whatever stands before this listener. Believed of anybody: all that it does is
/// keep the cookie from going out in the clear.
fn is_tls(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Whether a request that changes something comes from a page of ours, as far as the browser says.
pub(in crate::operate) fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    // Browsers send it to loopback and over TLS; `none` is the person's own doing, such as loading a page again.
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
        // No browser: the form's token has to do.
        (None, _) => true,
    }
}

fn to_sign_in(request: &Request) -> Response {
    if request.uri().path().starts_with("/console/api/") {
        let said = serde_json::json!({"error": "signed out: sign in at /console/sign-in"});
        return (StatusCode::UNAUTHORIZED, Json(said)).into_response();
    }
    if request.method() != Method::GET {
        return Redirect::to("/console/sign-in").into_response();
    }
    let from = request.uri().path_and_query().map_or("/console", |path| path.as_str());
    Redirect::to(&pages::sign_in::address(from)).into_response()
}

fn forbidden(words: &str) -> Response {
    layout::problem(StatusCode::FORBIDDEN, words).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_form_of_another_site_is_told_by_what_the_browser_says() {
        let same = |pairs: &[_]| is_same_origin(&headers(pairs));
        assert!(same(&[("sec-fetch-site", "same-origin")]));
        assert!(same(&[("sec-fetch-site", "none")]));
        assert!(!same(&[("sec-fetch-site", "cross-site"), ("origin", "http://a:1"), ("host", "a:1")]));
        assert!(!same(&[("sec-fetch-site", "same-site")]), "another port of this machine is another site");
        assert!(same(&[("origin", "http://127.0.0.1:9090"), ("host", "127.0.0.1:9090")]));
        assert!(same(&[("origin", "https://Console.example"), ("host", "console.example")]));
        assert!(!same(&[("origin", "http://127.0.0.1:9091"), ("host", "127.0.0.1:9090")]));
        assert!(!same(&[("origin", "null"), ("host", "127.0.0.1:9090")]));
        assert!(!same(&[("origin", "http://127.0.0.1:9090")]));
        assert!(same(&[("host", "127.0.0.1:9090")]));
    }

    #[test]
    fn the_cookie_is_found_among_others_and_never_for_scripts_or_other_sites() {
        let found = |cookies: &'static str| session_id(&headers(&[("cookie", cookies)])).map(str::to_owned);
        assert_eq!(found("a=b; headgate_console=12ab; c=d").as_deref(), Some("12ab"));
        assert_eq!(found("xheadgate_console=12ab"), None);
        let cookie = cookie("12ab", 60, &headers(&[]));
        assert_eq!(cookie, "headgate_console=12ab; Path=/console; Max-Age=60; HttpOnly; SameSite=Strict");
        assert!(super::cookie("1", 1, &headers(&[("x-forwarded-proto", "https")])).ends_with("; Secure"));
    }

    #[test]
    fn the_policy_lets_nothing_in_from_elsewhere_and_nothing_inline() {
        assert!(POLICY.starts_with("default-src 'none'"));
        for part in ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "script-src 'self';"] {
            assert!(POLICY.contains(part), "{part}");
        }
        for loose in ["unsafe", "*", "http:", "https:", "data:"] {
            assert!(!POLICY.contains(loose), "{loose}");
        }
    }
}
