//! Requests that are answered beside their routes, since the gateway drains or a route broke: each in its own wire.

use axum::response::{IntoResponse, Response};
use http::{Method, Request};

use super::Shared;
use super::failure::Failure;
use super::logs::{self, Format};
use super::web::{Asked, Denied, Web};
use crate::admission::refusal::Refusal;
use crate::door::grpc::PUBLISH;

/// What a request speaks.
pub(super) enum Wire {
    /// The REST API.
    Rest,
    /// OTLP over HTTP, in a format of its own or in none.
    Logs(Option<Format>),
    /// gRPC-Web; or why it is none, which comes before every other reason.
    Web(Result<Asked, Denied>),
}

impl Wire {
    /// Of a request, by its path.
    pub(super) fn of<B>(request: &Request<B>, shared: &Shared, web: Option<&Web>) -> Self {
        if request.method() != Method::POST {
            return Self::Rest;
        }
        match (request.uri().path(), web) {
            (logs::PATH, _) if shared.otlp => Self::Logs(Format::of(request.headers())),
            (PUBLISH, Some(web)) => Self::Web(web.asked(request.headers())),
            _ => Self::Rest,
        }
    }

    /// The answer.
    pub(super) fn refused(self, shared: &Shared, refusal: &Refusal) -> Response {
        let response = match self {
            Self::Rest => Failure::from(refusal).into_response(),
            Self::Logs(format) => logs::failure(format, refusal, None),
            Self::Web(Ok(asked)) => asked.refused(refusal),
            Self::Web(Err(denied)) => return denied.response(shared),
        };
        shared.intake.refused(None, refusal);
        response
    }
}
