//! What passes, as JSON, for scripts and tests; the console draws the same.
//!
//! The counts are no more secret than the metrics. The tail holds what players sent, so it is answered to this machine, by
//! a listener of its own, and to administrators.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use uuid::Uuid;

use super::caller::{is_administrator, is_direct};
use super::http::Operated;
use crate::live::view::{DEFAULT_MINUTES, TailVerdict};

/// Entries of the tail in one answer.
const MAX_ENTRIES: usize = 1_000;
const DEFAULT_ENTRIES: usize = 100;

pub(super) fn routes() -> Router<Operated> {
    Router::new()
        .route("/live/apps", get(apps))
        .route("/live/series", get(series))
        .route("/live/types", get(types))
        .route("/live/rejected-fields", get(rejected_fields))
        .route("/live/tail", get(tail))
        .route("/live/windows", get(windows))
}

#[derive(Deserialize)]
struct OfOne {
    app: Uuid,
}

#[derive(Deserialize)]
struct OfAny {
    app: Option<Uuid>,
}

#[derive(Deserialize)]
struct SeriesOf {
    app: Option<Uuid>,
    step: Option<u32>,
}

#[derive(Deserialize)]
struct TailOf {
    app: Option<Uuid>,
    verdict: Option<TailVerdict>,
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct WindowsOf {
    app: Uuid,
    last: Option<u32>,
}

async fn apps(State(operated): State<Operated>) -> Response {
    Json(operated.live.apps_now()).into_response()
}

async fn series(State(operated): State<Operated>, Query(of): Query<SeriesOf>) -> Response {
    match of.step.unwrap_or(1) {
        1 => Json(operated.live.seconds(of.app)).into_response(),
        60 => Json(operated.live.minutes(of.app)).into_response(),
        _ => (StatusCode::BAD_REQUEST, "step must be 1 or 60\n").into_response(),
    }
}

async fn types(State(operated): State<Operated>, Query(of): Query<OfOne>) -> Response {
    Json(operated.live.types(of.app)).into_response()
}

async fn rejected_fields(State(operated): State<Operated>, Query(of): Query<OfAny>) -> Response {
    Json(operated.live.rejected_fields(of.app)).into_response()
}

async fn tail(State(operated): State<Operated>, headers: HeaderMap, Query(of): Query<TailOf>) -> Response {
    let may_see = operated.is_local && is_direct(&headers) || is_administrator(&headers, &operated.authority);
    if !may_see {
        let why = "the tail holds what players sent: ask from this machine where operate.listen is a loopback address, \
                   through no proxy, or send `authorization: Bearer ADMIN_TOKEN`\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let limit = of.limit.unwrap_or(DEFAULT_ENTRIES).min(MAX_ENTRIES);
    Json(operated.live.tail(of.app, of.verdict, of.after.unwrap_or(0), limit)).into_response()
}

async fn windows(State(operated): State<Operated>, Query(of): Query<WindowsOf>) -> Response {
    Json(operated.live.windows(of.app, of.last.unwrap_or(DEFAULT_MINUTES))).into_response()
}
