//! Applications, keys and the audit log as `AdminService` writes them, and back: the gateway reads requests and writes
//! answers, the command line does the opposite.

mod players;

use headgate_proto::admin::v1 as wire;
use prost_types::Timestamp;
use uuid::Uuid;

pub(crate) use self::players::{erasure, suppression};
pub(super) use self::players::{erasure_message, suppression_message};
use crate::registry::{Application, AuditEntry, Authorization, Environment, Limits, RegistryError, Route, Scopes};

// What `google.protobuf.Timestamp` can say: the years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

pub(super) fn invalid(field: &'static str, problem: &str) -> RegistryError {
    RegistryError::Invalid { field, problem: problem.to_owned() }
}

/// An id. The text is not repeated where it is none: it may be a key.
pub(super) fn id(field: &'static str, text: &str) -> Result<Uuid, RegistryError> {
    Uuid::parse_str(text).map_err(|_| invalid(field, "must be a UUID"))
}

/// An id, or none.
pub(super) fn optional_id(field: &'static str, text: &str) -> Result<Option<Uuid>, RegistryError> {
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}

/// A text, or none.
pub(super) fn optional_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A time in milliseconds since 1970-01-01 UTC.
pub(super) fn millis(field: &'static str, time: &Timestamp) -> Result<i64, RegistryError> {
    if !SECONDS.contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err(invalid(field, "must be a time of the years 1 to 9999"));
    }
    Ok(time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000)
}

/// A time in milliseconds since 1970-01-01 UTC, on the wire; one that the wire can't say becomes the nearest that it can.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    let seconds = ms.div_euclid(1_000).clamp(*SECONDS.start(), *SECONDS.end());
    let nanos = i32::try_from(ms.rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    Timestamp { seconds, nanos }
}

/// `None`: nothing is said of it.
pub(super) fn environment(number: i32) -> Result<Option<Environment>, RegistryError> {
    match wire::Environment::try_from(number) {
        Ok(wire::Environment::Unspecified) => Ok(None),
        Ok(wire::Environment::Dev) => Ok(Some(Environment::Dev)),
        Ok(wire::Environment::Stage) => Ok(Some(Environment::Stage)),
        Ok(wire::Environment::Prod) => Ok(Some(Environment::Prod)),
        Err(_) => Err(invalid("environment", "must be one of ENVIRONMENT_DEV, ENVIRONMENT_STAGE and ENVIRONMENT_PROD")),
    }
}

pub(crate) fn environment_number(environment: Environment) -> i32 {
    let known = match environment {
        Environment::Dev => wire::Environment::Dev,
        Environment::Stage => wire::Environment::Stage,
        Environment::Prod => wire::Environment::Prod,
    };
    known as i32
}

/// `None`: the gateway's default destination.
pub(super) fn route(number: i32) -> Result<Option<Route>, RegistryError> {
    match wire::Route::try_from(number) {
        Ok(wire::Route::Unspecified) => Ok(None),
        Ok(wire::Route::Lake) => Ok(Some(Route::Lake)),
        Ok(wire::Route::Kinesis) => Ok(Some(Route::Kinesis)),
        Ok(wire::Route::Firehose) => Ok(Some(Route::Firehose)),
        Ok(wire::Route::KinesisWithFirehoseFallback) => Ok(Some(Route::KinesisWithFirehoseFallback)),
        Ok(wire::Route::KinesisAndFirehose) => Ok(Some(Route::KinesisAndFirehose)),
        Err(_) => Err(invalid("route", "must be one of the routes, or ROUTE_UNSPECIFIED for the gateway's default")),
    }
}

pub(crate) fn route_number(route: Option<Route>) -> i32 {
    let known = match route {
        None => wire::Route::Unspecified,
        Some(Route::Lake) => wire::Route::Lake,
        Some(Route::Kinesis) => wire::Route::Kinesis,
        Some(Route::Firehose) => wire::Route::Firehose,
        Some(Route::KinesisWithFirehoseFallback) => wire::Route::KinesisWithFirehoseFallback,
        Some(Route::KinesisAndFirehose) => wire::Route::KinesisAndFirehose,
    };
    known as i32
}

