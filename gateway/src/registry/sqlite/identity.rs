//! How applications have ids hashed: a row for each that ever had.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::pool::Failure;
use super::rows::{find_application, id};
use super::schema::empty_wal;
use crate::registry::identity::NotStored;
use crate::registry::{Identity, RegistryError, UnreadableIdentity};

pub(super) const SELECT: &str = "SELECT * FROM identities ORDER BY application_id";
pub(super) const SELECT_ONE: &str = "SELECT * FROM identities WHERE application_id = ?1";
const SELECT_VERSION: &str = "SELECT version FROM identities WHERE application_id = ?1";

/// Whether it is kept: not if somebody else was quicker.
pub(super) fn put(connection: &mut Connection, identity: &Identity) -> Result<bool, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    find_application(&transaction, identity.application_id)?;
    let application = identity.application_id.to_string();
    let known: Option<u32> = transaction.query_row(SELECT_VERSION, [&application], |row| row.get(0)).optional()?;
    if known.unwrap_or(0).checked_add(1) != Some(identity.version) {
        return Ok(false);
    }
    transaction.execute(
        "INSERT INTO identities VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (application_id) DO UPDATE
         SET version = ?2, fields = ?3, secrets = ?4, changed_at_ms = ?5",
        params![
            application,
            identity.version,
            identity.stored_fields(),
            identity.stored_secrets(),
            identity.changed_at_ms
        ],
    )?;
    transaction.commit()?;
    empty_wal(connection)?;
    Ok(true)
}

/// A row that can't be understood is that application's trouble alone.
pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Result<Identity, UnreadableIdentity>> {
    let application_id = id(row, "application_id")?;
    let bad = |attribute: &'static str, problem: NotStored| UnreadableIdentity {
        application_id,
        error: RegistryError::BadRow {
            table: "identities".into(),
            row: application_id.to_string().into(),
            attribute,
            problem: problem.to_string().into(),
        },
    };
    let (version, changed_at_ms) = (row.get("version")?, row.get("changed_at_ms")?);
    let (fields, secrets): (String, String) = (row.get("fields")?, row.get("secrets")?);
    let read = || {
        let fields = Identity::fields_of(&fields).map_err(|error| bad("fields", error))?;
        let secrets = Identity::secrets_of(&secrets).map_err(|error| bad("secrets", error))?;
        Ok(Identity { application_id, version, fields, secrets, changed_at_ms })
    };
    Ok(read())
}
