//! What every registry's books promise, asked of both; and a DynamoDB that lacks their table.

use futures_util::future::join_all;
use headgate::registry::{
    AuditEntry, AuditQuery, Books, Identity, IdentityField, Registry, RegistryError, Schema, SchemaMode, Secret,
    Suppression,
};
use headgate_tests::ministack::{self, MiniStack, TABLES};
use uuid::Uuid;

use super::contract::{named, on_both_with_books};
use super::{command, foreign_application, foreign_key, gateway, publish, registry};

fn line(application_id: Option<Uuid>, act: &str) -> AuditEntry {
    AuditEntry {
        id: Uuid::now_v7(),
        at_ms: 1_700_000_000_123,
        actor: "local".to_owned(),
        via: "command-line".to_owned(),
        act: act.to_owned(),
        application_id,
        subject: application_id.map(|_| "läuft".to_owned()),
        detail: String::new(),
    }
}

async fn application(registry: &dyn Registry, name: &str) -> Uuid {
    registry.create_application(named(name)).await.expect("creates").application_id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_read_backwards_in_pages_of_all_or_of_one_application() {
    on_both_with_books(async |_, books| {
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut written = Vec::new();
        for number in 0..12 {
            // One that is gone, or that never was: the log is of what was done.
            let application = [Some(first), Some(second), None][number % 3];
            written.push(line(application, &format!("act.{number}")));
            books.append_audit(written[number].clone()).await.expect("writes");
        }
        written.reverse();
        let read = async |application_id, before, limit| {
            books.audit(&AuditQuery { application_id, before, limit }).await.expect("reads")
        };
        assert_eq!(read(None, None, 1_000).await, written);
        let page = read(None, None, 5).await;
        assert_eq!(page, written[..5]);
        assert_eq!(read(None, Some(page[4].id), 5).await, written[5..10]);
        let of_second: Vec<_> = written.iter().filter(|line| line.application_id == Some(second)).cloned().collect();
        assert_eq!(read(Some(second), None, 1_000).await, of_second);
        assert_eq!(read(Some(second), Some(of_second[0].id), 2).await, of_second[1..3]);
        assert!(read(Some(Uuid::from_u128(3)), None, 10).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_has_versions_of_which_the_latest_holds() {
    on_both_with_books(async |registry, books| {
        let (game, other) = (application(registry, "Skyfall").await, application(registry, "Deep").await);
        assert!(books.schemas(None).await.expect("lists").is_empty());
        let put = async |application, event_type: &str, mode, schema: &str| {
            books.put_schema(application, event_type, mode, schema).await
        };
        let first = put(game, "login", SchemaMode::Warn, "{}").await.expect("puts");
        assert_eq!((first.version, first.mode, first.schema.as_str()), (1, SchemaMode::Warn, "{}"));
        let second = put(game, "login", SchemaMode::Enforce, r#"{"type":"object"}"#).await.expect("puts");
        // Its name begins as the other's.
        let longer = put(game, "login.failed", SchemaMode::Off, "{}").await.expect("puts");
        let of_other = put(other, "login", SchemaMode::Off, "{}").await.expect("puts");
        assert_eq!([second.version, longer.version, of_other.version], [2, 1, 1]);

        let listed = |mut schemas: Vec<Schema>| {
            schemas.sort_by_key(|schema| (schema.application_id, schema.event_type.clone()));
            schemas
        };
        let all = listed(vec![second.clone(), longer.clone(), of_other.clone()]);
        assert_eq!(books.schemas(None).await.expect("lists"), all);
        assert_eq!(books.schemas(Some(game)).await.expect("lists"), [second.clone(), longer.clone()]);
        let versions = async || books.schema_versions(game, "login").await.expect("lists");
        assert_eq!(versions().await, [second.clone(), first.clone()]);

        let changed = books.set_schema_mode(game, "login", SchemaMode::Off).await.expect("changes");
        assert_eq!(changed, Schema { mode: SchemaMode::Off, ..second });
        assert_eq!(versions().await, [changed.clone(), first]);
        assert_eq!(books.schemas(Some(game)).await.expect("lists"), [changed, longer.clone()]);
        assert!(books.schemas(None).await.expect("lists").iter().all(|schema| schema.mode == SchemaMode::Off));

        assert!(books.delete_schema(game, "login").await.expect("deletes"));
        assert!(!books.delete_schema(game, "login").await.expect("deletes nothing"));
        assert!(versions().await.is_empty());
        assert_eq!(books.schemas(None).await.expect("lists"), listed(vec![longer, of_other.clone()]));
        let missing = books.set_schema_mode(game, "login", SchemaMode::Off).await;
        assert!(matches!(missing, Err(RegistryError::NotFound { id, .. }) if id == game), "{missing:?}");
        assert_eq!(put(game, "login", SchemaMode::Off, "{}").await.expect("puts").version, 1);

        registry.delete_application(game).await.expect("deletes");
        assert_eq!(books.schemas(None).await.expect("lists"), [of_other], "schemas go with their application");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_schema_or_no_player_is_refused_with_the_rule() {
    on_both_with_books(async |registry, books| {
        let game = application(registry, "Skyfall").await;
        let large = format!(r#"{{"title":"{}"}}"#, "x".repeat(64 << 10));
        let wrong = [
            ("", "{}", "event_type"),
            ("log in", "{}", "event_type"),
            ("login", "[]", "schema"),
            ("login", "{", "schema"),
            ("login", &large, "schema"),
        ];
        for (event_type, schema, at_fault) in wrong {
            let refused = books.put_schema(game, event_type, SchemaMode::Warn, schema).await;
            assert!(
                matches!(refused, Err(RegistryError::Invalid { field, .. }) if field == at_fault),
                "{event_type:?}: {refused:?}"
            );
        }
        for player in [String::new(), "x".repeat(513)] {
            let refused = books.suppress(game, &player).await;
            assert!(matches!(refused, Err(RegistryError::Invalid { field: "player_id", .. })), "{refused:?}");
        }
        let nowhere = Uuid::from_u128(1);
        let errors = [
            books.put_schema(nowhere, "login", SchemaMode::Warn, "{}").await.map(|_| ()),
            books.suppress(nowhere, "player-1").await.map(|_| ()),
        ];
        for error in errors {
            assert!(matches!(error, Err(RegistryError::NotFound { what: "application", .. })), "{error:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_is_suppressed_once_and_until_it_is_taken_back() {
    on_both_with_books(async |registry, books| {
        let (game, other) = (application(registry, "Skyfall").await, application(registry, "Deep").await);
        let players = async |application| {
            let mut players = books.suppressions(application).await.expect("lists");
            players.sort_by_key(|one: &Suppression| (one.application_id == other, one.player_id.clone()));
            players
        };
        assert!(players(None).await.is_empty());
        let before = books.revisions().await.expect("is asked");
        let first = books.suppress(game, "ädä #1").await.expect("suppresses");
        assert_eq!(books.suppress(game, "ädä #1").await.expect("is suppressed"), first);
        let elsewhere = books.suppress(other, "ädä #1").await.expect("suppresses");
        let second = books.suppress(game, &"x".repeat(512)).await.expect("suppresses");
        assert_eq!(players(None).await, [second.clone(), first.clone(), elsewhere.clone()]);
        assert_eq!(players(Some(game)).await, [second.clone(), first]);
        assert!(books.unsuppress(game, "ädä #1").await.expect("takes back"));
        assert!(!books.unsuppress(game, "ädä #1").await.expect("there is nothing"));
        assert_eq!(players(None).await, [second, elsewhere.clone()]);
        let after = books.revisions().await.expect("is asked");
        assert_eq!(after.schemas, before.schemas);
        assert!(after.suppressions >= before.suppressions + 4, "{before:?} {after:?}");
        assert_eq!(books.revisions().await.expect("is asked"), after, "asking is no change");
        registry.delete_application(game).await.expect("deletes");
        assert_ne!(books.revisions().await.expect("is asked"), after);
        assert_eq!(players(None).await, [elsewhere]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_ids_are_hashed_is_changed_by_one_at_a_time_and_goes_with_the_application() {
    on_both_with_books(async |registry, books| {
        let (game, other) = (application(registry, "Skyfall").await, application(registry, "Deep").await);
        let secret = |generation| Secret::generate(generation).expect("randomness");
        let first = Identity {
            application_id: game,
            version: 1,
            fields: vec![IdentityField::PlayerId, IdentityField::Device],
            secrets: vec![secret(1)],
            changed_at_ms: 1_700_000_000_123,
        };
        let elsewhere = Identity { application_id: other, fields: Vec::new(), ..first.clone() };
        let before = books.revisions().await.expect("is asked");
        assert!(books.identities().await.expect("lists").readable.is_empty());
        assert!(books.put_identity(&first).await.expect("is kept"));
        assert!(books.put_identity(&elsewhere).await.expect("is kept"));
        assert_eq!(books.identity(game).await.expect("is read"), Some(first.clone()));

        let second = Identity { version: 2, secrets: vec![first.secrets[0].clone(), secret(2)], ..first.clone() };
        assert!(books.put_identity(&second).await.expect("is kept"));
        for late in
            [Identity { fields: Vec::new(), ..second.clone() }, first, Identity { version: 9, ..second.clone() }]
        {
            assert!(!books.put_identity(&late).await.expect("somebody was quicker"), "version {}", late.version);
        }
        let mut all = books.identities().await.expect("lists").readable;
        all.sort_by_key(|one| one.application_id == other);
        assert_eq!(all, [second, elsewhere.clone()]);
        let after = books.revisions().await.expect("is asked");
        assert!(after.identities >= before.identities + 3 && after.schemas == before.schemas, "{before:?} {after:?}");

        let nowhere = Identity { application_id: Uuid::from_u128(1), ..elsewhere.clone() };
        let refused = books.put_identity(&nowhere).await;
        assert!(matches!(refused, Err(RegistryError::NotFound { what: "application", .. })), "{refused:?}");
        registry.delete_application(game).await.expect("deletes");
        assert_eq!(books.identities().await.expect("lists").readable, [elsewhere]);
    })
    .await;
}

/// DynamoDB cancels transactions that meet; nothing of that is to be seen.
#[tokio::test(flavor = "multi_thread")]
async fn changes_made_at_once_are_all_made() {
    on_both_with_books(async |registry, books| {
        let game = application(registry, "Skyfall").await;
        let names: Vec<String> = (0..8).map(|number| format!("player-{number}")).collect();
        for made in join_all(names.iter().map(|player| books.suppress(game, player))).await {
            made.expect("suppresses");
        }
        assert_eq!(books.suppressions(None).await.expect("lists").len(), names.len());
        let puts = (0..4).map(|_| books.put_schema(game, "login", SchemaMode::Warn, "{}"));
        let mut versions: Vec<u32> = join_all(puts).await.into_iter().map(|made| made.expect("puts").version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2, 3, 4]);
    })
    .await;
}

/// Two gateways: what one changes, the other sees at its next look, though it remembers what it read.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_sees_what_another_has_changed() {
    let (emulator, _) = MiniStack::with_tables().await;
    let (here, there) = (registry(emulator.address()).await, registry(emulator.address()).await);
    let game = application(&here, "Skyfall").await;
    for number in 1..=3 {
        here.suppress(game, &format!("player-{number}")).await.expect("suppresses");
        here.put_schema(game, "login", SchemaMode::Warn, "{}").await.expect("puts");
        for _ in 0..2 {
            assert_eq!(there.suppressions(None).await.expect("lists").len(), number);
            assert_eq!(there.schemas(None).await.expect("lists")[0].version as usize, number);
        }
    }
}

/// An installation of before there were books.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_table_of_the_books_events_flow_and_changes_say_what_is_missing_before_they_are_made() {
    let emulator = MiniStack::start().await;
    let client = emulator.dynamodb().await;
    ministack::create_tables(&client, TABLES).await;
    let data = tempfile::tempdir().expect("a folder");
    let game = foreign_application(&client, "Skyfall").await;
    let (id, key) = foreign_key(&client, game).await;
    let gateway = gateway(data.path(), emulator.address(), &[]).await;
    publish(&gateway.target(&key)).await.expect("the key is good");

    let id = id.to_string();
    let changes: [&[&str]; 4] = [
        &["apps", "create", "Deep"],
        &["keys", "create", "Skyfall", "--name", "server"],
        &["keys", "disable", &id],
        &["apps", "delete", "Skyfall"],
    ];
    for change in changes {
        let (code, _, stderr) = command(data.path(), emulator.address(), change);
        assert_eq!(code, Some(1), "{change:?}");
        assert!(stderr.contains("headgate-books") && stderr.contains("registry.dynamodb.books_table"), "{stderr}");
    }
    let registry = registry(emulator.address()).await;
    assert_eq!(registry.list_applications().await.expect("lists").len(), 1, "nothing was changed");
    assert!(registry.list_authorizations(game).await.expect("lists").iter().all(|key| key.enabled));
    publish(&gateway.target(&key)).await.expect("the key is good");

    ministack::create_books(&client, ministack::BOOKS).await;
    let (code, _, stderr) = command(data.path(), emulator.address(), &["apps", "create", "Deep"]);
    assert_eq!(code, Some(0), "{stderr}");
}
