//! What a page could not do, and the page that says so.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::fields::Misfilled;
use super::layout;
use crate::admin::AdminError;
use crate::registry::RegistryError;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// What was asked of it could not be done.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// There is no such thing.
    #[error("There is no {0} of this id. It may have been deleted.")]
    Missing(&'static str),
}

/// A page, or the one that says why there is none.
pub(super) type Answer = Result<Response, Failure>;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Missing(_) | Self::Admin(AdminError::Registry(RegistryError::NotFound { .. })) => {
                StatusCode::NOT_FOUND
            }
            Self::Admin(error) if misfilled(error) => StatusCode::BAD_REQUEST,
            Self::Admin(AdminError::Registry(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Admin(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::warn!(error = %self, "the console could not do what it was asked for");
        }
        layout::problem(status, &self.to_string()).into_response()
    }
}

fn misfilled(error: &AdminError) -> bool {
    matches!(error, AdminError::Registry(RegistryError::Invalid { .. }))
}

/// Why a form could not be taken: its own fault, to be shown in it, or something else.
pub(super) enum Refused {
    /// Something in it has to be changed.
    Misfilled(String),
    /// Nothing in it would help.
    Failed(Failure),
}

impl From<Misfilled> for Refused {
    fn from(misfilled: Misfilled) -> Self {
        Self::Misfilled(misfilled.to_string())
    }
}

impl From<AdminError> for Refused {
    fn from(error: AdminError) -> Self {
        if misfilled(&error) { Self::Misfilled(error.to_string()) } else { Self::Failed(error.into()) }
    }
}
