//! What every registry promises, asked of both: the embedded one and the one in DynamoDB.

use headgate::admission::key::ApiKey;
use headgate::clock::Clock;
use headgate::registry::{
    Application, Authorization, Books, Environment, KeyHash, KeyRecord, Limits, NewApplication, NewAuthorization,
    Registry, RegistryError, Route, Scopes, SqliteRegistry,
};
use headgate_tests::ministack::MiniStack;
use uuid::Uuid;

/// Runs a test on each registry, empty.
async fn on_both(test: impl AsyncFn(&dyn Registry)) {
    on_both_with_books(async |registry, _| test(registry).await).await;
}

/// As [`on_both`], with the registry's books.
pub(super) async fn on_both_with_books(test: impl AsyncFn(&dyn Registry, &dyn Books)) {
    let folder = tempfile::tempdir().expect("a folder");
    println!("on SQLite");
    let sqlite = SqliteRegistry::open(&folder.path().join("registry.sqlite"), Clock::system()).expect("opens");
    test(&sqlite, &sqlite).await;
    println!("on DynamoDB");
    let (emulator, _) = MiniStack::with_tables().await;
    let dynamodb = super::registry(emulator.address()).await;
    test(&dynamodb, &dynamodb).await;
}

pub(super) fn named(name: &str) -> NewApplication {
    NewApplication { name: name.to_owned(), ..NewApplication::default() }
}

fn key_of(application: &Application, key: &str) -> NewAuthorization {
    let key = ApiKey::parse(key).expect("a key");
    NewAuthorization {
        application_id: application.application_id,
        name: "server".to_owned(),
        description: None,
        hash: key.hash(),
        masked_key: key.masked(),
        expires_at_ms: None,
        scopes: Scopes::INGEST,
    }
}

async fn with_key(registry: &dyn Registry, key: &str) -> (Application, Authorization) {
    let application = registry.create_application(named("skyfall")).await.expect("creates");
    let authorization = registry.create_authorization(key_of(&application, key)).await.expect("creates");
    (application, authorization)
}

/// As a key that is presented for the first time, and as one that is in use.
async fn look_up(registry: &dyn Registry, key: &str) -> Option<KeyRecord> {
    let hash = KeyHash::of(key);
    let found = registry.find_key(&hash, key).await.expect("looks up");
    let refreshed = registry.keys_by_hash(&[hash]).await.expect("looks up").remove(0).expect("a good row");
    assert_eq!(found, refreshed, "both ways of asking agree");
    found
}

