//! `/applications`: registering games.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::Shared;
use super::administrator::Administrator;
use super::answer::json;
use super::failure::Failure;
use super::shapes::{ApplicationShape, ApplicationsShape, Named, OfApplication};
use crate::registry::NewApplication;

/// `GET /applications`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, _: Administrator) -> Result<Response, Failure> {
    let applications: Vec<ApplicationShape> =
        shared.admin.applications().await?.into_iter().map(ApplicationShape::from).collect();
    if applications.is_empty() {
        return Err(Failure::not_found("no applications are registered"));
    }
    let count = applications.len();
    Ok(json(StatusCode::OK, &ApplicationsShape { applications, count }))
}

/// `POST /applications`.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    administrator: Administrator,
) -> Result<Response, Failure> {
    let Named { name, description } = Named::read(&administrator.body)?;
    let new = NewApplication { name, description, ..NewApplication::default() };
    let (admin, actor) = (Arc::clone(&shared.admin), administrator.actor);
    let application = shared.act(async move { admin.create_application(&actor, new).await }).await?;
    Ok(json(StatusCode::OK, &ApplicationShape::from(application)))
}

/// `GET /applications/{application_id}`.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    _: Administrator,
) -> Result<Response, Failure> {
    let id = path.id().ok_or_else(|| Failure::not_found("the application does not exist"))?;
    Ok(json(StatusCode::OK, &ApplicationShape::from(shared.admin.application(id).await?)))
}

/// `DELETE /applications/{application_id}`. Doing it again is the same.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    administrator: Administrator,
) -> Result<Response, Failure> {
    if let Some(id) = path.id() {
        let (admin, actor) = (Arc::clone(&shared.admin), administrator.actor);
        let _ = shared.act(async move { admin.delete_application(&actor, id).await }).await?;
    }
    Ok(json(StatusCode::OK, &"Delete successful"))
}
