//! The calls about ids that are hashed.

use std::sync::Arc;

use headgate_proto::admin::v1 as message;
use headgate_proto::admin::v1::*;

use super::wire::{self, invalid};
use crate::admin::{Actor, Admin, AdminError};
use crate::registry::{self, IdentityOverview, RegistryError};

type Answer<T> = Result<T, AdminError>;

pub(super) async fn get(admin: Arc<Admin>, _: Actor, asked: GetIdentityRequest) -> Answer<GetIdentityResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    Ok(GetIdentityResponse { identity: Some(told(admin.identity(application).await?)) })
}

pub(super) async fn update(
    admin: Arc<Admin>,
    actor: Actor,
    asked: UpdateIdentityRequest,
) -> Answer<UpdateIdentityResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    let fields = asked.fields.iter().map(|number| field(*number)).collect::<Result<Vec<_>, _>>()?;
    let identity = admin.hash_fields(&actor, application, &fields).await?;
    Ok(UpdateIdentityResponse { identity: Some(told(identity)) })
}

pub(super) async fn rotate(
    admin: Arc<Admin>,
    actor: Actor,
    asked: RotateIdentityRequest,
) -> Answer<RotateIdentityResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    let identity = admin.rotate_identity(&actor, application, asked.forget_earlier).await?;
    Ok(RotateIdentityResponse { identity: Some(told(identity)) })
}

pub(super) async fn stored_ids(
    admin: Arc<Admin>,
    actor: Actor,
    asked: ListStoredIdsRequest,
) -> Answer<ListStoredIdsResponse> {
    let application = wire::id("application_id", &asked.application_id)?;
    Ok(ListStoredIdsResponse { ids: admin.stored_ids(&actor, application, &asked.id).await? })
}

fn told(identity: IdentityOverview) -> message::Identity {
    message::Identity {
        application_id: identity.application_id.to_string(),
        fields: identity.fields.into_iter().map(field_number).collect(),
        generations: identity.generations,
        changed_at: identity.changed_at_ms.map(wire::timestamp),
    }
}

/// What a gateway answered with.
///
/// # Errors
/// [`RegistryError::Invalid`] with the field that can't be understood.
pub(crate) fn overview(message: message::Identity) -> Result<IdentityOverview, RegistryError> {
    Ok(IdentityOverview {
        application_id: wire::id("application_id", &message.application_id)?,
        fields: message.fields.into_iter().map(field).collect::<Result<_, _>>()?,
        generations: message.generations,
        changed_at_ms: wire::optional_millis("changed_at", message.changed_at.as_ref())?,
    })
}

fn field(number: i32) -> Result<registry::IdentityField, RegistryError> {
    match message::IdentityField::try_from(number) {
        Ok(message::IdentityField::PlayerId) => Ok(registry::IdentityField::PlayerId),
        Ok(message::IdentityField::SessionId) => Ok(registry::IdentityField::SessionId),
        Ok(message::IdentityField::Device) => Ok(registry::IdentityField::Device),
        Ok(message::IdentityField::Unspecified) | Err(_) => Err(invalid(
            "fields",
            "must be of IDENTITY_FIELD_PLAYER_ID, IDENTITY_FIELD_SESSION_ID and IDENTITY_FIELD_DEVICE",
        )),
    }
}

pub(crate) fn field_number(field: registry::IdentityField) -> i32 {
    let known = match field {
        registry::IdentityField::PlayerId => message::IdentityField::PlayerId,
        registry::IdentityField::SessionId => message::IdentityField::SessionId,
        registry::IdentityField::Device => message::IdentityField::Device,
    };
    known as i32
}
