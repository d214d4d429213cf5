//! `POST /v1/logs`: OTLP over HTTP, in protobuf or in JSON. Errors are `google.rpc.Status` in the request's format, as OTLP
//! asks.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost::Message;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use super::Shared;
use super::body::Reading;
use super::events::{presented_key, sent};
use super::failure::{Failure, whole_seconds};
use crate::admission::budget::Permit;
use crate::admission::key_cache::Grant;
use crate::admission::refusal::Refusal;
use crate::door::connection::LeaveSignal;
use crate::door::grpc::status::status;
use crate::door::otlp::{self, Export};
use crate::registry::Purpose;

pub(super) const PATH: &str = "/v1/logs";

/// What a request is written in, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

impl Format {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        // RFC 9110, 8.3.1: in any case, and parameters may follow.
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let formats = [Self::Protobuf, Self::Json];
        formats.into_iter().find(|format| media_type.eq_ignore_ascii_case(format.media_type()))
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    fn response(self, status: StatusCode, body: Bytes) -> Response {
        let mut response = (status, body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type()));
        response
    }
}

/// Why a request is not taken.
enum Refused {
    /// One of the reasons of every door.
    By(Refusal),
    /// The body is no request in JSON; says where it stops being one.
    NoRequest(String),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::By(refusal)
    }
}

/// Reads the request, takes its log records in and waits for their verdicts.
pub(super) async fn export(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let format = Format::of(request.headers());
    match admit(&shared, request, format).await {
        Ok((format, answer, permit)) => format.response(StatusCode::OK, sent(&shared, answer, permit)),
        Err((application, refused)) => {
            let (refusal, said) = match refused {
                Refused::By(refusal) => (refusal, None),
                Refused::NoRequest(why) => {
                    (Refusal::Undecodable { why: "the body is no request of log records in JSON" }, Some(why))
                }
            };
            shared.intake.refused(application, &refusal);
            failure(format, &refusal, said)
        }
    }
}

/// The key first: whoever has none learns nothing else and costs nothing else.
async fn admit(
    shared: &Shared,
    request: Request,
    format: Option<Format>,
) -> Result<(Format, Vec<u8>, Option<Permit>), (Option<Uuid>, Refused)> {
    let key = presented_key(request.headers()).map_err(|refusal| (None, refusal.into()))?;
    let admitted = shared.intake.authenticate(key).await;
    let grant = admitted.map_err(|(application, refusal)| (application, refusal.into()))?;
    let refused = |refused| (Some(grant.app().id()), refused);
    let format = format.ok_or(Refusal::UnsupportedMediaType { expected: "application/x-protobuf or application/json" });
    let format = format.map_err(|refusal| refused(refusal.into()))?;
    let (answer, permit) = take(shared, &grant, request, format).await.map_err(refused)?;
    Ok((format, answer, permit))
}

async fn take(
    shared: &Shared,
    grant: &Grant,
    request: Request,
    format: Format,
) -> Result<(Vec<u8>, Option<Permit>), Refused> {
    grant.check(Purpose::SendBatch)?;
    let (parts, body) = request.into_parts();
    let leave = parts.extensions.get::<Arc<LeaveSignal>>().map(Arc::clone).ok_or(Refusal::Internal)?;
    let arrived = shared.clock.now();
    let reading = Reading { limit: shared.max_body, timeout: shared.body_timeout, leave };
    let (body, mut permit) = reading.batch(&parts.headers, body, grant.app()).await?;
    let request = match format {
        Format::Protobuf => body,
        Format::Json => {
            let request = otlp::json::to_protobuf(&body).map_err(|error| Refused::NoRequest(error.to_string()))?;
            permit.grow(request.len().saturating_sub(body.len()))?;
            // It would wait for the verdicts with them.
            drop(body);
            if request.len() > shared.max_body {
                let (size, limit) = (request.len() as u64, shared.max_body as u64);
                return Err(Refusal::MessageTooLarge { size, limit }.into());
            }
            Bytes::from(request)
        }
    };
    let export = Export { grant, request, permit, arrived, limit: shared.max_body };
    let (response, permit) = export.take(&shared.intake, &shared.otlp_batches).await?;
    let answer = match format {
        Format::Protobuf => response.encode_to_vec(),
        Format::Json => response.to_json().into_bytes(),
    };
    Ok((answer, permit))
}

/// `said`: where there is more to say than the refusal does. Who wrote in no format of OTLP is answered as by the REST API.
pub(super) fn failure(format: Option<Format>, refusal: &Refusal, said: Option<String>) -> Response {
    let Some(format) = format else { return Failure::from(refusal).into_response() };
    let row = refusal.row();
    let status = match said {
        Some(said) => tonic::Status::new(Code::InvalidArgument, said),
        None => status(refusal),
    };
    let body = match format {
        // tonic keeps the details as an encoded `google.rpc.Status`: the answer's body.
        Format::Protobuf if !status.details().is_empty() => Bytes::copy_from_slice(status.details()),
        Format::Protobuf => {
            let (code, message) = (status.code() as i32, status.message().to_owned());
            tonic_types::pb::Status { code, message, details: Vec::new() }.encode_to_vec().into()
        }
        Format::Json => json!({"code": status.code() as i32, "message": status.message()}).to_string().into(),
    };
    let code = StatusCode::from_u16(row.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = format.response(code, body);
    if let Some(delay) = refusal.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(delay));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_the_content_type_says_in_any_case_and_with_parameters() {
        let format = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            Format::of(&headers)
        };
        assert_eq!(format("application/x-protobuf"), Some(Format::Protobuf));
        assert_eq!(format("Application/JSON; charset=utf-8"), Some(Format::Json));
        for other in ["", "text/plain", "application/grpc", "application/jsonl", "application/protobuf"] {
            assert_eq!(format(other), None, "{other}");
        }
        assert_eq!(Format::of(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn a_refusal_is_a_status_in_the_requests_format_with_its_hint() {
        for refusal in Refusal::examples() {
            for format in [Format::Protobuf, Format::Json] {
                let response = failure(Some(format), &refusal, None);
                assert_eq!(response.status().as_u16(), refusal.row().http);
                let hint = response.headers().contains_key(header::RETRY_AFTER);
                assert_eq!(hint, refusal.retry_after().is_some(), "{refusal:?}");
                let body = axum::body::to_bytes(response.into_body(), 4_096).await.expect("is short");
                let (code, message) = match format {
                    Format::Protobuf => {
                        let status = tonic_types::pb::Status::decode(body).expect("a google.rpc.Status");
                        assert!(!status.details.is_empty(), "{refusal:?}");
                        (i64::from(status.code), status.message)
                    }
                    Format::Json => {
                        let status: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                        let message = status["message"].as_str().expect("a text").to_owned();
                        (status["code"].as_i64().expect("a number"), message)
                    }
                };
                assert_eq!((code, message), (refusal.row().grpc as i64, refusal.to_string()));
            }
        }
    }
}
