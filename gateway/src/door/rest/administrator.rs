//! Who may administer over REST: whoever sends the admin token, or signs with an admin access key.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, OriginalUri, Request};
use bytes::Bytes;
use http::header;

use super::Shared;
use super::body::Reading;
use super::failure::Failure;
use super::signature::Signature;
use crate::admin::{Actor, Via};
use crate::door::connection::LeaveSignal;

/// An administrator's request: who asks, and the body.
pub(super) struct Administrator {
    pub(super) actor: Actor,
    pub(super) body: Bytes,
}

impl FromRequest<Arc<Shared>> for Administrator {
    type Rejection = Failure;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let presented = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let presented = presented.ok_or_else(Failure::access_denied)?;
        let leave = parts.extensions.get::<Arc<LeaveSignal>>().map(Arc::clone).ok_or_else(Failure::access_denied)?;
        // RFC 9110, 11.1: the scheme is case-insensitive.
        if let Some((scheme, token)) = presented.split_once(' ')
            && scheme.eq_ignore_ascii_case("bearer")
        {
            let actor = shared.authority.bearer(token.trim(), Via::Rest).ok_or_else(Failure::access_denied)?;
            return Ok(Self { actor, body: read(shared, leave, body).await? });
        }
        // Whatever can be refused without the body is refused without it.
        let denied = |why: &dyn std::fmt::Display| {
            tracing::debug!(%why, "a signed request was refused");
            Failure::access_denied()
        };
        let signature = Signature::parse(presented, &parts.headers).map_err(|error| denied(&error))?;
        signature.check_time(shared.clock.wall_ms()).map_err(|error| denied(&error))?;
        let secret = shared.authority.secret_of(signature.access_key_id());
        let secret = secret.ok_or_else(|| denied(&"the access key is unknown"))?;
        let body = read(shared, leave, body).await?;
        // What was signed is what was asked for, the stage's prefix included.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let checked = signature.check(secret, &parts.method, uri, &parts.headers, &body, shared.is_encrypted);
        checked.map_err(|error| denied(&error))?;
        Ok(Self { actor: Actor { name: signature.access_key_id().to_owned(), via: Via::Rest }, body })
    }
}

async fn read(shared: &Shared, leave: Arc<LeaveSignal>, body: Body) -> Result<Bytes, Failure> {
    let reading = Reading { limit: shared.max_admin_body, timeout: shared.body_timeout, leave };
    reading.small(body).await.map_err(|refusal| shared.refused(None, &refusal))
}
