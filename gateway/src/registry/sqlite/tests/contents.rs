//! What is registered, changed and removed.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::*;

#[tokio::test]
async fn what_was_registered_is_there_after_a_restart() {
    let folder = Folder::new();
    let (clock, wall) = Clock::shifted();
    let registry = SqliteRegistry::open(&folder.file(), clock.clone()).expect("opens");
    let limits = Limits {
        events_per_second: Some(u32::MAX),
        events_burst: Some(1),
        bytes_per_second: Some(1 << 40),
        bytes_burst: Some(1_024),
    };
    let description = Some("läuft seit 2019".to_owned());
    let new = NewApplication {
        name: "Skyfall ☄".to_owned(),
        description: description.clone(),
        limits,
        route: Some(Route::Kinesis),
        environment: Environment::Stage,
    };
    let first = registry.create_application(new).await.expect("creates");
    let second = registry.create_application(application("another")).await.expect("creates");
    let new_key = NewAuthorization { description, expires_at_ms: Some(7), ..key_of(&first, "first-key") };
    let key = registry.create_authorization(new_key).await.expect("creates");
    let other_key = registry.create_authorization(key_of(&first, "other-key")).await.expect("creates");
    drop(registry);

    let registry = SqliteRegistry::open(&folder.file(), clock).expect("opens again");
    assert_eq!(registry.list_applications().await.expect("lists"), [first.clone(), second]);
    assert_eq!(registry.get_application(first.application_id).await.expect("is there"), first);
    assert_eq!(registry.list_authorizations(first.application_id).await.expect("lists"), [key.clone(), other_key]);
    assert_eq!(registry.get_authorization(key.api_key_id).await.expect("is there"), key);
    let record = look_up(&registry, "first-key").await.expect("looks up").expect("is there");
    assert_eq!(record, KeyRecord { authorization: key, hash: KeyHash::of("first-key"), application: first.clone() });

    wall.store(60_000, Ordering::Relaxed);
    let changed = registry.update_application(first.application_id, application("renamed")).await.expect("updates");
    assert_eq!((changed.name.as_str(), changed.description.as_deref()), ("renamed", None));
    assert_eq!((changed.limits, changed.route), (Limits::default(), None));
    assert_eq!(changed.created_at_ms, first.created_at_ms);
    assert!(changed.updated_at_ms >= first.updated_at_ms + 60_000);
    assert_eq!(registry.get_application(first.application_id).await.expect("is there"), changed);
}

#[tokio::test]
async fn answers_come_in_the_order_asked() {
    let folder = Folder::new();
    let registry = folder.open();
    let (application, first) = with_key(&registry, "key-1").await;
    let second = registry.create_authorization(key_of(&application, "key-2")).await.expect("creates");
    let hashes = ["key-2", "nobody's", "key-1", "key-2"].map(KeyHash::of);
    let found: Vec<Option<Uuid>> = registry
        .keys_by_hash(&hashes)
        .await
        .expect("looks up")
        .into_iter()
        .map(|answer| answer.expect("a good row").map(|record| record.authorization.api_key_id))
        .collect();
    assert_eq!(found, [Some(second.api_key_id), None, Some(first.api_key_id), Some(second.api_key_id)]);
    assert!(registry.keys_by_hash(&[]).await.expect("looks up").is_empty());
}

#[tokio::test]
async fn an_application_goes_with_its_keys_and_going_twice_is_no_error() {
    let folder = Folder::new();
    let registry = folder.open();
    let (application, key) = with_key(&registry, "key-1").await;
    assert!(registry.delete_application(application.application_id).await.expect("deletes"));
    assert!(!registry.delete_application(application.application_id).await.expect("deletes nothing"));
    assert_eq!(look_up(&registry, "key-1").await.expect("looks up"), None);
    assert!(registry.list_authorizations(application.application_id).await.expect("lists").is_empty());
    assert!(matches!(
        registry.get_authorization(key.api_key_id).await,
        Err(RegistryError::NotFound { what: "key", id }) if id == key.api_key_id
    ));
    assert!(!registry.delete_authorization(key.api_key_id).await.expect("deletes nothing"));
}

