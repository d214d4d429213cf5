//! A look at a registry's file from outside, which leaves it and its folder as they are.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::pool::explain;
use super::schema::{MIGRATIONS, version};
use crate::registry::RegistryError;

const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// The version from which applications have routes.
const WITH_ROUTES: usize = 2;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspection {
    /// The file's schema version.
    pub(crate) version: usize,
    /// The latest version known here, to which a start brings it.
    pub(crate) latest: usize,
    /// What SQLite's quick check says, where that is not `ok`.
    pub(crate) damage: Option<String>,
    /// How many applications there are.
    pub(crate) applications: u64,
    /// Name and route of each application that has a route of its own.
    pub(crate) routes: Vec<(String, String)>,
}

/// Looks at the file; none where there is none.
///
/// # Errors
/// If it can't be read, is no registry, or of a later version.
pub(crate) fn inspect(path: &Path) -> Result<Option<Inspection>, RegistryError> {
    if !path.exists() {
        return Ok(None);
    }
    let failed = |error| explain(path, error);
    // A file without a log beside it is in use by nobody: read as it stands, so that SQLite makes no log for it.
    let wal = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().display()));
    let connection = if wal.exists() {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(uri(path), flags)
    };
    let connection = connection.map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let version = version(&connection, path)?;
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    let mut found = Inspection {
        version,
        latest: MIGRATIONS.len(),
        damage: (said != "ok").then_some(said),
        applications: 0,
        routes: Vec::new(),
    };
    if version > 0 && found.damage.is_none() {
        let count = connection.query_row("SELECT count(*) FROM applications", [], |row| row.get::<_, i64>(0));
        found.applications = u64::try_from(count.map_err(failed)?).unwrap_or_default();
    }
    if version >= WITH_ROUTES && found.damage.is_none() {
        let mut select = connection
            .prepare("SELECT name, route FROM applications WHERE route IS NOT NULL ORDER BY name")
            .map_err(failed)?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
        found.routes = rows.collect::<Result<_, _>>().map_err(failed)?;
    }
    Ok(Some(found))
}

/// The file as SQLite's URI (sqlite.org/uri.html), to be read without locks and without a log.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::registry::{NewApplication, Registry, Route, SqliteRegistry};

    #[tokio::test]
    async fn a_file_is_looked_at_and_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a folder?#%").join("registry.sqlite");
        std::fs::create_dir(path.parent().expect("has one")).expect("is made");
        assert_eq!(inspect(&path).expect("looks"), None);
        let registry = SqliteRegistry::open(&path, Clock::system()).expect("opens");
        let new = NewApplication { name: "skyfall".to_owned(), route: Some(Route::Firehose), ..Default::default() };
        registry.create_application(new).await.expect("creates");
        // While somebody has it open, its log included, and after.
        let open = inspect(&path).expect("looks").expect("is there");
        drop(registry);
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(path.parent().expect("has one"))
                .expect("lists")
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            names.sort();
            names
        };
        let before = names();
        let closed = inspect(&path).expect("looks").expect("is there");
        assert_eq!(names(), before, "nothing came and nothing went");
        assert_eq!(open, closed);
        assert_eq!(closed.applications, 1);
        assert_eq!(closed.routes, [("skyfall".to_owned(), "firehose".to_owned())]);
        assert_eq!((closed.version, closed.damage), (closed.latest, None));
    }

    #[test]
    fn what_is_no_registry_is_an_error_that_says_so() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("registry.sqlite");
        std::fs::write(&path, "not a database, but long enough to look like one at a first glance".repeat(9))
            .expect("writes");
        let error = inspect(&path).expect_err("is none").to_string();
        assert!(error.contains("damaged"), "{error}");
    }
}