/// None at all: what a key may do that says nothing.
pub(super) fn scopes(numbers: &[i32]) -> Result<Scopes, RegistryError> {
    if numbers.is_empty() {
        return Ok(Scopes::default());
    }
    let mut scopes = Scopes { ingest_client: false, ingest_server: false, read: false };
    for number in numbers {
        match wire::Scope::try_from(*number) {
            Ok(wire::Scope::IngestClient) => scopes.ingest_client = true,
            Ok(wire::Scope::IngestServer) => scopes.ingest_server = true,
            Ok(wire::Scope::Read) => scopes.read = true,
            Ok(wire::Scope::Unspecified) | Err(_) => {
                let problem = "must be some of SCOPE_INGEST_CLIENT, SCOPE_INGEST_SERVER and SCOPE_READ";
                return Err(invalid("scopes", problem));
            }
        }
    }
    Ok(scopes)
}

pub(crate) fn scope_numbers(scopes: Scopes) -> Vec<i32> {
    let Scopes { ingest_client, ingest_server, read } = scopes;
    let held = [
        (ingest_client, wire::Scope::IngestClient),
        (ingest_server, wire::Scope::IngestServer),
        (read, wire::Scope::Read),
    ];
    held.into_iter().filter_map(|(held, scope)| held.then_some(scope as i32)).collect()
}

pub(super) fn limits(limits: wire::Limits) -> Limits {
    let wire::Limits { events_per_second, events_burst, bytes_per_second, bytes_burst } = limits;
    Limits { events_per_second, events_burst, bytes_per_second, bytes_burst }
}

pub(crate) fn limits_message(limits: Limits) -> wire::Limits {
    let Limits { events_per_second, events_burst, bytes_per_second, bytes_burst } = limits;
    wire::Limits { events_per_second, events_burst, bytes_per_second, bytes_burst }
}

pub(super) fn application_message(application: Application) -> wire::Application {
    wire::Application {
        application_id: application.application_id.to_string(),
        name: application.name,
        description: application.description.unwrap_or_default(),
        created_at: Some(timestamp(application.created_at_ms)),
        updated_at: Some(timestamp(application.updated_at_ms)),
        limits: Some(limits_message(application.limits)),
        environment: environment_number(application.environment),
        route: route_number(application.route),
    }
}

/// What a gateway answered with.
///
/// # Errors
/// [`RegistryError::Invalid`] with the field that can't be understood; so of those that follow.
pub(crate) fn application(message: wire::Application) -> Result<Application, RegistryError> {
    Ok(Application {
        application_id: id("application_id", &message.application_id)?,
        name: message.name,
        description: optional_text(message.description),
        limits: message.limits.map(limits).unwrap_or_default(),
        route: route(message.route)?,
        environment: environment(message.environment)?.unwrap_or_default(),
        created_at_ms: required_millis("created_at", message.created_at.as_ref())?,
        updated_at_ms: required_millis("updated_at", message.updated_at.as_ref())?,
    })
}

pub(super) fn authorization_message(key: Authorization) -> wire::Authorization {
    wire::Authorization {
        api_key_id: key.api_key_id.to_string(),
        application_id: key.application_id.to_string(),
        name: key.name,
        description: key.description.unwrap_or_default(),
        masked_key: key.masked_key,
        enabled: key.enabled,
        created_at: Some(timestamp(key.created_at_ms)),
        updated_at: Some(timestamp(key.updated_at_ms)),
        expires_at: key.expires_at_ms.map(timestamp),
        scopes: scope_numbers(key.scopes),
        last_used_at: key.last_used_at_ms.map(timestamp),
    }
}

/// See [`application`].
pub(crate) fn authorization(message: wire::Authorization) -> Result<Authorization, RegistryError> {
    Ok(Authorization {
        api_key_id: id("api_key_id", &message.api_key_id)?,
        application_id: id("application_id", &message.application_id)?,
        name: message.name,
        description: optional_text(message.description),
        masked_key: message.masked_key,
        enabled: message.enabled,
        expires_at_ms: optional_millis("expires_at", message.expires_at.as_ref())?,
        scopes: scopes(&message.scopes)?,
        last_used_at_ms: optional_millis("last_used_at", message.last_used_at.as_ref())?,
        created_at_ms: required_millis("created_at", message.created_at.as_ref())?,
        updated_at_ms: required_millis("updated_at", message.updated_at.as_ref())?,
    })
}

