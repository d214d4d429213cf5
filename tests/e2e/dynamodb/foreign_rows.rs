//! Rows that the AWS solution wrote, and rows that nobody should have written.

use aws_sdk_dynamodb::types::AttributeValue;
use headgate::registry::{KeyHash, NewApplication, Registry, RegistryError};
use headgate_tests::ministack::{self, MiniStack, TABLES, Tables};
use uuid::Uuid;

use super::{edit_key, foreign_application, foreign_key, hash, key_row, put_key, registry, run, text};

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_aws_solution_are_listed_shown_switched_rotated_and_deleted() {
    let (emulator, client) = MiniStack::with_tables().await;
    let data = tempfile::tempdir().expect("a folder");
    let application = foreign_application(&client, "Skyfall").await;
    let (id, key) = foreign_key(&client, application).await;
    let cli = |line: &[&str]| run(data.path(), emulator.address(), line);

    let shown = cli(&["apps", "show", "Skyfall"]);
    assert_eq!(shown["application_id"], application.to_string());
    assert_eq!((&shown["created_at"], &shown["route"]), (&"2024-02-03T04:05:06Z".into(), &serde_json::Value::Null));
    let listed = cli(&["keys", "list", "Skyfall"]);
    let listed = &listed["keys"][0];
    assert_eq!((&listed["api_key_id"], &listed["enabled"]), (&id.to_string().into(), &true.into()));
    assert_eq!(listed["masked_key"], format!("****{}", &key[key.len() - 4..]), "never the key itself");
    assert_eq!(listed["created_at"], "2024-02-03T04:05:07Z");

    let registry = registry(emulator.address()).await;
    let found = registry.find_key(&hash(&key), &key).await.expect("looks up").expect("is there");
    assert_eq!((found.authorization.api_key_id, found.application.application_id), (id, application));
    assert!(!cli(&["keys", "disable", &id.to_string()])["enabled"].as_bool().expect("a flag"));
    let row = key_row(&client, application, id).await;
    assert_eq!(row["enabled"], AttributeValue::Bool(false), "where the AWS solution looks for it");
    assert_eq!(row["api_key_value"], text(&key), "which goes on knowing the key");
    assert_ne!(row["updated_at"], text("2024-02-03T04:05:07Z"));
    cli(&["keys", "enable", &id.to_string()]);
    let rotated = cli(&["keys", "rotate", &id.to_string()]);
    assert!(rotated["api_key"].as_str().expect("a key").starts_with("hg_"));
    assert_eq!(key_row(&client, application, id).await["enabled"], AttributeValue::Bool(false));

    let changed = cli(&["apps", "update", "Skyfall", "--events-per-second", "7", "--route", "firehose"]);
    assert_eq!((&changed["route"], &changed["limits"]["events_per_second"]), (&"firehose".into(), &7.into()));
    assert_eq!(changed["description"], "made by the AWS solution");
    assert!(cli(&["keys", "delete", &id.to_string()])["deleted"].as_bool().expect("a flag"));
    assert!(cli(&["apps", "delete", "Skyfall"])["deleted"].as_bool().expect("a flag"));
    assert_eq!(client.scan().table_name(TABLES.authorizations).send().await.expect("scans").count(), 0);
}

