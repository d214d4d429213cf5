//! What each call of `AdminService` does: reads its request, has [`Admin`] do it, writes the answer.

use std::sync::Arc;
use std::time::Duration;

use headgate_proto::admin::v1::rotate_authorization_request::Expiry;
use headgate_proto::admin::v1::*;
use uuid::Uuid;

use super::page::{List, Page, Place};
use super::wire::{self, invalid};
use crate::admin::{Actor, Admin, AdminError, HandedOut, KeyRequest, Rotation};
use crate::registry::{Application, AuditEntry, AuditQuery, Authorization, NewApplication, RegistryError};

type Answer<T> = Result<T, AdminError>;

pub(super) async fn create_application(
    admin: Arc<Admin>,
    actor: Actor,
    asked: CreateApplicationRequest,
) -> Answer<CreateApplicationResponse> {
    let new = NewApplication {
        name: asked.name,
        description: wire::optional_text(asked.description),
        limits: asked.limits.map(wire::limits).unwrap_or_default(),
        route: wire::route(asked.route)?,
        environment: wire::environment(asked.environment)?.unwrap_or_default(),
    };
    let application = admin.create_application(&actor, new).await?;
    Ok(CreateApplicationResponse { application: Some(wire::application_message(application)) })
}

pub(super) async fn list_applications(
    admin: Arc<Admin>,
    _: Actor,
    asked: ListApplicationsRequest,
) -> Answer<ListApplicationsResponse> {
    let page = Page::asked(List::Applications, asked.page_size, &asked.page_token)?;
    let place = |one: &Application| Place { at_ms: one.created_at_ms, id: one.application_id };
    let (applications, next_page_token) = page.of(admin.applications().await?, place);
    let applications = applications.into_iter().map(wire::application_message).collect();
    Ok(ListApplicationsResponse { applications, next_page_token })
}

pub(super) async fn get_application(
    admin: Arc<Admin>,
    _: Actor,
    asked: GetApplicationRequest,
) -> Answer<GetApplicationResponse> {
    let application = admin.application(wire::id("application_id", &asked.application_id)?).await?;
    Ok(GetApplicationResponse { application: Some(wire::application_message(application)) })
}

pub(super) async fn update_application(
    admin: Arc<Admin>,
    actor: Actor,
    asked: UpdateApplicationRequest,
) -> Answer<UpdateApplicationResponse> {
    let id = wire::id("application_id", &asked.application_id)?;
    let route = asked.route.map(wire::route).transpose()?;
    let environment = wire::environment(asked.environment)?;
    let before = admin.application(id).await?;
    let change = NewApplication {
        name: asked.name.unwrap_or(before.name),
        description: asked.description.map_or(before.description, wire::optional_text),
        limits: asked.limits.map_or(before.limits, wire::limits),
        route: route.unwrap_or(before.route),
        environment: environment.unwrap_or(before.environment),
    };
    let application = admin.update_application(&actor, id, change).await?;
    Ok(UpdateApplicationResponse { application: Some(wire::application_message(application)) })
}

pub(super) async fn delete_application(
    admin: Arc<Admin>,
    actor: Actor,
    asked: DeleteApplicationRequest,
) -> Answer<DeleteApplicationResponse> {
    let id = wire::id("application_id", &asked.application_id)?;
    Ok(DeleteApplicationResponse { deleted: admin.delete_application(&actor, id).await? })
}

pub(super) async fn create_authorization(
    admin: Arc<Admin>,
    actor: Actor,
    asked: CreateAuthorizationRequest,
) -> Answer<CreateAuthorizationResponse> {
    let request = KeyRequest {
        application_id: wire::id("application_id", &asked.application_id)?,
        name: asked.name,
        description: wire::optional_text(asked.description),
        expires_at_ms: wire::optional_millis("expires_at", asked.expires_at.as_ref())?,
        scopes: wire::scopes(&asked.scopes)?,
    };
    let HandedOut { key, authorization } = admin.create_key(&actor, request).await?;
    let authorization = Some(wire::authorization_message(authorization));
    Ok(CreateAuthorizationResponse { authorization, api_key: key.expose().to_owned() })
}

pub(super) async fn list_authorizations(
    admin: Arc<Admin>,
    _: Actor,
    asked: ListAuthorizationsRequest,
) -> Answer<ListAuthorizationsResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    let page = Page::asked(List::Authorizations, asked.page_size, &asked.page_token)?;
    let place = |one: &Authorization| Place { at_ms: one.created_at_ms, id: one.api_key_id };
    let (keys, next_page_token) = page.of(admin.keys(application).await?, place);
    let authorizations = keys.into_iter().map(wire::authorization_message).collect();
    Ok(ListAuthorizationsResponse { authorizations, next_page_token })
}