pub(super) fn audit_message(entry: AuditEntry) -> wire::AuditEntry {
    wire::AuditEntry {
        id: entry.id.to_string(),
        at: Some(timestamp(entry.at_ms)),
        actor: entry.actor,
        via: entry.via,
        act: entry.act,
        application_id: entry.application_id.map(|id| id.to_string()).unwrap_or_default(),
        subject: entry.subject.unwrap_or_default(),
        detail: entry.detail,
    }
}

/// See [`application`].
pub(crate) fn audit_entry(message: wire::AuditEntry) -> Result<AuditEntry, RegistryError> {
    Ok(AuditEntry {
        id: id("id", &message.id)?,
        at_ms: required_millis("at", message.at.as_ref())?,
        actor: message.actor,
        via: message.via,
        act: message.act,
        application_id: optional_id("application_id", &message.application_id)?,
        subject: optional_text(message.subject),
        detail: message.detail,
    })
}

pub(super) fn optional_millis(field: &'static str, time: Option<&Timestamp>) -> Result<Option<i64>, RegistryError> {
    time.map(|time| millis(field, time)).transpose()
}

fn required_millis(field: &'static str, time: Option<&Timestamp>) -> Result<i64, RegistryError> {
    optional_millis(field, time)?.ok_or_else(|| invalid(field, "is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_application() -> Application {
        Application {
            application_id: Uuid::from_u128(7),
            name: "Skyfall".to_owned(),
            description: None,
            limits: Limits { events_per_second: Some(5), bytes_burst: Some(1 << 20), ..Limits::default() },
            route: None,
            environment: Environment::Prod,
            created_at_ms: 1_700_000_000_123,
            updated_at_ms: -1,
        }
    }

    #[test]
    fn an_application_is_read_as_it_was_written() {
        let routes = Route::ALL.into_iter().map(Some).chain([None]);
        for (route, environment) in routes.flat_map(|route| Environment::ALL.map(|environment| (route, environment))) {
            let one = Application { route, environment, ..some_application() };
            assert_eq!(application(application_message(one.clone())).expect("is read"), one);
        }
    }

    #[test]
    fn a_key_and_an_audit_entry_are_read_as_they_were_written() {
        for (scopes, expires_at_ms) in [("ingest-client", None), ("ingest-server,read", Some(9)), ("read", Some(0))] {
            let key = Authorization {
                api_key_id: Uuid::from_u128(8),
                application_id: Uuid::from_u128(7),
                name: "server".to_owned(),
                description: Some("eu".to_owned()),
                masked_key: "hg_****abcd".to_owned(),
                enabled: true,
                expires_at_ms,
                scopes: scopes.parse().expect("scopes"),
                last_used_at_ms: expires_at_ms,
                created_at_ms: 1,
                updated_at_ms: 2,
            };
            assert_eq!(authorization(authorization_message(key.clone())).expect("is read"), key);
        }
        let entry = AuditEntry {
            id: Uuid::from_u128(9),
            at_ms: 3,
            actor: "admin-token".to_owned(),
            via: "grpc".to_owned(),
            act: "key.disable".to_owned(),
            application_id: None,
            subject: Some("it".to_owned()),
            detail: "server".to_owned(),
        };
        assert_eq!(audit_entry(audit_message(entry.clone())).expect("is read"), entry);
    }

    #[test]
    fn what_can_not_be_understood_names_its_field() {
        let field = |error: RegistryError| match error {
            RegistryError::Invalid { field, .. } => field,
            other => panic!("another error: {other}"),
        };
        assert_eq!(environment(4).map_err(field), Err("environment"));
        assert_eq!(route(-1).map_err(field), Err("route"));
        for numbers in [[0], [4]] {
            assert_eq!(scopes(&numbers).map_err(field), Err("scopes"));
        }
        for time in [Timestamp { seconds: i64::MAX, nanos: 0 }, Timestamp { seconds: 0, nanos: -1 }] {
            assert_eq!(millis("expires_at", &time).map_err(field), Err("expires_at"));
        }
        assert_eq!(timestamp(i64::MAX).seconds, *SECONDS.end());
        let error = id("api_key_id", "hg_secret").expect_err("no id").to_string();
        assert!(!error.contains("hg_secret"), "{error}");
    }
}
