//! `/applications/{application_id}/live/…`: what passes of one application, for whoever has a key of it with the scope
//! `read`. Counts alone: what players sent is for the operators' listener.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, http::HeaderMap};
use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::Shared;
use super::answer::{json, preflight};
use super::events::presented_key;
use super::failure::Failure;
use super::shapes::OfApplication;
use crate::admission::refusal::Refusal;
use crate::live::view::DEFAULT_MINUTES;
use crate::registry::Purpose;

/// Minutes of event time in one answer: a day, as many as are kept by default.
const MAX_MINUTES: u32 = 24 * 60;

pub(super) fn routes() -> Router<Arc<Shared>> {
    let of = |path: &str| format!("/applications/{{application_id}}/live{path}");
    Router::new()
        .route(&of(""), get(summary).options(preflight))
        .route(&of("/series"), get(series).options(preflight))
        .route(&of("/types"), get(types).options(preflight))
        .route(&of("/rejected-fields"), get(rejected_fields).options(preflight))
        .route(&of("/windows"), get(windows).options(preflight))
}

#[derive(Deserialize)]
struct Series {
    step: Option<u32>,
}

#[derive(Deserialize)]
struct Windows {
    last: Option<u32>,
}

/// Whose counts the key may read: those of its own application.
async fn reader(shared: &Shared, path: &OfApplication, headers: &HeaderMap) -> Result<Uuid, Failure> {
    let key = presented_key(headers).map_err(|refusal| shared.refused(None, &refusal))?;
    let admitted = shared.intake.authenticate(key).await;
    let grant = admitted.map_err(|(application, refusal)| shared.refused(application, &refusal))?;
    let id = grant.app().id();
    let allowed = if path.id() == Some(id) { grant.check(Purpose::Read) } else { Err(Refusal::OtherApplication) };
    allowed.map_err(|refusal| shared.refused(Some(id), &refusal))?;
    Ok(id)
}

async fn summary(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = reader(&shared, &path, &headers).await?;
    Ok(json(StatusCode::OK, &shared.live.now(id)))
}

async fn series(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    headers: HeaderMap,
    asked: Result<Query<Series>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Failure> {
    let id = reader(&shared, &path, &headers).await?;
    match asked.map(|Query(asked)| asked.step.unwrap_or(1)) {
        Ok(1) => Ok(json(StatusCode::OK, &shared.live.seconds(Some(id)))),
        Ok(60) => Ok(json(StatusCode::OK, &shared.live.minutes(Some(id)))),
        Ok(_) | Err(_) => Err(Failure::bad_request("step must be 1 or 60")),
    }
}

async fn types(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = reader(&shared, &path, &headers).await?;
    Ok(json(StatusCode::OK, &shared.live.types(id)))
}

async fn rejected_fields(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = reader(&shared, &path, &headers).await?;
    Ok(json(StatusCode::OK, &shared.live.rejected_fields(Some(id))))
}

async fn windows(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    headers: HeaderMap,
    asked: Result<Query<Windows>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Failure> {
    let id = reader(&shared, &path, &headers).await?;
    // One at a time: while it is put together, the application's events are not counted.
    let _one = shared.reading_windows.lock().await;
    match asked.map(|Query(asked)| asked.last.unwrap_or(DEFAULT_MINUTES)) {
        Ok(last @ 1..=MAX_MINUTES) => Ok(json(StatusCode::OK, &shared.live.windows(id, last))),
        Ok(_) | Err(_) => Err(Failure::bad_request(format!("last must be 1 to {MAX_MINUTES} minutes"))),
    }
}
