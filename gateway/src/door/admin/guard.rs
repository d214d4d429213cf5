//! Lets in whoever sends the admin token, before anything else of a call is read.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::status::DOMAIN;
use crate::admin::authority::Authority;
use crate::admin::{Actor, Via};
use crate::door::certificate::ClientCertificate;
use crate::metrics::{Counter, Metrics};

/// Puts the [`Actor`] into each call that it lets in.
#[derive(Clone)]
pub(super) struct Guard {
    authority: Arc<Authority>,
    metrics: Arc<Metrics>,
}

/// Why a call is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Denied {
    #[error(
        "nobody may administer this gateway from outside: set admin.token_file, or use the command line on its registry"
    )]
    Closed,
    #[error("no admin token: send it as metadata `authorization: Bearer TOKEN`")]
    Missing,
    #[error("the authorization is malformed: send `authorization: Bearer TOKEN`")]
    Malformed,
    #[error("the admin token is wrong")]
    Wrong,
}

impl Denied {
    fn row(self) -> (Code, &'static str) {
        match self {
            Self::Closed => (Code::PermissionDenied, "admin_closed"),
            Self::Missing => (Code::Unauthenticated, "admin_token_missing"),
            Self::Malformed => (Code::Unauthenticated, "admin_token_malformed"),
            Self::Wrong => (Code::Unauthenticated, "admin_token_wrong"),
        }
    }
}

impl Guard {
    pub(super) fn new(authority: Arc<Authority>, metrics: Arc<Metrics>) -> Self {
        Self { authority, metrics }
    }

    fn actor(&self, metadata: &MetadataMap) -> Result<Actor, Denied> {
        if !self.authority.is_open() {
            return Err(Denied::Closed);
        }
        let value = metadata.get("authorization").ok_or(Denied::Missing)?;
        let text = value.to_str().map_err(|_| Denied::Malformed)?;
        let (scheme, token) = text.split_once(' ').ok_or(Denied::Malformed)?;
        // RFC 9110, 11.1: the scheme is case-insensitive.
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denied::Malformed);
        }
        self.authority.bearer(token.trim(), Via::Grpc).ok_or(Denied::Wrong)
    }
}

impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        match self.actor(request.metadata()) {
            Ok(actor) => {
                let actor = actor.with_certificate(request.extensions().get::<ClientCertificate>());
                request.extensions_mut().insert(actor);
                Ok(request)
            }
            Err(denied) => {
                let (code, reason) = denied.row();
                self.metrics.counter(Counter::AdminRefusals, &[Via::Grpc.as_str(), reason]).inc();
                tracing::debug!(reason, "an administrator's call was refused");
                let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
                Err(Status::with_error_details(code, denied.to_string(), details))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Secret;

    fn call(authority: Authority, authorization: Option<&str>) -> Result<Request<()>, Code> {
        let mut request = Request::new(());
        if let Some(value) = authorization {
            request.metadata_mut().insert("authorization", value.parse().expect("ASCII"));
        }
        Guard::new(Arc::new(authority), Metrics::new()).call(request).map_err(|status| status.code())
    }

    #[test]
    fn a_gateway_without_credentials_says_that_nobody_may() {
        for authorization in [None, Some("Bearer anything")] {
            let denied = call(Authority::new(None, BTreeMap::new()), authorization);
            assert_eq!(denied.map(|_| ()), Err(Code::PermissionDenied));
        }
    }

    #[test]
    fn whoever_is_let_in_is_known_to_the_call() {
        let authority = || Authority::new(Some(&Secret::from("a-token-of-some-length")), BTreeMap::new());
        let request = call(authority(), Some("Bearer  a-token-of-some-length ")).expect("is let in");
        let actor = request.extensions().get::<Actor>().expect("an actor");
        assert_eq!((actor.name.as_str(), actor.via), ("admin-token", Via::Grpc));
        assert_eq!(call(authority(), None).map(|_| ()), Err(Code::Unauthenticated));
    }

    #[test]
    fn with_access_keys_alone_no_token_is_right() {
        let keys = BTreeMap::from([("id".to_owned(), Secret::from("a-secret-of-some-length"))]);
        let denied = call(Authority::new(None, keys), Some("Bearer a-secret-of-some-length"));
        assert_eq!(denied.map(|_| ()), Err(Code::Unauthenticated));
    }
}
