//! What is done about the file: its permissions, damage, versions and places.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::*;
use crate::registry::{Books, Identity, IdentityField, Secret};

/// Whoever forgets a secret, or removes an application, has it gone from the disk, too.
#[tokio::test]
async fn a_secret_that_is_gone_is_in_no_file() {
    let dir = tempfile::tempdir().expect("makes a folder");
    let path = dir.path().join("registry.sqlite");
    let registry = SqliteRegistry::open(&path, Clock::system()).expect("opens");
    let new = NewApplication { name: "Skyfall".to_owned(), ..NewApplication::default() };
    let application_id = registry.create_application(new).await.expect("creates").application_id;
    let secret = |generation| Secret::generate(generation).expect("randomness");
    let secrets: Vec<Secret> = (1..=3).map(secret).collect();
    let identity = |version, secrets: &[Secret]| Identity {
        application_id,
        version,
        fields: vec![IdentityField::PlayerId],
        secrets: secrets.to_vec(),
        changed_at_ms: 0,
    };
    let on_disk = |secret: &Secret| {
        let digits = identity(1, std::slice::from_ref(secret)).stored_secrets();
        let digits = digits.split_once(':').expect("a secret").1.as_bytes().to_vec();
        let files = fs::read_dir(dir.path()).expect("lists").map(|file| fs::read(file.expect("reads").path()));
        files.flatten().any(|bytes| memchr::memmem::find(&bytes, &digits).is_some())
    };
    assert!(registry.put_identity(&identity(1, &secrets[..2])).await.expect("is kept"));
    assert!(on_disk(&secrets[0]) && on_disk(&secrets[1]));
    assert!(registry.put_identity(&identity(2, &secrets[2..])).await.expect("is kept"));
    assert!(!on_disk(&secrets[0]) && !on_disk(&secrets[1]) && on_disk(&secrets[2]));
    assert!(registry.delete_application(application_id).await.expect("deletes"));
    assert!(!on_disk(&secrets[2]));
}

