//! The books in SQLite: tables of their own, beside those of applications and keys.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, TransactionBehavior, params};
use uuid::Uuid;

use super::pool::Failure;
use super::rows::{find_application, id, named};
use super::{RegistryError, SqliteRegistry, identity};
use crate::registry::rules::{check_player, check_schema};
use crate::registry::{
    AuditEntry, AuditQuery, Books, Identities, Identity, Revisions, Schema, SchemaMode, Suppression,
};

// Ids are version 7 UUIDs in lower case: their order is that of time, and all of them come before `~`.
const SELECT_AUDIT: &str = "SELECT * FROM audit WHERE id < coalesce(?2, '~') ORDER BY id DESC LIMIT ?1";
const SELECT_AUDIT_OF_APPLICATION: &str =
    "SELECT * FROM audit WHERE id < coalesce(?2, '~') AND application_id = ?3 ORDER BY id DESC LIMIT ?1";
const SELECT_SCHEMAS: &str = "
    SELECT * FROM schemas AS s
    WHERE (?1 IS NULL OR application_id = ?1)
      AND version = (SELECT max(version) FROM schemas
                     WHERE application_id = s.application_id AND event_type = s.event_type)
    ORDER BY application_id, event_type";
const SELECT_VERSIONS: &str =
    "SELECT * FROM schemas WHERE application_id = ?1 AND event_type = ?2 ORDER BY version DESC";
const SELECT_SUPPRESSION: &str = "SELECT * FROM suppressions WHERE application_id = ?1 AND player_id = ?2";
const SELECT_SUPPRESSIONS: &str =
    "SELECT * FROM suppressions WHERE ?1 IS NULL OR application_id = ?1 ORDER BY application_id, player_id";

#[async_trait]
impl Books for SqliteRegistry {
    async fn revisions(&self) -> Result<Revisions, RegistryError> {
        self.pool
            .run(|connection| {
                let mut select = connection.prepare_cached("SELECT revision FROM revisions WHERE book = ?1")?;
                let mut of = |book: &str| select.query_row([book], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()));
                Ok(Revisions {
                    schemas: of("schemas")?,
                    suppressions: of("suppressions")?,
                    identities: of("identities")?,
                })
            })
            .await
    }

    async fn append_audit(&self, entry: AuditEntry) -> Result<(), RegistryError> {
        self.pool.run(move |connection| insert_audit(connection, &entry)).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, RegistryError> {
        let (limit, before) = (query.clamped_limit(), text(query.before));
        let application = text(query.application_id);
        self.pool
            .run(move |connection| match application {
                Some(application) => {
                    all(connection, SELECT_AUDIT_OF_APPLICATION, params![limit, before, application], audit_entry)
                }
                None => all(connection, SELECT_AUDIT, params![limit, before], audit_entry),
            })
            .await
    }

    async fn put_schema(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
        schema: &str,
    ) -> Result<Schema, RegistryError> {
        check_schema(event_type, schema)?;
        let new = Schema {
            application_id: application,
            event_type: event_type.to_owned(),
            version: 1,
            mode,
            schema: schema.to_owned(),
            created_at_ms: self.clock.wall_ms(),
        };
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                find_application(&transaction, application)?;
                let before = latest(&transaction, application, &new.event_type)?;
                let new = Schema { version: before.map_or(1, |before| before.version + 1), ..new };
                insert_schema(&transaction, &new)?;
                transaction.commit()?;
                Ok(new)
            })
            .await
    }

    async fn schemas(&self, application: Option<Uuid>) -> Result<Vec<Schema>, RegistryError> {
        let application = text(application);
        self.pool.run(move |connection| all(connection, SELECT_SCHEMAS, params![application], schema_of)).await
    }

    async fn schema_versions(&self, application: Uuid, event_type: &str) -> Result<Vec<Schema>, RegistryError> {
        let event_type = event_type.to_owned();
        self.pool
            .run(move |connection| {
                all(connection, SELECT_VERSIONS, params![application.to_string(), event_type], schema_of)
            })
            .await
    }

    async fn set_schema_mode(
        &self,
        application: Uuid,
        event_type: &str,
        mode: SchemaMode,
    ) -> Result<Schema, RegistryError> {
        let event_type = event_type.to_owned();
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let missing = RegistryError::NotFound { what: "schema in the application", id: application };
                let before = latest(&transaction, application, &event_type)?.ok_or(missing)?;
                transaction.execute(
                    "UPDATE schemas SET mode = ?1 WHERE application_id = ?2 AND event_type = ?3 AND version = ?4",
                    params![mode.as_str(), application.to_string(), event_type, before.version],
                )?;
                transaction.commit()?;
                Ok(Schema { mode, ..before })
            })
            .await
    }

    async fn delete_schema(&self, application: Uuid, event_type: &str) -> Result<bool, RegistryError> {
        let event_type = event_type.to_owned();
        let delete = "DELETE FROM schemas WHERE application_id = ?1 AND event_type = ?2";
        self.pool
            .run(move |connection| Ok(connection.execute(delete, params![application.to_string(), event_type])? > 0))
            .await
    }

    async fn suppress(&self, application: Uuid, player_id: &str) -> Result<Suppression, RegistryError> {
        check_player(player_id)?;
        let (player_id, now) = (player_id.to_owned(), self.clock.wall_ms());
        self.pool
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                find_application(&transaction, application)?;
                let id = application.to_string();
                transaction
                    .execute("INSERT OR IGNORE INTO suppressions VALUES (?1, ?2, ?3)", params![id, player_id, now])?;
                let kept = transaction.query_row(SELECT_SUPPRESSION, params![id, player_id], suppression)?;
                transaction.commit()?;
                Ok(kept)
            })
            .await
    }

    async fn unsuppress(&self, application: Uuid, player_id: &str) -> Result<bool, RegistryError> {
        let player_id = player_id.to_owned();
        let delete = "DELETE FROM suppressions WHERE application_id = ?1 AND player_id = ?2";
        self.pool
            .run(move |connection| Ok(connection.execute(delete, params![application.to_string(), player_id])? > 0))
            .await
    }

    async fn suppressions(&self, application: Option<Uuid>) -> Result<Vec<Suppression>, RegistryError> {
        let application = text(application);
        self.pool.run(move |connection| all(connection, SELECT_SUPPRESSIONS, params![application], suppression)).await
    }

    async fn put_identity(&self, identity: &Identity) -> Result<bool, RegistryError> {
        let identity = identity.clone();
        self.pool.run(move |connection| identity::put(connection, &identity)).await
    }

    async fn identity(&self, application: Uuid) -> Result<Option<Identity>, RegistryError> {
        let application = application.to_string();
        self.pool
            .run(move |connection| {
                let found = connection.query_row(identity::SELECT_ONE, [application], identity::of_row).optional()?;
                Ok(found.transpose().map_err(|unreadable| unreadable.error)?)
            })
            .await
    }

    async fn identities(&self) -> Result<Identities, RegistryError> {
        let select = |connection: &mut Connection| all(connection, identity::SELECT, params![], identity::of_row);
        Ok(self.pool.run(select).await?.into_iter().collect())
    }
}

