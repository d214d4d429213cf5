//! The registry's statements, and its rows as values.

use std::error::Error;
use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, named_params, params};
use uuid::Uuid;

use super::pool::Failure;
use crate::registry::KeyHash;
use crate::registry::{
    Application, Authorization, KeyRecord, Limits, NewApplication, NewAuthorization, RegistryError, Route,
};

/// One key by its hash, with its application.
pub(super) const SELECT_KEY: &str = "
    SELECT k.api_key_id, k.application_id, k.name, k.description, k.masked_key, k.enabled, k.expires_at_ms, k.scopes,
           k.last_used_at_ms, k.created_at_ms, k.updated_at_ms, k.key_hash, a.name AS application_name,
           a.description AS application_description, a.events_per_second, a.events_burst, a.bytes_per_second,
           a.bytes_burst, a.route, a.environment, a.created_at_ms AS application_created_at_ms,
           a.updated_at_ms AS application_updated_at_ms
    FROM authorizations AS k JOIN applications AS a USING (application_id) WHERE k.key_hash = ?1";

/// Every application, oldest first.
pub(super) const SELECT_APPLICATIONS: &str = "SELECT * FROM applications ORDER BY created_at_ms, rowid";

/// The keys of one application, oldest first.
pub(super) const SELECT_KEYS_OF_APPLICATION: &str =
    "SELECT * FROM authorizations WHERE application_id = ?1 ORDER BY created_at_ms, rowid";

/// Removes an application; its keys go with it.
pub(super) const DELETE_APPLICATION: &str = "DELETE FROM applications WHERE application_id = ?1";

/// Enables or disables a key.
pub(super) const SET_ENABLED: &str = "UPDATE authorizations SET enabled = ?1, updated_at_ms = ?2 WHERE api_key_id = ?3";
pub(super) const SET_SCOPES: &str = "UPDATE authorizations SET scopes = ?1, updated_at_ms = ?2 WHERE api_key_id = ?3";

/// Has a key expire at an instant, unless it does before.
pub(super) const SHORTEN: &str = "
    UPDATE authorizations SET expires_at_ms = min(coalesce(expires_at_ms, ?1), ?1), updated_at_ms = ?2
    WHERE api_key_id = ?3";

/// Notes when a key was used last.
pub(super) const NOTE_USED: &str = "
    UPDATE authorizations SET last_used_at_ms = max(coalesce(last_used_at_ms, ?1), ?1)
    WHERE api_key_id = ?2 AND application_id = ?3";

/// Removes a key.
pub(super) const DELETE_KEY: &str = "DELETE FROM authorizations WHERE api_key_id = ?1";

/// A row of applications.
pub(super) fn application(row: &Row<'_>) -> rusqlite::Result<Application> {
    Ok(Application {
        application_id: id(row, "application_id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        limits: limits(row)?,
        route: route(row)?,
        environment: named(row, "environment")?,
        created_at_ms: row.get("created_at_ms")?,
        updated_at_ms: row.get("updated_at_ms")?,
    })
}

/// A row of authorizations.
pub(super) fn authorization(row: &Row<'_>) -> rusqlite::Result<Authorization> {
    Ok(Authorization {
        api_key_id: id(row, "api_key_id")?,
        application_id: id(row, "application_id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        masked_key: row.get("masked_key")?,
        enabled: row.get("enabled")?,
        expires_at_ms: row.get("expires_at_ms")?,
        scopes: named(row, "scopes")?,
        last_used_at_ms: row.get("last_used_at_ms")?,
        created_at_ms: row.get("created_at_ms")?,
        updated_at_ms: row.get("updated_at_ms")?,
    })
}

/// A row of [`SELECT_KEY`].
pub(super) fn key_record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        authorization: authorization(row)?,
        hash: KeyHash::from_bytes(row.get("key_hash")?),
        application: Application {
            application_id: id(row, "application_id")?,
            name: row.get("application_name")?,
            description: row.get("application_description")?,
            limits: limits(row)?,
            route: route(row)?,
            environment: named(row, "environment")?,
            created_at_ms: row.get("application_created_at_ms")?,
            updated_at_ms: row.get("application_updated_at_ms")?,
        },
    })
}

pub(super) fn find_application(connection: &Connection, id: Uuid) -> Result<Application, Failure> {
    connection
        .prepare_cached("SELECT * FROM applications WHERE application_id = ?1")?
        .query_row([id.to_string()], application)
        .optional()?
        .ok_or_else(|| RegistryError::NotFound { what: "application", id }.into())
}