fn whole() -> NewApplication {
    NewApplication {
        name: "Skyfall ☄".to_owned(),
        description: Some("läuft seit 2019".to_owned()),
        limits: Limits {
            events_per_second: Some(u32::MAX),
            events_burst: Some(1),
            bytes_per_second: Some(1 << 40),
            bytes_burst: Some(1_024),
        },
        route: Some(Route::KinesisWithFirehoseFallback),
        environment: Environment::Stage,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_registered_is_there_whole_and_in_order() {
    on_both(async |registry| {
        let first = registry.create_application(whole()).await.expect("creates");
        let second = registry.create_application(named("another")).await.expect("creates");
        let described = NewAuthorization {
            description: Some("eu".to_owned()),
            expires_at_ms: Some(7),
            scopes: Scopes { ingest_client: true, ingest_server: false, read: true },
            ..key_of(&first, "first-key-with-16+")
        };
        let key = registry.create_authorization(described).await.expect("creates");
        assert_eq!((first.name.as_str(), first.route), ("Skyfall ☄", Some(Route::KinesisWithFirehoseFallback)));
        assert_eq!((key.description.as_deref(), key.expires_at_ms, key.enabled), (Some("eu"), Some(7), true));
        assert_eq!(key.masked_key, "****-16+");
        assert_eq!((first.environment, second.environment), (Environment::Stage, Environment::Prod));
        assert_eq!((key.scopes.to_string().as_str(), key.last_used_at_ms), ("ingest-client,read", None));

        let mut listed = registry.list_applications().await.expect("lists");
        assert!(listed.is_sorted_by_key(|application| application.created_at_ms));
        listed.sort_by_key(|application| application.application_id != first.application_id);
        assert_eq!(listed, [first.clone(), second.clone()]);
        assert_eq!(registry.get_application(first.application_id).await.expect("is there"), first);
        assert_eq!(
            registry.list_authorizations(first.application_id).await.expect("lists"),
            std::slice::from_ref(&key)
        );
        assert!(registry.list_authorizations(second.application_id).await.expect("lists").is_empty());
        assert_eq!(registry.get_authorization(key.api_key_id).await.expect("is there"), key);
        let hash = KeyHash::of("first-key-with-16+");
        let record = look_up(registry, "first-key-with-16+").await.expect("is there");
        assert_eq!(record, KeyRecord { authorization: key, hash, application: first });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_replaces_everything_that_can_change_and_is_seen_by_look_ups() {
    on_both(async |registry| {
        let application = registry.create_application(whole()).await.expect("creates");
        registry.create_authorization(key_of(&application, "key-1")).await.expect("creates");
        assert_eq!(look_up(registry, "key-1").await.expect("is there").application, application);
        let changed = registry.update_application(application.application_id, named("renamed")).await.expect("updates");
        assert_eq!((changed.name.as_str(), changed.description.as_deref()), ("renamed", None));
        assert_eq!((changed.limits, changed.route), (Limits::default(), None));
        assert_eq!(changed.environment, Environment::Prod);
        assert_eq!(changed.created_at_ms, application.created_at_ms);
        assert!(changed.updated_at_ms >= application.updated_at_ms);
        assert_eq!(look_up(registry, "key-1").await.expect("is there").application, changed);
        let back = registry.update_application(application.application_id, whole()).await.expect("updates");
        assert_eq!((back.limits, back.route, back.description), (whole().limits, whole().route, whole().description));
        assert_eq!(back.environment, Environment::Stage);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_order_asked_however_many_there_are() {
    on_both(async |registry| {
        let (application, first) = with_key(registry, "key-1").await;
        let mut ids = vec![first.api_key_id];
        // More than fits into one call of DynamoDB's.
        for number in 2..=130 {
            let key = key_of(&application, &format!("key-{number}"));
            ids.push(registry.create_authorization(key).await.expect("creates").api_key_id);
        }
        let hashes: Vec<KeyHash> = (1..=130).rev().map(|number| KeyHash::of(&format!("key-{number}"))).collect();
        let mut asked = hashes.clone();
        asked.insert(1, KeyHash::of("nobody's"));
        asked.push(hashes[0]);
        let mut expected: Vec<Option<Uuid>> = ids.iter().rev().copied().map(Some).collect();
        expected.insert(1, None);
        expected.push(Some(ids[129]));
        // The second time, the rows' places are known.
        for _ in 0..2 {
            let answers = registry.keys_by_hash(&asked).await.expect("looks up");
            let found = answers.into_iter().map(|answer| answer.expect("a good row"));
            let found: Vec<_> = found.map(|record| record.map(|record| record.authorization.api_key_id)).collect();
            assert_eq!(found, expected);
        }
        assert!(registry.keys_by_hash(&[]).await.expect("looks up").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_goes_with_its_keys_and_going_twice_is_no_error() {
    on_both(async |registry| {
        let (application, key) = with_key(registry, "key-1").await;
        // More than one transaction of DynamoDB's takes, twice.
        for number in 2..=250 {
            let key = key_of(&application, &format!("key-{number}"));
            registry.create_authorization(key).await.expect("creates");
        }
        let (_, other) = with_key(registry, "other-key").await;
        assert!(look_up(registry, "key-1").await.is_some());
        assert!(registry.delete_application(application.application_id).await.expect("deletes"));
        assert!(!registry.delete_application(application.application_id).await.expect("deletes nothing"));
        for key in ["key-1", "key-99", "key-100", "key-250"] {
            assert_eq!(look_up(registry, key).await, None, "{key}");
        }
        assert!(registry.list_authorizations(application.application_id).await.expect("lists").is_empty());
        let gone = registry.get_authorization(key.api_key_id).await;
        assert!(matches!(gone, Err(RegistryError::NotFound { what: "key", id }) if id == key.api_key_id), "{gone:?}");
        assert!(!registry.delete_authorization(key.api_key_id).await.expect("deletes nothing"));

        assert!(look_up(registry, "other-key").await.is_some());
        assert!(registry.delete_authorization(other.api_key_id).await.expect("deletes"));
        assert_eq!(look_up(registry, "other-key").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_can_not_be_changed() {
    on_both(async |registry| {
        let id = Uuid::from_u128(1);
        let nowhere = NewAuthorization { application_id: id, ..key_of(&with_key(registry, "key-1").await.0, "key-2") };
        let errors = [
            registry.get_application(id).await.map(|_| ()),
            registry.update_application(id, named("skyfall")).await.map(|_| ()),
            registry.create_authorization(nowhere.clone()).await.map(|_| ()),
            registry.set_enabled(id, true).await.map(|_| ()),
            registry.set_scopes(id, Scopes::INGEST).await.map(|_| ()),
            registry.rotate(id, nowhere, None).await.map(|_| ()),
        ];
        for error in errors {
            assert!(matches!(error, Err(RegistryError::NotFound { id: missing, .. }) if missing == id), "{error:?}");
        }
        assert_eq!(look_up(registry, "key-2").await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_breaks_a_rule_is_refused_by_every_way_in() {
    on_both(async |registry| {
        let (app, key) = with_key(registry, "key-1").await;
        let nameless = NewAuthorization { name: String::new(), ..key_of(&app, "key-2") };
        let errors = [
            registry.create_application(named("")).await.map(|_| ()),
            registry.update_application(app.application_id, named("")).await.map(|_| ()),
            registry.create_authorization(nameless.clone()).await.map(|_| ()),
            registry.rotate(key.api_key_id, nameless, None).await.map(|_| ()),
        ];
        for error in errors {
            assert!(matches!(error, Err(RegistryError::Invalid { field: "name", .. })), "{error:?}");
        }
        let nothing = Scopes { ingest_client: false, ingest_server: false, read: false };
        let useless =
            registry.create_authorization(NewAuthorization { scopes: nothing, ..key_of(&app, "key-3") }).await;
        assert!(matches!(useless, Err(RegistryError::Invalid { field: "scopes", .. })), "{useless:?}");
        let useless = registry.set_scopes(key.api_key_id, nothing).await;
        assert!(matches!(useless, Err(RegistryError::Invalid { field: "scopes", .. })), "{useless:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_key_is_found_as_such_and_can_be_enabled_again() {
    on_both(async |registry| {
        let (_, key) = with_key(registry, "key-1").await;
        for enabled in [false, true] {
            let set = registry.set_enabled(key.api_key_id, enabled).await.expect("sets");
            assert_eq!((set.enabled, set.created_at_ms), (enabled, key.created_at_ms));
            assert_eq!(look_up(registry, "key-1").await.expect("is there").authorization, set);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_may_be_used_for_can_be_changed() {
    on_both(async |registry| {
        let (_, key) = with_key(registry, "key-1").await;
        registry.set_enabled(key.api_key_id, false).await.expect("sets");
        for scopes in ["read", "ingest-client,read", "ingest-client,ingest-server"] {
            let scopes: Scopes = scopes.parse().expect("scopes");
            let set = registry.set_scopes(key.api_key_id, scopes).await.expect("changes");
            assert_eq!((set.scopes, set.enabled, set.created_at_ms), (scopes, false, key.created_at_ms));
            assert_eq!(look_up(registry, "key-1").await.expect("is there").authorization, set);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_adds_the_new_key_and_disables_the_old_one_or_does_neither() {
    on_both(async |registry| {
        let (application, old) = with_key(registry, "old-key").await;
        let (other, _) = with_key(registry, "taken-key").await;
        let taken = registry.rotate(old.api_key_id, key_of(&application, "taken-key"), None).await;
        assert!(matches!(taken, Err(RegistryError::Invalid { field: "key", .. })), "{taken:?}");
        let elsewhere = registry.rotate(old.api_key_id, key_of(&other, "new-key"), None).await;
        assert!(matches!(elsewhere, Err(RegistryError::Invalid { field: "application_id", .. })), "{elsewhere:?}");
        assert!(registry.get_authorization(old.api_key_id).await.expect("is there").enabled);
        assert_eq!(look_up(registry, "new-key").await, None);

        let new = registry.rotate(old.api_key_id, key_of(&application, "new-key"), None).await.expect("rotates");
        assert!(new.enabled);
        assert!(!registry.get_authorization(old.api_key_id).await.expect("is there").enabled);
        assert_eq!(look_up(registry, "new-key").await.expect("is there").authorization, new);
        assert!(registry.clear_keys().await.expect("lists").is_empty(), "only hashes are kept");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_with_an_overlap_has_the_old_key_expire_and_never_later_than_it_would() {
    on_both(async |registry| {
        let (application, old) = with_key(registry, "key-1").await;
        let second =
            registry.rotate(old.api_key_id, key_of(&application, "key-2"), Some(9_000)).await.expect("rotates");
        let replaced = registry.get_authorization(old.api_key_id).await.expect("is there");
        assert_eq!((replaced.enabled, replaced.expires_at_ms), (true, Some(9_000)));
        assert_eq!((second.enabled, second.expires_at_ms), (true, None));
        assert_eq!(look_up(registry, "key-1").await.expect("is there").authorization, replaced);

        // It has an end already, which a longer overlap does not move and a shorter one does.
        for (key, overlap, expires_at_ms) in [("key-3", 99_000, 9_000), ("key-4", 8_000, 8_000)] {
            registry.rotate(old.api_key_id, key_of(&application, key), Some(overlap)).await.expect("rotates");
            let replaced = registry.get_authorization(old.api_key_id).await.expect("is there");
            assert_eq!((replaced.enabled, replaced.expires_at_ms), (true, Some(expires_at_ms)));
        }
        // A disabled key stays disabled.
        registry.set_enabled(old.api_key_id, false).await.expect("disables");
        registry.rotate(old.api_key_id, key_of(&application, "key-5"), Some(9_000)).await.expect("rotates");
        assert!(!registry.get_authorization(old.api_key_id).await.expect("is there").enabled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_use_of_a_key_is_kept_and_changes_nothing_else() {
    on_both(async |registry| {
        let (application, key) = with_key(registry, "key-1").await;
        let (other, other_key) = with_key(registry, "key-2").await;
        let (id, place) = (key.api_key_id, application.application_id);
        let gone = Uuid::from_u128(9);
        registry
            .note_used(&[(place, id, 5_000), (place, gone, 5_000), (gone, other_key.api_key_id, 5_000)])
            .await
            .expect("notes");
        registry.note_used(&[(place, id, 4_000)]).await.expect("notes");
        registry.note_used(&[]).await.expect("notes nothing");
        let used = Authorization { last_used_at_ms: Some(5_000), ..key };
        assert_eq!(registry.get_authorization(id).await.expect("is there"), used);
        assert_eq!(look_up(registry, "key-1").await.expect("is there").authorization, used);
        registry.note_used(&[(place, id, 6_000)]).await.expect("notes");
        let used = registry.get_authorization(id).await.expect("is there");
        assert_eq!(used.last_used_at_ms, Some(6_000));
        let listed = registry.list_authorizations(other.application_id).await.expect("lists");
        assert_eq!(listed, [other_key], "a key that is of another application is not touched");
        let missing = registry.get_authorization(gone).await;
        assert!(matches!(missing, Err(RegistryError::NotFound { .. })), "nothing is made: {missing:?}");
    })
    .await;
}

/// Two commands at once: DynamoDB cancels one transaction for the other's sake, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn keys_made_while_their_application_goes_let_nobody_in() {
    on_both(async |registry| {
        let application = registry.create_application(named("skyfall")).await.expect("creates");
        let keys: Vec<String> = (0..20).map(|number| format!("key-{number}")).collect();
        let made = keys.iter().map(|key| registry.create_authorization(key_of(&application, key)));
        let (made, removed) = futures_util::join!(
            futures_util::future::join_all(made),
            registry.delete_application(application.application_id)
        );
        removed.expect("deletes");
        assert!(made.iter().all(|made| matches!(
            made,
            Ok(_) | Err(RegistryError::NotFound { what: "application", .. } | RegistryError::Unavailable(_))
        )));
        for key in &keys {
            assert_eq!(look_up(registry, key).await, None, "{key}");
        }
    })
    .await;
}