fn all<T>(
    connection: &Connection,
    select: &str,
    values: &[&dyn ToSql],
    value: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Failure> {
    let mut select = connection.prepare_cached(select)?;
    let found = select.query_map(values, value)?.collect::<Result<_, _>>()?;
    Ok(found)
}

fn text(id: Option<Uuid>) -> Option<String> {
    id.map(|id| id.to_string())
}

fn insert_audit(connection: &Connection, entry: &AuditEntry) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            entry.id.to_string(),
            entry.at_ms,
            entry.actor,
            entry.via,
            entry.act,
            text(entry.application_id),
            entry.subject,
            entry.detail,
        ],
    )?;
    Ok(())
}

fn audit_entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let application: Option<String> = row.get("application_id")?;
    Ok(AuditEntry {
        id: id(row, "id")?,
        at_ms: row.get("at_ms")?,
        actor: row.get("actor")?,
        via: row.get("via")?,
        act: row.get("act")?,
        application_id: if application.is_some() { Some(id(row, "application_id")?) } else { None },
        subject: row.get("subject")?,
        detail: row.get("detail")?,
    })
}

fn latest(connection: &Connection, application: Uuid, event_type: &str) -> Result<Option<Schema>, Failure> {
    let mut select = connection.prepare_cached(SELECT_VERSIONS)?;
    Ok(select.query_row(params![application.to_string(), event_type], schema_of).optional()?)
}

fn insert_schema(connection: &Connection, new: &Schema) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO schemas VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            new.application_id.to_string(),
            new.event_type,
            new.version,
            new.mode.as_str(),
            new.schema,
            new.created_at_ms,
        ],
    )?;
    Ok(())
}

fn schema_of(row: &Row<'_>) -> rusqlite::Result<Schema> {
    Ok(Schema {
        application_id: id(row, "application_id")?,
        event_type: row.get("event_type")?,
        version: row.get("version")?,
        mode: named(row, "mode")?,
        schema: row.get("schema")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

fn suppression(row: &Row<'_>) -> rusqlite::Result<Suppression> {
    Ok(Suppression {
        application_id: id(row, "application_id")?,
        player_id: row.get("player_id")?,
        since_ms: row.get("since_ms")?,
    })
}