#[tokio::test]
async fn what_is_not_there_can_not_be_changed() {
    let folder = Folder::new();
    let registry = folder.open();
    let id = Uuid::from_u128(1);
    let nowhere = NewAuthorization { application_id: id, ..key_of(&with_key(&registry, "key-1").await.0, "key-2") };
    let errors = [
        registry.get_application(id).await.map(|_| ()),
        registry.update_application(id, application("skyfall")).await.map(|_| ()),
        registry.create_authorization(nowhere.clone()).await.map(|_| ()),
        registry.set_enabled(id, true).await.map(|_| ()),
        registry.set_scopes(id, Scopes::INGEST).await.map(|_| ()),
        registry.rotate(id, nowhere, None).await.map(|_| ()),
    ];
    for error in errors {
        assert!(matches!(error, Err(RegistryError::NotFound { id: missing, .. }) if missing == id), "{error:?}");
    }
}

#[tokio::test]
async fn a_name_that_breaks_a_rule_is_refused_by_every_way_in() {
    let folder = Folder::new();
    let registry = folder.open();
    let (app, key) = with_key(&registry, "key-1").await;
    let nameless = NewAuthorization { name: String::new(), ..key_of(&app, "key-2") };
    let errors = [
        registry.create_application(application("")).await.map(|_| ()),
        registry.update_application(app.application_id, application("")).await.map(|_| ()),
        registry.create_authorization(nameless.clone()).await.map(|_| ()),
        registry.rotate(key.api_key_id, nameless, None).await.map(|_| ()),
    ];
    for error in errors {
        assert!(matches!(error, Err(RegistryError::Invalid { field: "name", .. })), "{error:?}");
    }
}

#[tokio::test]
async fn a_disabled_key_is_found_as_such_and_can_be_enabled_again() {
    let folder = Folder::new();
    let registry = folder.open();
    let (_, key) = with_key(&registry, "key-1").await;
    for enabled in [false, true] {
        assert_eq!(registry.set_enabled(key.api_key_id, enabled).await.expect("sets").enabled, enabled);
        let record = look_up(&registry, "key-1").await.expect("looks up").expect("is there");
        assert_eq!(record.authorization.enabled, enabled);
    }
}

#[tokio::test]
async fn rotating_adds_the_new_key_and_disables_the_old_one_or_does_neither() {
    let folder = Folder::new();
    let registry = folder.open();
    let (application, old) = with_key(&registry, "old-key").await;
    let (other, _) = with_key(&registry, "taken-key").await;

    let taken = registry.rotate(old.api_key_id, key_of(&application, "taken-key"), None).await;
    assert!(matches!(taken, Err(RegistryError::Invalid { field: "key", .. })), "{taken:?}");
    let elsewhere = registry.rotate(old.api_key_id, key_of(&other, "new-key"), None).await;
    assert!(matches!(elsewhere, Err(RegistryError::Invalid { field: "application_id", .. })), "{elsewhere:?}");
    assert!(registry.get_authorization(old.api_key_id).await.expect("is there").enabled);
    assert_eq!(look_up(&registry, "new-key").await.expect("looks up"), None);

    // The new key goes in first: it must not stay when the old one can't be disabled.
    let disk = Connection::open(folder.file()).expect("opens");
    disk.execute_batch("CREATE TRIGGER fault BEFORE UPDATE ON authorizations BEGIN SELECT RAISE(ABORT, 'fault'); END")
        .expect("makes updates fail");
    assert!(registry.rotate(old.api_key_id, key_of(&application, "new-key"), None).await.is_err());
    assert_eq!(look_up(&registry, "new-key").await.expect("looks up"), None);
    disk.execute_batch("DROP TRIGGER fault").expect("ends the fault");

    let new = registry.rotate(old.api_key_id, key_of(&application, "new-key"), None).await.expect("rotates");
    assert!(new.enabled);
    assert!(!registry.get_authorization(old.api_key_id).await.expect("is there").enabled);
}
