//! `headgate keys migrate`: readable keys become hashes, and work all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headgate::registry::{ClearKey, Registry};
use headgate_tests::binary;
use headgate_tests::ministack::{MiniStack, TABLES};
use serde_json::json;

use super::{
    command, edit_key, foreign_application, foreign_key, gateway, hash, key_row, publish, registry, run, text,
};

#[tokio::test(flavor = "multi_thread")]
async fn migrated_keys_are_hashes_and_go_on_working_at_once() {
    let (emulator, client) = MiniStack::with_tables().await;
    let data = tempfile::tempdir().expect("a folder");
    let application = foreign_application(&client, "Skyfall").await;
    let (known_id, known) = foreign_key(&client, application).await;
    let (fresh_id, fresh) = foreign_key(&client, application).await;
    let gateway = gateway(data.path(), emulator.address(), &[]).await;
    publish(&gateway.target(&known)).await.expect("a readable key lets in");

    let dry = run(data.path(), emulator.address(), &["keys", "migrate", "--dry-run"]);
    assert_eq!((&dry["found"], &dry["migrated"], &dry["dry_run"]), (&json!(2), &json!(0), &json!(true)));
    assert_eq!(key_row(&client, application, known_id).await["api_key_value"], text(&known), "nothing is changed");

    let done = run(data.path(), emulator.address(), &["keys", "migrate"]);
    assert_eq!((&done["found"], &done["migrated"], &done["failed"]), (&json!(2), &json!(2), &json!([])));
    for (id, key) in [(known_id, &known), (fresh_id, &fresh)] {
        let row = key_row(&client, application, id).await;
        assert!(!row.contains_key("api_key_value"), "no key is readable any more");
        assert_eq!(row["api_key_hash"], text(hash(key)));
        assert_eq!(row["updated_at"], text("2024-02-03T04:05:07Z"), "nobody has changed the key itself");
        publish(&gateway.target(key)).await.expect("it goes on working");
    }
    let again = run(data.path(), emulator.address(), &["keys", "migrate"]);
    assert_eq!((&again["found"], &again["migrated"]), (&json!(0), &json!(0)));
    let listed = run(data.path(), emulator.address(), &["keys", "list"]);
    assert!(listed["keys"].as_array().expect("a list").iter().all(|key| {
        let masked = key["masked_key"].as_str().expect("a text");
        [&known, &fresh].iter().any(|key| masked == format!("****{}", &key[key.len() - 4..]))
    }));
}

/// A look-up at any moment of the migration finds the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_at_every_moment_of_its_migration() {
    let (emulator, client) = MiniStack::with_tables().await;
    let application = foreign_application(&client, "Skyfall").await;
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(foreign_key(&client, application).await.1);
    }
    let over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (over, keys, address) = (Arc::clone(&over), keys.clone(), emulator.address());
        async move {
            let mut looked_up = 0;
            while !over.load(Ordering::Relaxed) {
                // One that has never seen the keys before.
                let stranger = registry(address).await;
                for key in &keys {
                    assert!(stranger.find_key(&hash(key), key).await.expect("looks up").is_some());
                    looked_up += 1;
                }
            }
            looked_up
        }
    });
    let migrator = registry(emulator.address()).await;
    for key in migrator.clear_keys().await.expect("lists") {
        assert!(migrator.hash_clear_key(&key).await.expect("hashes"));
        assert!(!migrator.hash_clear_key(&key).await.expect("there is nothing to do"));
    }
    over.store(true, Ordering::Relaxed);
    assert!(watcher.await.expect("every key was found") >= keys.len());
    assert!(migrator.clear_keys().await.expect("lists").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_broke_off_is_taken_up_and_takes_rows_along_that_are_bad_otherwise() {
    let (emulator, client) = MiniStack::with_tables().await;
    let data = tempfile::tempdir().expect("a folder");
    let application = foreign_application(&client, "Skyfall").await;
    let (half_id, half) = foreign_key(&client, application).await;
    // As it lies after a break between the two writes.
    edit_key(&client, application, half_id, "SET api_key_hash = :value", text(hash(&half))).await;
    // A row that lets nobody in, for want of everything else.
    client
        .put_item()
        .table_name(TABLES.authorizations)
        .item("api_key_id", text("row-7"))
        .item("application_id", text(application))
        .item("api_key_value", text("key"))
        .send()
        .await
        .expect("the emulator takes it");
    let (_, whole) = foreign_key(&client, application).await;
    let (code, stdout, stderr) = command(data.path(), emulator.address(), &["keys", "migrate"]);
    assert_eq!(code, Some(0), "{stdout} {stderr}");
    let registry = registry(emulator.address()).await;
    for key in [&half, &whole] {
        assert!(registry.find_key(&hash(key), key).await.expect("looks up").is_some());
    }
    assert!(registry.clear_keys().await.expect("lists").is_empty());
    let gone = ClearKey { api_key_id: "no".to_owned(), application_id: "where".to_owned() };
    assert!(!registry.hash_clear_key(&gone).await.expect("there is nothing to do"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_registry_has_nothing_to_migrate() {
    let data = tempfile::tempdir().expect("a folder");
    let _ = binary::run_json(data.path(), &["apps", "create", "Skyfall"]);
    let _ = binary::run_json(data.path(), &["keys", "create", "Skyfall", "--name", "server"]);
    let done = binary::run_json(data.path(), &["keys", "migrate"]);
    assert_eq!((&done["found"], &done["migrated"], &done["failed"]), (&json!(0), &json!(0), &json!([])));
}
