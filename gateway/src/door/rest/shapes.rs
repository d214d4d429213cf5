//! The shapes of the API's answers and requests, with AWS's names.

use std::time::{Duration, UNIX_EPOCH};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::failure::Failure;
use crate::registry::{Application, Authorization};

/// An application.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ApplicationShape {
    application_id: Uuid,
    application_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    updated_at: String,
    created_at: String,
}

impl From<Application> for ApplicationShape {
    fn from(application: Application) -> Self {
        Self {
            application_id: application.application_id,
            application_name: application.name,
            description: application.description,
            updated_at: time(application.updated_at_ms),
            created_at: time(application.created_at_ms),
        }
    }
}

/// A list of applications.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ApplicationsShape {
    pub(super) applications: Vec<ApplicationShape>,
    pub(super) count: usize,
}

/// An authorization: an API key. It has no `Debug`: the key may be in it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AuthorizationShape {
    api_key_id: Uuid,
    api_key_value: String,
    api_key_name: String,
    application_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_description: Option<String>,
    created_at: String,
    updated_at: String,
    enabled: bool,
}

impl AuthorizationShape {
    /// With its key, which can be read this once.
    pub(super) fn with_key(authorization: Authorization, key: &str) -> Self {
        Self { api_key_value: key.to_owned(), ..Self::from(authorization) }
    }
}

impl From<Authorization> for AuthorizationShape {
    fn from(authorization: Authorization) -> Self {
        Self {
            api_key_id: authorization.api_key_id,
            api_key_value: authorization.masked_key,
            api_key_name: authorization.name,
            application_id: authorization.application_id,
            api_key_description: authorization.description,
            created_at: time(authorization.created_at_ms),
            updated_at: time(authorization.updated_at_ms),
            enabled: authorization.enabled,
        }
    }
}

/// A list of authorizations.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AuthorizationsShape {
    pub(super) authorizations: Vec<AuthorizationShape>,
    pub(super) count: usize,
}

/// The path of an application. What is no id is nobody's.
#[derive(Debug, Deserialize)]
pub(super) struct OfApplication {
    application_id: String,
}

impl OfApplication {
    pub(super) fn id(&self) -> Option<Uuid> {
        self.application_id.parse().ok()
    }
}

/// The path of an authorization.
#[derive(Debug, Deserialize)]
pub(super) struct OfAuthorization {
    application_id: String,
    api_key_id: String,
}

impl OfAuthorization {
    /// The application's id and the key's.
    pub(super) fn ids(&self) -> Option<(Uuid, Uuid)> {
        Some((self.application_id.parse().ok()?, self.api_key_id.parse().ok()?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfApplication {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        of_path(parts, state).await
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfAuthorization {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        of_path(parts, state).await
    }
}

async fn of_path<P, S>(parts: &mut Parts, state: &S) -> Result<P, Failure>
where
    P: DeserializeOwned + Send,
    S: Send + Sync,
{
    let path = Path::<P>::from_request_parts(parts, state).await;
    path.map(|Path(path)| path).map_err(|_| Failure::bad_request("the path is not UTF-8"))
}

/// A request's name and description.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) description: Option<String>,
}

impl Named {
    /// Reads `{"Name": string, "Description"?: string}`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Failure> {
        let mut members = members(body)?;
        let Some(Value::String(name)) = members.remove("Name").filter(|name| *name != "") else {
            return Err(Failure::invalid_parameter("Name is required and must be a string"));
        };
        // To the AWS solution, what is false in JavaScript is not there.
        let description = match members.remove("Description") {
            None | Some(Value::Null | Value::Bool(false)) => None,
            Some(Value::Number(zero)) if zero.as_f64() == Some(0.0) => None,
            Some(Value::String(description)) => Some(description),
            Some(_) => return Err(Failure::invalid_parameter("Description must be a string")),
        };
        Ok(Self { name, description })
    }
}

/// Reads `{"Enabled": bool}`.
pub(super) fn enabled(body: &[u8]) -> Result<bool, Failure> {
    match members(body)?.get("Enabled") {
        Some(Value::Bool(enabled)) => Ok(*enabled),
        _ => Err(Failure::invalid_parameter("Enabled is required and must be a boolean")),
    }
}

/// The members of a request's body. No body at all has none, nor has an array: neither is malformed to the AWS solution.
fn members(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(Value::Array(_)) => Ok(Map::new()),
        Ok(_) => Err(Failure::bad_request("the body must be a JSON object")),
        Err(error) => Err(Failure::bad_request(format!("the body is not JSON: {error}"))),
    }
}

/// A time as the API shows it: `YYYY-MM-DDTHH:MM:SSZ`.
pub(super) fn time(epoch_ms: i64) -> String {
    // Rows of other systems may say anything; the last second of the year 9999 is the last that has this form.
    let since_epoch = Duration::from_millis(u64::try_from(epoch_ms).unwrap_or(0).min(253_402_300_799_000));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(1_737_927_950_999), "2025-01-26T21:45:50Z");
    }

    #[test]
    fn a_name_is_a_text_and_so_is_a_description() {
        let read = |body: &str| Named::read(body.as_bytes());
        let named = |name: &str, description: Option<&str>| {
            Ok(Named { name: name.to_owned(), description: description.map(str::to_owned) })
        };
        assert_eq!(read(r#"{"Name":"a"}"#), named("a", None));
        assert_eq!(read(r#"{"Name":"a","Description":"b","More":1}"#), named("a", Some("b")));
        for falsy in ["null", "false", "0", "-0.0"] {
            assert_eq!(read(&format!(r#"{{"Name":"a","Description":{falsy}}}"#)), named("a", None), "{falsy}");
        }
        let name = Err(Failure::invalid_parameter("Name is required and must be a string"));
        for body in ["", "{}", "[]", r#"{"Name":1}"#, r#"{"Name":""}"#, r#"{"Name":null}"#, r#"{"name":"a"}"#] {
            assert_eq!(read(body), name, "{body}");
        }
        let description = Err(Failure::invalid_parameter("Description must be a string"));
        for wrong in ["1", "true", "{}", "[]"] {
            assert_eq!(read(&format!(r#"{{"Name":"a","Description":{wrong}}}"#)), description, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_a_bad_request() {
        for body in ["{", "\"text\"", "1", "null", "{\"Name\":\"a\"} x", "\u{feff}{}"] {
            let failure = Named::read(body.as_bytes()).expect_err(body);
            assert!(format!("{failure:?}").contains("BadRequest"), "{body}: {failure:?}");
        }
    }
}
