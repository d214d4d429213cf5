//! `/applications/{application_id}/authorizations`: handing out keys.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::Shared;
use super::administrator::Administrator;
use super::answer::json;
use super::failure::Failure;
use super::shapes::{AuthorizationShape, AuthorizationsShape, Named, OfApplication, OfAuthorization, enabled};
use crate::admin::{Admin, AdminError, KeyRequest};
use crate::registry::{Authorization, RegistryError, Scopes};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Deleted {
    result: &'static str,
}

/// `GET …/authorizations`. An unknown application has none.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    _: Administrator,
) -> Result<Response, Failure> {
    let keys = match path.id() {
        Some(id) => shared.admin.keys(id).await?,
        None => Vec::new(),
    };
    let authorizations: Vec<_> = keys.into_iter().map(AuthorizationShape::from).collect();
    let count = authorizations.len();
    Ok(json(StatusCode::OK, &AuthorizationsShape { authorizations, count }))
}

/// `POST …/authorizations`.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    path: OfApplication,
    administrator: Administrator,
) -> Result<Response, Failure> {
    let Named { name, description } = Named::read(&administrator.body)?;
    let application_id = path.id().ok_or_else(|| Failure::not_found("the application does not exist"))?;
    // As the AWS solution's keys: it may send, from anywhere, for as long as it is enabled.
    let request = KeyRequest { application_id, name, description, expires_at_ms: None, scopes: Scopes::INGEST };
    let (admin, actor) = (Arc::clone(&shared.admin), administrator.actor);
    let made = shared.act(async move { admin.create_key(&actor, request).await }).await?;
    Ok(json(StatusCode::OK, &AuthorizationShape::with_key(made.authorization, made.key.expose())))
}

/// `GET …/authorizations/{api_key_id}`.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    path: OfAuthorization,
    _: Administrator,
) -> Result<Response, Failure> {
    match find(&shared.admin, path.ids()).await? {
        Some(key) => Ok(json(StatusCode::OK, &AuthorizationShape::from(key))),
        None => Err(Failure::not_found("the authorization does not exist")),
    }
}

/// `PUT …/authorizations/{api_key_id}`. Of an unknown one the AWS solution says that it has failed itself.
pub(super) async fn modify(
    State(shared): State<Arc<Shared>>,
    path: OfAuthorization,
    administrator: Administrator,
) -> Result<Response, Failure> {
    let enabled = enabled(&administrator.body)?;
    let unknown = || Failure::internal("the authorization can't be modified: it does not exist");
    let id = find(&shared.admin, path.ids()).await?.ok_or_else(unknown)?.api_key_id;
    let (admin, actor) = (Arc::clone(&shared.admin), administrator.actor);
    let modified = shared.act(async move { found(admin.set_enabled(&actor, id, enabled).await) }).await?;
    Ok(json(StatusCode::OK, &AuthorizationShape::from(modified.ok_or_else(unknown)?)))
}

/// `DELETE …/authorizations/{api_key_id}`. Doing it again is the same.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    path: OfAuthorization,
    administrator: Administrator,
) -> Result<Response, Failure> {
    if let Some(key) = find(&shared.admin, path.ids()).await? {
        let (admin, actor) = (Arc::clone(&shared.admin), administrator.actor);
        let _ = shared.act(async move { admin.delete_key(&actor, key.api_key_id).await }).await?;
    }
    Ok(json(StatusCode::OK, &Deleted { result: "Deleted" }))
}

/// A key of this application.
async fn find(admin: &Admin, ids: Option<(Uuid, Uuid)>) -> Result<Option<Authorization>, Failure> {
    let Some((application, key)) = ids else { return Ok(None) };
    Ok(found(admin.key(key).await)?.filter(|key| key.application_id == application))
}

/// What is not there is no error.
fn found(key: Result<Authorization, AdminError>) -> Result<Option<Authorization>, AdminError> {
    match key {
        Ok(key) => Ok(Some(key)),
        Err(AdminError::Registry(RegistryError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}
