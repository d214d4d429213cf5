//! The registry's tables, and how a file gets them: whoever opens a file brings it to the latest version, in one
//! transaction, so that several processes may try at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::pool::explain;
use crate::registry::RegistryError;

// Marks a file as ours, whatever it is called: "HGR1".
const APPLICATION_ID: i64 = 0x4847_5231;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const WAL_ATTEMPTS: u32 = 100;

// One entry for each version, never changed once released. `PRAGMA user_version` counts how many a file has.
pub(super) const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE applications (
        application_id    TEXT    NOT NULL PRIMARY KEY,
        name              TEXT    NOT NULL,
        description       TEXT,
        events_per_second INTEGER,
        events_burst      INTEGER,
        bytes_per_second  INTEGER,
        bytes_burst       INTEGER,
        created_at_ms     INTEGER NOT NULL,
        updated_at_ms     INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE authorizations (
        api_key_id        TEXT    NOT NULL PRIMARY KEY,
        application_id    TEXT    NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
        name              TEXT    NOT NULL,
        description       TEXT,
        key_hash          BLOB    NOT NULL UNIQUE CHECK (length(key_hash) = 32),
        masked_key        TEXT    NOT NULL,
        enabled           INTEGER NOT NULL CHECK (enabled IN (0, 1)),
        expires_at_ms     INTEGER,
        created_at_ms     INTEGER NOT NULL,
        updated_at_ms     INTEGER NOT NULL
    ) STRICT;

    CREATE INDEX authorizations_by_application ON authorizations (application_id);
",
    "ALTER TABLE applications ADD COLUMN route TEXT;",
    "
    ALTER TABLE applications ADD COLUMN environment TEXT NOT NULL DEFAULT 'prod';
    ALTER TABLE authorizations ADD COLUMN scopes TEXT NOT NULL DEFAULT 'ingest-client,ingest-server';
    ALTER TABLE authorizations ADD COLUMN last_used_at_ms INTEGER;

    CREATE TABLE audit (
        id                TEXT    NOT NULL PRIMARY KEY,
        at_ms             INTEGER NOT NULL,
        actor             TEXT    NOT NULL,
        via               TEXT    NOT NULL,
        act               TEXT    NOT NULL,
        application_id    TEXT,
        subject           TEXT,
        detail            TEXT    NOT NULL
    ) STRICT;

    CREATE INDEX audit_by_application ON audit (application_id, id);

    CREATE TABLE schemas (
        application_id    TEXT    NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
        event_type        TEXT    NOT NULL,
        version           INTEGER NOT NULL CHECK (version > 0),
        mode              TEXT    NOT NULL,
        schema            TEXT    NOT NULL,
        created_at_ms     INTEGER NOT NULL,
        PRIMARY KEY (application_id, event_type, version)
    ) STRICT;

    CREATE TABLE suppressions (
        application_id    TEXT    NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
        player_id         TEXT    NOT NULL,
        since_ms          INTEGER NOT NULL,
        PRIMARY KEY (application_id, player_id)
    ) STRICT;

    -- How often a book was changed, by whomever: gateways read a book again only when this rises.
    CREATE TABLE revisions (
        book              TEXT    NOT NULL PRIMARY KEY,
        revision          INTEGER NOT NULL
    ) STRICT;

    INSERT INTO revisions VALUES ('schemas', 0), ('suppressions', 0);

    CREATE TRIGGER schemas_insert AFTER INSERT ON schemas BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'schemas';
    END;
    CREATE TRIGGER schemas_update AFTER UPDATE ON schemas BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'schemas';
    END;
    CREATE TRIGGER schemas_delete AFTER DELETE ON schemas BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'schemas';
    END;
    CREATE TRIGGER suppressions_insert AFTER INSERT ON suppressions BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'suppressions';
    END;
    CREATE TRIGGER suppressions_update AFTER UPDATE ON suppressions BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'suppressions';
    END;
    CREATE TRIGGER suppressions_delete AFTER DELETE ON suppressions BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'suppressions';
    END;
",
    "
    CREATE TABLE identities (
        application_id    TEXT    NOT NULL PRIMARY KEY REFERENCES applications (application_id) ON DELETE CASCADE,
        version           INTEGER NOT NULL CHECK (version > 0),
        fields            TEXT    NOT NULL,
        secrets           TEXT    NOT NULL,
        changed_at_ms     INTEGER NOT NULL
    ) STRICT;

    INSERT INTO revisions VALUES ('identities', 0);

    CREATE TRIGGER identities_insert AFTER INSERT ON identities BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'identities';
    END;
    CREATE TRIGGER identities_update AFTER UPDATE ON identities BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'identities';
    END;
    CREATE TRIGGER identities_delete AFTER DELETE ON identities BEGIN
        UPDATE revisions SET revision = revision + 1 WHERE book = 'identities';
    END;
",
];

/// Connects to an existing file and sees to it that it is a registry of the latest version.
pub(super) fn connect(path: &Path) -> Result<Connection, RegistryError> {
    let failed = |error| explain(path, error);
    // Without the flag to create: a file that vanished must not come back empty.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    // Looked at before anything is written: a database of something else stays as it is. In one transaction, since
    // another process may be making the tables.
    let snapshot = connection.transaction().map_err(failed)?;
    let version = version(&snapshot, path)?;
    drop(snapshot);
    use_wal(&connection).map_err(failed)?;
    if version < MIGRATIONS.len() {
        migrate(&mut connection, path)?;
    }
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Every commit is synced: a key that was handed out exists after a power failure.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is removed is overwritten: a secret that was destroyed must not be found in a free page.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// How many migrations the file has; to be asked within a transaction.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<usize, RegistryError> {
    let failed = |error| explain(path, error);
    let number = |query| connection.query_row(query, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let application_id = number("PRAGMA application_id")?;
    let found = number("PRAGMA user_version")?;
    let things = number("SELECT count(*) FROM sqlite_master")?;
    if application_id != APPLICATION_ID {
        let is_empty = application_id == 0 && found == 0 && things == 0;
        return if is_empty { Ok(0) } else { Err(RegistryError::ForeignFile { path: path.to_owned() }) };
    }
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        Ok(_) => Err(RegistryError::NewerSchema { path: path.to_owned(), found, known: MIGRATIONS.len() as i64 }),
        Err(_) => Err(RegistryError::Damaged {
            path: path.to_owned(),
            detail: Arc::from(format!("its schema version is {found}")),
        }),
    }
}

/// Turns WAL mode on, which stays on for the file.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut attempt = 0;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            // SQLite does not wait here as it does elsewhere: two processes that both read and both want to change the
            // mode would wait for each other. Waiting for the lock without reading first is what it does wait for.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempt < WAL_ATTEMPTS => {
                attempt += 1;
                connection.execute_batch("BEGIN EXCLUSIVE; ROLLBACK")?;
            }
            result => return result.map(|_mode| ()),
        }
    }
}

/// Moves everything into the file and empties the write-ahead log, which holds pages as they were before. Called after
/// something was destroyed; that is done in any case, so a reader who is in the way for too long is only warned of.
pub(super) fn empty_wal(connection: &Connection) -> rusqlite::Result<()> {
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?;
    if is_busy {
        tracing::warn!(
            "the registry is being read: what was destroyed stands in its -wal file until that is written over; stop \
             the gateway to have it emptied"
        );
    }
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), RegistryError> {
    let failed = |error| explain(path, error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Asked again, now that nobody else can change it.
    for migration in &MIGRATIONS[version(&transaction, path)?..] {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(failed)?;
    transaction.commit().map_err(failed)
}
