//! Files that only their owner may read, made so that nobody ever sees them half written or with looser permissions.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::RegistryError;

const OWNER_ONLY: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Makes a folder, and those above it, where they are missing.
pub(super) fn make_folder(folder: &Path) -> Result<(), RegistryError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(|error| unavailable(folder, "can't be made; check `data_dir` and who may write there", &error))
}

/// Makes an empty file unless there is one.
///
/// Made under another name and linked: when this name appears, nothing in this process has the file open outside
/// SQLite. Closing a file that SQLite also has open would drop SQLite's POSIX locks on it.
pub(super) fn create_empty(path: &Path) -> Result<(), RegistryError> {
    let failed = |error: io::Error| unavailable(path, "can't be made", &error);
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    let temporary = temporary_beside(path);
    drop(create(&temporary).map_err(failed)?);
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).map_err(failed)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Takes every permission but the owner's off a file, without opening it.
pub(super) fn restrict(path: &Path) -> Result<(), RegistryError> {
    let restricted = fs::metadata(path).and_then(|metadata| {
        if metadata.permissions().mode() & OTHERS == 0 {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))
    });
    restricted.map_err(|error| unavailable(path, "can't be made readable by its owner only", &error))
}

/// Writes a whole file, durably, or leaves what was there.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let written = create(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Best effort: the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    // The new name is durable once the folder is.
    path.parent().map_or(Ok(()), |folder| File::open(folder).and_then(|folder| folder.sync_all()))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", Uuid::new_v4().simple()));
    path.with_file_name(name)
}

fn unavailable(path: &Path, problem: &str, error: &io::Error) -> RegistryError {
    RegistryError::Unavailable(Arc::from(format!("{} {problem}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("the file is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_written_file_is_whole_and_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        fs::write(&path, "an older and longer secret").expect("writes");
        write(&path, b"new").expect("writes");
        assert_eq!(fs::read(&path).expect("reads"), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn an_existing_file_is_never_emptied() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("registry");
        create_empty(&path).expect("makes it");
        assert_eq!(mode(&path), 0o600);
        fs::write(&path, "content").expect("writes");
        create_empty(&path).expect("leaves it");
        assert_eq!(fs::read(&path).expect("reads"), b"content");
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1, "no temporary file stays behind");
    }
}
