//! The application and key that a first start makes, so that events can be sent at once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::admission::key::{ApiKey, NoRandomness};
use crate::registry::private_file;
use crate::registry::{NewApplication, NewAuthorization, Registry, RegistryError, Scopes};

const APPLICATION: &str = "demo";
const FILE: &str = "demo-api-key";

/// A demo application whose key lets in.
#[derive(Clone, Debug)]
pub struct Demo {
    path: PathBuf,
    new_key: Option<ApiKey>,
}

impl Demo {
    /// The file that keeps its key, readable by its owner only.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its key, to be shown once; `None` where an earlier start made it.
    #[must_use]
    pub fn new_key(&self) -> Option<&str> {
        self.new_key.as_ref().map(ApiKey::expose)
    }
}

/// Why the demo could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The key's file can't be written or read.
    #[error("the demo key's file {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// No key can be made.
    #[error(transparent)]
    Key(#[from] NoRandomness),
}

/// Makes the application `demo` with a key in a registry that has no applications. Otherwise finds the demo that an
/// earlier start made; `None` where its key was deleted or disabled since, or the key's file is gone.
///
/// The file is written before the key counts, so that a start that is cut off never leaves a key that nobody has.
///
/// # Errors
/// If the registry or the file refuses. Trying again is safe.
pub(super) async fn ensure_demo(registry: &dyn Registry, data_dir: &Path) -> Result<Option<Demo>, DemoError> {
    let path = data_dir.join(FILE);
    if !registry.list_applications().await?.is_empty() {
        return Ok(lets_in(registry, &path).await?.then_some(Demo { path, new_key: None }));
    }
    let key = ApiKey::generate()?;
    let content = format!("{}\n", key.expose());
    on_disk(&path, move |path| private_file::write(path, content.as_bytes())).await?;
    let new = NewApplication {
        name: APPLICATION.to_owned(),
        description: Some("Made by the first start; delete it when it is no longer needed".to_owned()),
        ..NewApplication::default()
    };
    let application = registry.create_application(new).await?;
    let added = registry
        .create_authorization(NewAuthorization {
            application_id: application.application_id,
            name: APPLICATION.to_owned(),
            description: None,
            hash: key.hash(),
            masked_key: key.masked(),
            expires_at_ms: None,
            scopes: Scopes::INGEST,
        })
        .await;
    if let Err(error) = added {
        // With the application left behind, the next start would take the demo for made.
        registry.delete_application(application.application_id).await?;
        return Err(error.into());
    }
    Ok(Some(Demo { path, new_key: Some(key) }))
}

async fn lets_in(registry: &dyn Registry, file: &Path) -> Result<bool, DemoError> {
    let content = on_disk(file, |file| match fs::read_to_string(file) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(String::new()),
        content => content,
    })
    .await?;
    let Ok(key) = ApiKey::parse(content.trim_end()) else { return Ok(false) };
    let record = registry.find_key(&key.hash(), key.expose()).await?;
    Ok(record.is_some_and(|record| record.authorization.enabled))
}

async fn on_disk<T: Send + 'static>(
    file: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, DemoError> {
    let shared: Arc<Path> = Arc::from(file);
    let done = tokio::task::spawn_blocking(move || work(&shared)).await.unwrap_or_else(|error| Err(error.into()));
    done.map_err(|error| DemoError::File { file: file.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::clock::Clock;
    use crate::registry::SqliteRegistry;

    fn registry() -> (TempDir, SqliteRegistry) {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = SqliteRegistry::open(&folder.path().join("registry.sqlite"), Clock::system()).expect("opens");
        (folder, registry)
    }

    async fn created(registry: &SqliteRegistry, folder: &TempDir) -> (ApiKey, PathBuf) {
        let demo =
            ensure_demo(registry, folder.path()).await.expect("makes the demo").expect("an empty registry gets one");
        let key = ApiKey::parse(demo.new_key().expect("a key just made")).expect("a key of ours");
        (key, demo.path().to_owned())
    }

    #[tokio::test]
    async fn the_first_start_makes_a_key_that_lets_in_and_keeps_it_for_its_owner_only() {
        let (folder, registry) = registry();
        let (key, file) = created(&registry, &folder).await;
        assert_eq!(fs::read_to_string(&file).expect("reads"), format!("{}\n", key.expose()));
        assert_eq!(fs::metadata(&file).expect("the file is there").permissions().mode() & 0o777, 0o600);

        let record = registry.find_key(&key.hash(), key.expose()).await.expect("looks up");
        let record = record.expect("the key is registered");
        assert!(record.authorization.enabled);
        assert_eq!(record.application.name, "demo");
    }

    #[tokio::test]
    async fn later_starts_make_nothing_and_point_to_a_key_only_while_it_exists() {
        let (folder, registry) = registry();
        let (key, file) = created(&registry, &folder).await;
        let again = ensure_demo(&registry, folder.path()).await.expect("looks").expect("finds the demo");
        assert_eq!((again.path(), again.new_key()), (file.as_path(), None));
        assert_eq!(registry.list_applications().await.expect("lists").len(), 1);

        let record = registry.find_key(&key.hash(), key.expose()).await.expect("looks up");
        let key_id = record.expect("registered").authorization.api_key_id;
        registry.delete_authorization(key_id).await.expect("deletes");
        let without_key = ensure_demo(&registry, folder.path()).await.expect("looks");
        assert!(without_key.is_none(), "a key that was deleted stays deleted");
    }

    #[tokio::test]
    async fn a_registry_with_applications_of_its_own_gets_no_demo() {
        let (folder, registry) = registry();
        let own = NewApplication { name: "skyfall".to_owned(), ..NewApplication::default() };
        registry.create_application(own).await.expect("creates");
        assert!(ensure_demo(&registry, folder.path()).await.expect("looks").is_none());
        assert!(!folder.path().join(FILE).exists());
    }

    #[tokio::test]
    async fn a_folder_that_takes_no_file_leaves_the_registry_empty() {
        let (folder, registry) = registry();
        let missing = folder.path().join("not-there");
        assert!(matches!(ensure_demo(&registry, &missing).await, Err(DemoError::File { .. })));
        assert!(registry.list_applications().await.expect("lists").is_empty());
    }
}
