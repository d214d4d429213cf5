//! A gateway of an earlier release that runs in the data folder: what must not be done beside it.
//!
//! It can't read a registry's file that this release has brought up to date, and would answer UNAVAILABLE to whoever has a
//! key that it does not know yet; nor does it know how ids are hashed, so it would go on keeping them as they are.

use std::path::Path;

use super::CliError;
use super::lock::Lock;
use crate::config::{RegistryKind, Settings};
use crate::registry::sqlite_inspection;

const MEND: &str = "stop it and start this release's gateway first, or use the commands of its own release";

/// Refuses to open a registry's file that would be brought up to date while somebody else has the data folder.
pub(super) fn refuse_to_migrate(settings: &Settings) -> Result<(), CliError> {
    if settings.registry.kind != RegistryKind::Sqlite {
        return Ok(());
    }
    // What is wrong with the file is told by whoever opens it.
    let Ok(Some(found)) = sqlite_inspection(&settings.data_dir.join("registry.sqlite")) else { return Ok(()) };
    if found.version == 0 || found.version == found.latest {
        return Ok(());
    }
    match Lock::take(&settings.data_dir)? {
        Lock::Ours(_) => Ok(()),
        Lock::Gateway(_) => Err(CliError::failed(format!(
            "a gateway of an earlier release has {}, and could not read its registry any more once this headgate has \
             brought it up to date: {MEND}",
            settings.data_dir.display()
        ))),
    }
}

/// Refuses to have ids hashed while a gateway that does not do it has the data folder. Others, elsewhere, are not known.
pub(super) fn refuse_to_hash(data_dir: &Path) -> Result<(), CliError> {
    // No lock, no gateway; and none is made for one to be in the way of later.
    if !data_dir.join("lock").exists() {
        return Ok(());
    }
    match Lock::take(data_dir)? {
        Lock::Gateway(running) if running.version.is_none() => Err(CliError::failed(format!(
            "a gateway of an earlier release has {}, and would go on keeping ids as they are: {MEND}",
            data_dir.display()
        ))),
        Lock::Gateway(_) | Lock::Ours(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;
    use crate::clock::Clock;
    use crate::registry::SqliteRegistry;

    const EARLIER: &str = r#"{"pid":1,"grpc":"127.0.0.1:1","operate":"127.0.0.1:1"}"#;
    const OURS: &str = r#"{"pid":1,"version":"9.9.9","grpc":"127.0.0.1:1","operate":"127.0.0.1:1"}"#;

    #[test]
    fn an_earlier_gateway_keeps_its_file_and_no_ids_are_said_to_be_hashed_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        refuse_to_migrate(&settings).expect("there is no file yet");
        refuse_to_hash(folder.path()).expect("nobody is there");
        let file = folder.path().join("registry.sqlite");
        drop(SqliteRegistry::open(&file, Clock::system()).expect("opens"));

        let held = Lock::take(folder.path()).expect("is free");
        fs::write(folder.path().join("lock"), EARLIER).expect("writes");
        refuse_to_migrate(&settings).expect("the file is up to date");
        let error = refuse_to_hash(folder.path()).expect_err("it would keep ids");
        assert!(error.to_string().contains("keeping ids as they are"), "{error}");
        fs::write(folder.path().join("lock"), OURS).expect("writes");
        refuse_to_hash(folder.path()).expect("that one hashes");

        // As the release before had it.
        Connection::open(&file).expect("opens").pragma_update(None, "user_version", 3).expect("writes");
        let error = refuse_to_migrate(&settings).expect_err("somebody has it");
        assert!(error.to_string().contains("brought it up to date"), "{error}");
        drop(held);
        refuse_to_migrate(&settings).expect("nobody has it any more");
    }
}
