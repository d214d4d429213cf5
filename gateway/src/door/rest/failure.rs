//! What goes wrong, as REST clients see it: `{"error": CODE, "error_detail": TEXT}`, with the codes of the AWS solution
//! where it has one. Access that is denied says nothing more.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::answer::json;
use crate::admin::AdminError;
use crate::admission::refusal::Refusal;
use crate::registry::RegistryError;

/// When to ask again where nobody knows better.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest detail. What a client sent may be part of one.
const MAX_DETAIL: usize = 512;

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_detail: Option<&'a str>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
        }
        Self { status, code, detail: Some(detail), retry_after: None }
    }

    /// 403. Says nothing of why.
    pub(super) fn access_denied() -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "AccessDenied", detail: None, retry_after: None }
    }

    /// 403: the page is of an origin that may not call.
    pub(super) fn origin_denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", Refusal::OriginDenied.to_string())
    }

    /// 400: the body can't be read.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", detail)
    }

    /// 400: a member of the body is missing or wrong.
    pub(super) fn invalid_parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameterException", detail)
    }

    /// 404.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFoundException", detail)
    }

    /// 405.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this path does not have this method")
    }

    /// 500.
    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", detail)
    }

    fn retry_after(self, delay: Duration) -> Self {
        Self { retry_after: Some(delay), ..self }
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.row().http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = match status {
            StatusCode::FORBIDDEN => return Self::access_denied(),
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::REQUEST_TIMEOUT => "RequestTimeout",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "InternalFailure",
        };
        let failure = Self::new(status, code, refusal.to_string());
        match refusal.retry_after() {
            Some(delay) => failure.retry_after(delay),
            None => failure,
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Registry(RegistryError::NotFound { what: "application", .. }) => {
                Self::not_found("the application does not exist")
            }
            AdminError::Registry(RegistryError::NotFound { .. }) => Self::not_found("the authorization does not exist"),
            AdminError::Registry(RegistryError::Invalid { field, problem }) => {
                Self::invalid_parameter(format!("{} {problem}", parameter(field)))
            }
            AdminError::Registry(RegistryError::Unavailable(why)) => {
                tracing::warn!(%why, "an administrator's request failed: the registry can't be used");
                let detail = "the registry can't be reached";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", detail).retry_after(RETRY_AFTER)
            }
            error => {
                tracing::error!(%error, "an administrator's request failed");
                Self::internal("the request failed: the gateway's log says why")
            }
        }
    }
}

/// A registry's field as the API calls it.
fn parameter(field: &str) -> &str {
    match field {
        "name" => "Name",
        "description" => "Description",
        other => other,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &Body { error: self.code, error_detail: self.detail.as_deref() });
        if let Some(delay) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(delay));
        }
        response
    }
}

/// A hint as `Retry-After` has it: in whole seconds (RFC 9110, 10.2.3), and never less than it is.
pub(super) fn whole_seconds(delay: Duration) -> HeaderValue {
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    HeaderValue::from(seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(failure: Failure) -> (u16, Option<String>, String) {
        let response = failure.into_response();
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().expect("is text").to_owned());
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4_096).await.expect("is short");
        (status, retry_after, String::from_utf8(body.to_vec()).expect("is text"))
    }

    #[tokio::test]
    async fn every_refusal_has_the_status_of_its_row_and_a_hint_where_a_retry_can_help() {
        for refusal in Refusal::examples() {
            let (status, retry_after, body) = text(Failure::from(&refusal)).await;
            assert_eq!(status, refusal.row().http, "{refusal:?}");
            assert_eq!(retry_after.is_some(), refusal.retry_after().is_some(), "{refusal:?}");
            assert_ne!(retry_after.as_deref(), Some("0"));
            let body: serde_json::Value = serde_json::from_str(&body).expect("is JSON");
            assert_eq!(body.get("error_detail").is_none(), status == 403, "{body}");
            assert!(body["error"].is_string());
        }
        assert_eq!(text(Failure::access_denied()).await.2, r#"{"error":"AccessDenied"}"#);
    }

    #[tokio::test]
    async fn hints_are_rounded_up_to_whole_seconds() {
        for (millis, expected) in [(1, "1"), (1_000, "1"), (1_001, "2"), (90_000, "90")] {
            let refusal = Refusal::DestinationDown { retry_after: Duration::from_millis(millis) };
            assert_eq!(text(Failure::from(&refusal)).await.1.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_detail_is_bounded() {
        let failure = Failure::bad_request("é".repeat(10_000));
        assert_eq!(failure.detail.map(|detail| detail.chars().count()), Some(MAX_DETAIL));
    }
}