pub(super) fn find_key(connection: &Connection, id: Uuid) -> Result<Authorization, Failure> {
    connection
        .prepare_cached("SELECT * FROM authorizations WHERE api_key_id = ?1")?
        .query_row([id.to_string()], authorization)
        .optional()?
        .ok_or_else(|| RegistryError::NotFound { what: "key", id }.into())
}

pub(super) fn insert_application(connection: &Connection, new: &Application) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO applications VALUES (:id, :name, :description, :events_per_second, :events_burst,
                                          :bytes_per_second, :bytes_burst, :now, :now, :route, :environment)",
        named_params! {
            ":id": new.application_id.to_string(),
            ":name": new.name,
            ":description": new.description,
            ":events_per_second": new.limits.events_per_second,
            ":events_burst": new.limits.events_burst,
            ":bytes_per_second": new.limits.bytes_per_second.map(u64::cast_signed),
            ":bytes_burst": new.limits.bytes_burst.map(u64::cast_signed),
            ":now": new.created_at_ms,
            ":route": new.route.map(Route::as_str),
            ":environment": new.environment.as_str(),
        },
    )?;
    Ok(())
}

pub(super) fn update_application(
    connection: &Connection,
    id: Uuid,
    change: &NewApplication,
    now: i64,
) -> Result<(), Failure> {
    connection.execute(
        "UPDATE applications
         SET name = :name, description = :description, events_per_second = :events_per_second,
             events_burst = :events_burst, bytes_per_second = :bytes_per_second, bytes_burst = :bytes_burst,
             route = :route, environment = :environment, updated_at_ms = :now
         WHERE application_id = :id",
        named_params! {
            ":id": id.to_string(),
            ":name": change.name,
            ":description": change.description,
            ":events_per_second": change.limits.events_per_second,
            ":events_burst": change.limits.events_burst,
            ":bytes_per_second": change.limits.bytes_per_second.map(u64::cast_signed),
            ":bytes_burst": change.limits.bytes_burst.map(u64::cast_signed),
            ":now": now,
            ":route": change.route.map(Route::as_str),
            ":environment": change.environment.as_str(),
        },
    )?;
    Ok(())
}

pub(super) fn insert_key(connection: &Connection, new: NewAuthorization, now: i64) -> Result<Authorization, Failure> {
    let key = Authorization {
        api_key_id: Uuid::new_v4(),
        application_id: new.application_id,
        name: new.name,
        description: new.description,
        masked_key: new.masked_key,
        enabled: true,
        expires_at_ms: new.expires_at_ms,
        scopes: new.scopes,
        last_used_at_ms: None,
        created_at_ms: now,
        updated_at_ms: now,
    };
    let inserted = connection.execute(
        "INSERT INTO authorizations VALUES (?1, ?2, ?3, ?4, ?5, ?6, TRUE, ?7, ?8, ?8, ?9, NULL)",
        params![
            key.api_key_id.to_string(),
            key.application_id.to_string(),
            key.name,
            key.description,
            new.hash.as_bytes(),
            key.masked_key,
            key.expires_at_ms,
            now,
            key.scopes.to_string(),
        ],
    );
    match inserted {
        Ok(_) => Ok(key),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(broken_rule(&key, error))
        }
        Err(error) => Err(error.into()),
    }
}

fn broken_rule(key: &Authorization, error: rusqlite::Error) -> Failure {
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
            RegistryError::NotFound { what: "application", id: key.application_id }.into()
        }
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE) => {
            let problem = "this key was added before: make another one".to_owned();
            RegistryError::Invalid { field: "key", problem }.into()
        }
        _ => error.into(),
    }
}

fn limits(row: &Row<'_>) -> rusqlite::Result<Limits> {
    Ok(Limits {
        events_per_second: row.get("events_per_second")?,
        events_burst: row.get("events_burst")?,
        bytes_per_second: row.get::<_, Option<i64>>("bytes_per_second")?.map(i64::cast_unsigned),
        bytes_burst: row.get::<_, Option<i64>>("bytes_burst")?.map(i64::cast_unsigned),
    })
}

fn route(row: &Row<'_>) -> rusqlite::Result<Option<Route>> {
    let index = row.as_ref().column_index("route")?;
    if row.get_ref(index)?.as_str_or_null()?.is_none() { Ok(None) } else { named(row, "route").map(Some) }
}

/// What is kept by its name.
pub(super) fn named<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let index = row.as_ref().column_index(column)?;
    let text = row.get_ref(index)?.as_str()?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error)))
}

/// Whether the file is well, and only what one row holds can't be understood.
pub(super) fn is_bad_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}

pub(super) fn id(row: &Row<'_>, column: &str) -> rusqlite::Result<Uuid> {
    named(row, column)
}
