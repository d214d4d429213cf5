//! Who may administer over REST: whoever sends the admin token, or signs with an admin access key. Everybody else is told
//! nothing but that they may not; why is in a metric, and in the log where that is asked for.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, OriginalUri, Request};
use bytes::Bytes;
use http::header;
use http::request::Parts;

use super::Shared;
use super::body::Reading;
use super::failure::Failure;
use super::signature::{Signature, SignatureError};
use crate::admin::{Actor, Via};
use crate::admission::refusal::Refusal;
use crate::door::certificate::ClientCertificate;
use crate::door::connection::LeaveSignal;
use crate::metrics::Counter;

/// An administrator's request: who asks, and the body.
pub(super) struct Administrator {
    pub(super) actor: Actor,
    pub(super) body: Bytes,
}

/// Why somebody is no administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Denied {
    #[error("nobody may administer this gateway from outside")]
    Closed,
    #[error("there is no authorization")]
    Missing,
    #[error("the admin token is wrong")]
    Wrong,
    #[error("nobody has this access key")]
    UnknownAccessKey,
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// Why a request is not an administrator's to answer.
enum Refused {
    Denied(Denied),
    /// The body can't be had.
    Body(Refusal),
}

impl<E: Into<Denied>> From<E> for Refused {
    fn from(denied: E) -> Self {
        Self::Denied(denied.into())
    }
}

impl Denied {
    /// In metrics; of what `AdminService` has too, the names are its.
    fn reason(self) -> &'static str {
        match self {
            Self::Closed => "admin_closed",
            Self::Missing => "admin_token_missing",
            Self::Wrong => "admin_token_wrong",
            Self::UnknownAccessKey => "admin_access_key_unknown",
            Self::Signature(SignatureError::NotSigned) => "admin_token_malformed",
            Self::Signature(_) => "admin_signature_wrong",
        }
    }
}

impl FromRequest<Arc<Shared>> for Administrator {
    type Rejection = Failure;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        match admit(shared, &parts, body).await {
            Ok(Administrator { actor, body }) => {
                let actor = actor.with_certificate(parts.extensions.get::<ClientCertificate>());
                Ok(Self { actor, body })
            }
            Err(Refused::Body(refusal)) => Err(shared.refused(None, &refusal)),
            Err(Refused::Denied(why)) => {
                shared.metrics.counter(Counter::AdminRefusals, &[Via::Rest.as_str(), why.reason()]).inc();
                tracing::debug!(reason = why.reason(), %why, "an administrator's request was refused");
                Err(Failure::access_denied())
            }
        }
    }
}

/// Whatever can be refused without the body is refused without it.
async fn admit(shared: &Shared, parts: &Parts, body: Body) -> Result<Administrator, Refused> {
    if !shared.authority.is_open() {
        return Err(Denied::Closed.into());
    }
    let presented = parts.headers.get(header::AUTHORIZATION).ok_or(Denied::Missing)?;
    let presented = presented.to_str().map_err(|_| SignatureError::NotSigned)?;
    // RFC 9110, 11.1: the scheme is case-insensitive.
    if let Some((scheme, token)) = presented.split_once(' ')
        && scheme.eq_ignore_ascii_case("bearer")
    {
        let actor = shared.authority.bearer(token.trim(), Via::Rest).ok_or(Denied::Wrong)?;
        return Ok(Administrator { actor, body: read(shared, parts, body).await? });
    }
    let signature = Signature::parse(presented, &parts.headers)?;
    signature.check_time(shared.clock.wall_ms())?;
    let secret = shared.authority.secret_of(signature.access_key_id()).ok_or(Denied::UnknownAccessKey)?;
    let body = read(shared, parts, body).await?;
    // What was signed is what was asked for, the stage's prefix included.
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    signature.check(secret, &parts.method, uri, &parts.headers, &body, shared.is_encrypted)?;
    Ok(Administrator { actor: Actor { name: signature.access_key_id().to_owned(), via: Via::Rest }, body })
}

async fn read(shared: &Shared, parts: &Parts, body: Body) -> Result<Bytes, Refused> {
    let leave = parts.extensions.get::<Arc<LeaveSignal>>().map(Arc::clone).ok_or(Refused::Body(Refusal::Internal))?;
    let reading = Reading { limit: shared.max_admin_body, timeout: shared.body_timeout, leave };
    reading.small(body).await.map_err(Refused::Body)
}