pub(super) async fn get_authorization(
    admin: Arc<Admin>,
    _: Actor,
    asked: GetAuthorizationRequest,
) -> Answer<GetAuthorizationResponse> {
    let key = key(&admin, &asked.application_id, &asked.api_key_id).await?;
    Ok(GetAuthorizationResponse { authorization: Some(wire::authorization_message(key)) })
}

pub(super) async fn update_authorization(
    admin: Arc<Admin>,
    actor: Actor,
    asked: UpdateAuthorizationRequest,
) -> Answer<UpdateAuthorizationResponse> {
    let scopes = if asked.scopes.is_empty() { None } else { Some(wire::scopes(&asked.scopes)?) };
    let mut key = key(&admin, &asked.application_id, &asked.api_key_id).await?;
    // First what it may be used for: a key that is enabled never lets in for more than it should.
    if let Some(scopes) = scopes {
        key = admin.set_scopes(&actor, key.api_key_id, scopes).await?;
    }
    if let Some(enabled) = asked.enabled {
        key = admin.set_enabled(&actor, key.api_key_id, enabled).await?;
    }
    Ok(UpdateAuthorizationResponse { authorization: Some(wire::authorization_message(key)) })
}

pub(super) async fn rotate_authorization(
    admin: Arc<Admin>,
    actor: Actor,
    asked: RotateAuthorizationRequest,
) -> Answer<RotateAuthorizationResponse> {
    let rotation = Rotation {
        name: asked.name,
        expires_at_ms: match asked.expiry {
            Some(Expiry::ExpiresAt(time)) => Some(Some(wire::millis("expires_at", &time)?)),
            Some(Expiry::NeverExpires(true)) => Some(None),
            Some(Expiry::NeverExpires(false)) | None => None,
        },
        overlap: match asked.overlap.map(Duration::try_from) {
            None => Duration::ZERO,
            Some(Ok(overlap)) => overlap,
            Some(Err(_)) => return Err(invalid("overlap", "must be a duration of 0 or more").into()),
        },
    };
    let old = key(&admin, &asked.application_id, &asked.api_key_id).await?;
    let HandedOut { key, authorization } = admin.rotate(&actor, old.api_key_id, rotation).await?;
    let authorization = Some(wire::authorization_message(authorization));
    Ok(RotateAuthorizationResponse { authorization, api_key: key.expose().to_owned() })
}

pub(super) async fn delete_authorization(
    admin: Arc<Admin>,
    actor: Actor,
    asked: DeleteAuthorizationRequest,
) -> Answer<DeleteAuthorizationResponse> {
    let key = match key(&admin, &asked.application_id, &asked.api_key_id).await {
        Ok(key) => key,
        Err(AdminError::Registry(RegistryError::NotFound { .. })) => {
            return Ok(DeleteAuthorizationResponse { deleted: false });
        }
        Err(error) => return Err(error),
    };
    Ok(DeleteAuthorizationResponse { deleted: admin.delete_key(&actor, key.api_key_id).await? })
}

pub(super) async fn list_audit_entries(
    admin: Arc<Admin>,
    _: Actor,
    asked: ListAuditEntriesRequest,
) -> Answer<ListAuditEntriesResponse> {
    let page = Page::asked(List::AuditEntries, asked.page_size, &asked.page_token)?;
    let query = AuditQuery {
        application_id: wire::optional_id("application_id", &asked.application_id)?,
        before: page.after.map(|place| place.id),
        limit: u32::try_from(page.size).unwrap_or(u32::MAX),
    };
    let entries = admin.audit(&query).await?;
    let place = |one: &AuditEntry| Place { at_ms: one.at_ms, id: one.id };
    // A full page may have been the last; the one after it is empty then.
    let is_full = entries.len() >= page.size;
    let next_page_token = if is_full { page.next(entries.last().map(place)) } else { String::new() };
    Ok(ListAuditEntriesResponse { entries: entries.into_iter().map(wire::audit_message).collect(), next_page_token })
}

/// A key by its id, of this application unless the application's id is empty.
async fn key(admin: &Admin, application: &str, key: &str) -> Answer<Authorization> {
    let application = wire::optional_id("application_id", application)?;
    let id: Uuid = wire::id("api_key_id", key)?;
    let key = admin.key(id).await?;
    if application.is_some_and(|application| application != key.application_id) {
        return Err(RegistryError::NotFound { what: "key", id }.into());
    }
    Ok(key)
}
