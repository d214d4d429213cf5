//! What administrators are told when something can't be done: a status with `google.rpc` details.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::admin::AdminError;
use crate::registry::RegistryError;

/// Who speaks in `google.rpc.ErrorInfo`.
pub(super) const DOMAIN: &str = "headgate";

/// When a registry that is away may be asked again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Limits are a message of their own within requests.
const LIMITS: [(&str, &str); 4] = [
    ("events_per_second", "limits.events_per_second"),
    ("events_burst", "limits.events_burst"),
    ("bytes_per_second", "limits.bytes_per_second"),
    ("bytes_burst", "limits.bytes_burst"),
];

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Registry(error) => error.into(),
            AdminError::NoRandomness(_) | AdminError::Erasures(_) => internal(&error),
        }
    }
}

impl From<RegistryError> for Status {
    fn from(error: RegistryError) -> Self {
        let mut details = ErrorDetails::new();
        let (code, reason) = match &error {
            RegistryError::NotFound { what, id } => {
                details.set_resource_info(*what, id.to_string(), "", "");
                (Code::NotFound, "not_found")
            }
            RegistryError::Invalid { field, problem } => {
                let path = LIMITS.iter().find(|(name, _)| name == field).map_or(*field, |(_, path)| path);
                details.add_bad_request_violation(path, problem.as_str());
                (Code::InvalidArgument, "invalid")
            }
            RegistryError::Unavailable(_) => {
                details.set_retry_info(Some(RETRY_AFTER));
                (Code::Unavailable, "registry_unavailable")
            }
            // The operator has to mend something: trying again can't help.
            RegistryError::NotSetUp { .. }
            | RegistryError::NoBooks { .. }
            | RegistryError::NewerSchema { .. }
            | RegistryError::ForeignFile { .. } => (Code::FailedPrecondition, "registry_not_set_up"),
            RegistryError::BadRow { .. } | RegistryError::Damaged { .. } => (Code::DataLoss, "registry_damaged"),
        };
        details.set_error_info(reason, DOMAIN, HashMap::new());
        if code != Code::NotFound && code != Code::InvalidArgument {
            tracing::warn!(%error, "an administrator's call failed");
        }
        Self::with_error_details(code, error.to_string(), details)
    }
}

/// A bug, or a machine that can't go on.
pub(super) fn internal(error: &dyn std::fmt::Display) -> Status {
    tracing::error!(%error, "an administrator's call failed");
    let details = ErrorDetails::with_error_info("internal", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Internal, error.to_string(), details)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_error_has_its_code_and_says_who_speaks() {
        let text: Arc<str> = Arc::from("it");
        let path = PathBuf::from("registry.sqlite");
        let errors = [
            (RegistryError::NotFound { what: "key", id: Uuid::from_u128(7) }, Code::NotFound),
            (RegistryError::Invalid { field: "name", problem: "must not be empty".to_owned() }, Code::InvalidArgument),
            (RegistryError::Unavailable(text.clone()), Code::Unavailable),
            (RegistryError::NotSetUp { problem: text.clone(), mend: text.clone() }, Code::FailedPrecondition),
            (RegistryError::NoBooks { problem: text.clone(), mend: text.clone() }, Code::FailedPrecondition),
            (RegistryError::NewerSchema { path: path.clone(), found: 9, known: 1 }, Code::FailedPrecondition),
            (RegistryError::ForeignFile { path: path.clone() }, Code::FailedPrecondition),
            (RegistryError::Damaged { path, detail: text }, Code::DataLoss),
        ];
        for (error, code) in errors {
            let message = error.to_string();
            let status = Status::from(AdminError::from(error));
            assert_eq!((status.code(), status.message()), (code, message.as_str()));
            let details = status.get_error_details();
            assert_eq!(details.error_info().map(|info| info.domain.as_str()), Some(DOMAIN), "{code:?}");
            assert_eq!(details.retry_info().is_some(), code == Code::Unavailable, "{code:?}");
            assert_eq!(details.resource_info().is_some(), code == Code::NotFound, "{code:?}");
        }
    }

    #[test]
    fn a_broken_rule_names_the_field_of_the_request() {
        for (field, path) in [("name", "name"), ("bytes_burst", "limits.bytes_burst")] {
            let status = Status::from(RegistryError::Invalid { field, problem: "must be more".to_owned() });
            let details = status.get_error_details();
            let violations = &details.bad_request().expect("a bad request").field_violations;
            let shown: Vec<_> = violations.iter().map(|one| (one.field.as_str(), one.description.as_str())).collect();
            assert_eq!(shown, [(path, "must be more")]);
        }
    }
}