/// The registry remembers where a key's row is; what the row says by then counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_vanished_or_is_another_keys_now_lets_nobody_in() {
    let (emulator, client) = MiniStack::with_tables().await;
    let application = foreign_application(&client, "Skyfall").await;
    let registry = registry(emulator.address()).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        let (id, key) = foreign_key(&client, application).await;
        assert!(registry.find_key(&hash(&key), &key).await.expect("looks up").is_some());
        keys.push((id, key));
    }
    let hashes: Vec<KeyHash> = keys.iter().map(|(_, key)| hash(key)).collect();
    let there = async || -> Vec<bool> {
        let answers = registry.keys_by_hash(&hashes).await.expect("looks up");
        answers.into_iter().map(|answer| answer.expect("a good row").is_some()).collect()
    };
    assert_eq!(there().await, [true; 4]);

    edit_key(&client, application, keys[0].0, "SET api_key_value = :value", text("another-key")).await;
    let row = client.delete_item().table_name(TABLES.authorizations);
    row.key("api_key_id", text(keys[1].0)).key("application_id", text(application)).send().await.expect("deletes");
    let hashed = "SET api_key_hash = :value REMOVE api_key_value";
    edit_key(&client, application, keys[2].0, hashed, text(hash("yet another"))).await;
    assert_eq!(there().await, [false, false, false, true]);
    for (_, key) in &keys[..3] {
        assert_eq!(registry.find_key(&hash(key), key).await.expect("looks up"), None);
    }
    assert!(registry.find_key(&hash("another-key"), "another-key").await.expect("looks up").is_some());

    let row = client.delete_item().table_name(TABLES.applications);
    row.key("application_id", text(application)).send().await.expect("deletes");
    assert_eq!(there().await, [false; 4], "without its application, a key lets nobody in");
    assert_eq!(registry.find_key(&hash(&keys[3].1), &keys[3].1).await.expect("looks up"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_is_an_error_of_its_own_and_keeps_no_other_key_from_being_looked_up() {
    let (emulator, client) = MiniStack::with_tables().await;
    let (good, bad) = (foreign_application(&client, "Good").await, foreign_application(&client, "Bad").await);
    let (_, good_key) = foreign_key(&client, good).await;
    let (flawed_id, flawed_key) = foreign_key(&client, good).await;
    let (_, lost_key) = foreign_key(&client, bad).await;
    let registry = registry(emulator.address()).await;
    let keys = [&good_key, &flawed_key, &lost_key];
    for key in keys {
        assert!(registry.find_key(&hash(key), key).await.expect("looks up").is_some());
    }
    edit_key(&client, good, flawed_id, "SET enabled = :value", text("yes")).await;
    client
        .update_item()
        .table_name(TABLES.applications)
        .key("application_id", text(bad))
        .update_expression("SET route = :value")
        .expression_attribute_values(":value", text("by-pigeon"))
        .send()
        .await
        .expect("the emulator takes it");

    let answers = registry.keys_by_hash(&keys.map(|key| hash(key))).await.expect("looks up");
    assert!(matches!(&answers[0], Ok(Some(record)) if record.application.application_id == good), "{answers:?}");
    assert!(matches!(&answers[1], Err(RegistryError::BadRow { attribute: "enabled", .. })), "{answers:?}");
    assert!(matches!(&answers[2], Err(RegistryError::BadRow { attribute: "route", .. })), "{answers:?}");
    for key in [&flawed_key, &lost_key] {
        let presented = registry.find_key(&hash(key), key).await;
        assert!(matches!(presented, Err(RegistryError::BadRow { .. })), "{presented:?}");
    }
    let row = flawed_id.to_string();
    assert!(matches!(&answers[1], Err(error) if error.to_string().contains(&row)), "the message names the row");
    // Lists go on without it; asked for itself, it is an error.
    let named: Vec<String> =
        registry.list_applications().await.expect("lists").into_iter().map(|app| app.name).collect();
    assert_eq!(named, ["Good"]);
    assert_eq!(registry.list_authorizations(good).await.expect("lists").len(), 1);
    let asked = registry.get_application(bad).await;
    assert!(matches!(asked, Err(RegistryError::BadRow { attribute: "route", .. })), "{asked:?}");
    // A bad row can be removed.
    assert!(registry.delete_authorization(flawed_id).await.expect("deletes"));
    assert!(registry.delete_application(bad).await.expect("deletes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_whole_when_they_take_several_pages() {
    let (emulator, client) = MiniStack::with_tables().await;
    let padding = "x".repeat(300 << 10);
    let application = foreign_application(&client, "Skyfall").await;
    // A page ends at 1 MiB.
    for number in 0..8 {
        let (hash, padding) = (text(hash(&number.to_string())), text(&padding));
        let more = [("api_key_hash", hash), ("padding", padding.clone())];
        put_key(&client, application, Uuid::new_v4(), &more).await;
        let id = foreign_application(&client, &format!("app-{number}")).await;
        let update = client.update_item().table_name(TABLES.applications).key("application_id", text(id));
        let update =
            update.update_expression("SET padding = :padding").expression_attribute_values(":padding", padding);
        update.send().await.expect("the emulator takes it");
    }
    let page = client.scan().table_name(TABLES.applications).send().await.expect("scans");
    assert!(page.last_evaluated_key().is_some(), "one page is not enough");
    let registry = registry(emulator.address()).await;
    assert_eq!(registry.list_applications().await.expect("lists").len(), 9);
    assert_eq!(registry.list_authorizations(application).await.expect("lists").len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_set_up_is_named_with_the_mend() {
    let emulator = MiniStack::start().await;
    let registry = registry(emulator.address()).await;
    let new = NewApplication { name: "skyfall".to_owned(), ..NewApplication::default() };
    let errors = [
        registry.list_applications().await.map(|_| ()),
        registry.create_application(new).await.map(|_| ()),
        registry.find_key(&hash("key"), "key").await.map(|_| ()),
        registry.keys_by_hash(&[hash("key")]).await.map(|_| ()),
    ];
    for error in errors {
        let error = error.expect_err("there are no tables");
        assert!(matches!(error, RegistryError::NotSetUp { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(TABLES.applications) || said.contains(TABLES.authorizations), "{said}");
        assert!(said.contains("create it"), "{said}");
    }

    // The AWS solution's table without our index.
    let client = emulator.dynamodb().await;
    ministack::create_tables(&client, Tables { applications: "A-1", authorizations: "K-1" }).await;
    let mut settings = headgate::config::Settings::default();
    settings.registry.dynamodb.applications_table = "A-1".to_owned();
    settings.registry.dynamodb.authorizations_table = "A-1".to_owned();
    let registry = super::registry_with(emulator.address(), &settings).await;
    let error = registry.find_key(&hash("key"), "key").await.expect_err("there is no such index").to_string();
    assert!(error.contains("ApiKeyHashes") && error.contains("create the indexes"), "{error}");
}