#[tokio::test]
async fn the_registry_is_readable_by_its_owner_only() {
    let folder = Folder::new();
    let registry = folder.open();
    with_key(&registry, "key-1").await;
    let modes = || {
        let files = fs::read_dir(folder.0.path()).expect("lists").map(|entry| entry.expect("an entry").path());
        files.map(|file| (fs::metadata(&file).expect("is there").permissions().mode() & 0o777, file))
    };
    assert!(modes().count() >= 2, "the file and its log");
    assert!(modes().all(|(mode, _)| mode == 0o600), "{:?}", modes().collect::<Vec<_>>());
    drop(registry);

    // As after a careless copy.
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).expect("loosens");
    let _registry = folder.open();
    assert!(modes().all(|(mode, _)| mode == 0o600), "{:?}", modes().collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_no_database_is_named_with_the_mend_and_left_as_it_is() {
    let folder = Folder::new();
    let content = "this is not a database, however long one reads on ".repeat(100);
    fs::write(folder.file(), &content).expect("writes");
    let error = folder.open_error();
    assert!(matches!(error, RegistryError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("backup"), "{error}");
    assert_eq!(fs::read_to_string(folder.file()).expect("reads"), content);
}

#[test]
fn a_file_of_a_later_version_is_left_to_that_version() {
    let folder = Folder::new();
    drop(folder.open());
    let connection = Connection::open(folder.file()).expect("opens");
    connection.pragma_update(None, "user_version", 99).expect("sets");
    drop(connection);
    let error = folder.open_error();
    assert!(matches!(error, RegistryError::NewerSchema { found: 99, known: 4, .. }), "{error:?}");
    assert!(error.to_string().contains("run the version that wrote it"), "{error}");
}

#[tokio::test]
async fn a_file_of_the_first_version_keeps_what_it_holds_and_takes_routes() {
    let folder = Folder::new();
    let old = Connection::open(folder.file()).expect("opens");
    old.execute_batch(super::schema::MIGRATIONS[0]).expect("makes the first version's tables");
    let application = Uuid::from_u128(7);
    let row = "INSERT INTO applications VALUES (?1, 'skyfall', NULL, 5, NULL, NULL, NULL, 1000, 2000)";
    old.execute(row, [application.to_string()]).expect("inserts");
    let hash = KeyHash::of("key-1");
    old.execute(
        "INSERT INTO authorizations VALUES (?1, ?2, 'server', NULL, ?3, '****', TRUE, NULL, 1000, 1000)",
        rusqlite::params![Uuid::from_u128(8).to_string(), application.to_string(), hash.as_bytes()],
    )
    .expect("inserts");
    old.pragma_update(None, "application_id", 0x4847_5231_i64).expect("marks the file");
    old.pragma_update(None, "user_version", 1).expect("sets");
    drop(old);

    let registry = folder.open();
    let record = look_up(&registry, "key-1").await.expect("looks up").expect("is there");
    let limits = Limits { events_per_second: Some(5), ..Limits::default() };
    let name = "skyfall".to_owned();
    let expected = Application {
        application_id: application,
        name: name.clone(),
        description: None,
        limits,
        route: None,
        environment: Environment::Prod,
        created_at_ms: 1_000,
        updated_at_ms: 2_000,
    };
    assert_eq!(record.application, expected);
    assert_eq!((record.authorization.scopes, record.authorization.last_used_at_ms), (Scopes::INGEST, None));
    let change = NewApplication {
        name,
        description: None,
        limits,
        route: Some(Route::KinesisAndFirehose),
        environment: Environment::Dev,
    };
    let changed = registry.update_application(application, change).await.expect("updates");
    assert_eq!(changed.route, Some(Route::KinesisAndFirehose));
    assert_eq!(registry.get_application(application).await.expect("is there"), changed);
}

#[tokio::test]
async fn a_route_of_a_later_version_is_an_error_of_that_row_alone() {
    let folder = Folder::new();
    let registry = folder.open();
    let (bad, _) = with_key(&registry, "key-1").await;
    with_key(&registry, "key-2").await;
    let disk = Connection::open(folder.file()).expect("opens");
    let row = "UPDATE applications SET route = 'by-pigeon' WHERE application_id = ?1";
    disk.execute(row, [bad.application_id.to_string()]).expect("updates");
    let hashes = ["key-1", "key-2"].map(KeyHash::of);
    let answers = registry.keys_by_hash(&hashes).await.expect("looks up");
    assert!(matches!(&answers[0], Err(error) if error.to_string().contains("by-pigeon")), "{answers:?}");
    assert!(matches!(&answers[1], Ok(Some(record)) if record.hash == hashes[1]), "{answers:?}");
}

#[test]
fn a_database_of_something_else_is_not_touched() {
    let folder = Folder::new();
    let connection = Connection::open(folder.file()).expect("opens");
    connection.execute_batch("CREATE TABLE applications (something TEXT)").expect("creates");
    drop(connection);
    let before = fs::read(folder.file()).expect("reads");
    let error = folder.open_error();
    assert!(matches!(error, RegistryError::ForeignFile { .. }), "{error:?}");
    assert_eq!(fs::read(folder.file()).expect("reads"), before);
}

#[tokio::test]
async fn a_damaged_page_is_an_error_and_never_an_unknown_key() {
    let folder = Folder::new();
    let registry = folder.open();
    with_key(&registry, "key-1").await;
    drop(registry);
    let pages = "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'authorizations' AND rootpage > 0";
    let connection = Connection::open(folder.file()).expect("opens");
    let mut select = connection.prepare(pages).expect("reads");
    let pages = select.query_map([], |row| row.get::<_, u32>(0)).expect("reads");
    let pages: Vec<usize> = pages.map(|page| page.expect("reads") as usize).collect();
    drop(select);
    drop(connection);
    let mut content = fs::read(folder.file()).expect("reads");
    // Pages count from 1.
    pages.iter().for_each(|page| content[(page - 1) * 4_096..page * 4_096].fill(0));
    fs::write(folder.file(), &content).expect("writes");

    let registry = folder.open();
    let answer = look_up(&registry, "key-1").await;
    assert!(matches!(answer, Err(RegistryError::Damaged { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_never_an_unknown_key() {
    let folder = Folder::new();
    let registry = folder.open();
    with_key(&registry, "key-1").await;
    let connection = Connection::open(folder.file()).expect("opens");
    connection.execute("UPDATE authorizations SET api_key_id = 'no id'", []).expect("updates");
    let answer = look_up(&registry, "key-1").await;
    assert!(matches!(answer, Err(RegistryError::Damaged { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_missed_and_found_again_when_it_is_back() {
    let folder = Folder::new();
    let registry = folder.open();
    let (application, _) = with_key(&registry, "key-1").await;
    let away = folder.0.path().join("away");
    fs::create_dir(&away).expect("creates");
    let names = ["registry.sqlite", "registry.sqlite-wal", "registry.sqlite-shm"];
    for name in names {
        fs::rename(folder.0.path().join(name), away.join(name)).expect("moves");
    }
    let gone = look_up(&registry, "key-1").await;
    assert!(matches!(gone, Err(RegistryError::Unavailable(_))), "{gone:?}");
    assert!(registry.create_authorization(key_of(&application, "key-2")).await.is_err());
    assert!(!folder.file().exists(), "nothing takes its place");

    fs::rename(away.join(names[0]), folder.file()).expect("moves back");
    // The log went back into the file when the last connection to it was closed.
    for name in &names[1..] {
        let _ = fs::rename(away.join(name), folder.0.path().join(name));
    }
    assert!(look_up(&registry, "key-1").await.expect("looks up").is_some());
}

#[tokio::test]
async fn a_file_that_replaces_the_open_one_counts_from_the_next_call() {
    let folder = Folder::new();
    let backup = Folder::new();
    with_key(&backup.open(), "key-of-the-backup").await;
    let registry = folder.open();
    with_key(&registry, "key-1").await;
    fs::rename(backup.file(), folder.file()).expect("replaces");
    for name in ["registry.sqlite-wal", "registry.sqlite-shm"] {
        fs::remove_file(folder.0.path().join(name)).expect("removes");
    }
    assert_eq!(look_up(&registry, "key-1").await.expect("looks up"), None);
    assert!(look_up(&registry, "key-of-the-backup").await.expect("looks up").is_some());
}
