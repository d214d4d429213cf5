//! Schemas and suppressed players of a fleet: what is put through one gateway holds on every gateway.

use headgate_proto::v1::{BatchVerdict, Event};
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::ministack::MiniStack;
use headgate_tests::{lake, poll};

use super::{foreign_application, foreign_key, gateway, registry, run};
use crate::PATIENCE;

async fn publish(target: &Target, event_data: &str) -> BatchVerdict {
    let event = Event { event_data: event_data.as_bytes().to_vec().into(), ..login() };
    let mut connection = Connection::open(target).await.expect("it listens");
    connection.publish(vec![event]).await.expect("it answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_puts_holds_on_every_gateway_within_seconds() {
    let (emulator, client) = MiniStack::with_tables().await;
    let application = foreign_application(&client, "Skyfall").await;
    let (_, key) = foreign_key(&client, application).await;
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let mut gateways = Vec::new();
    for folder in &folders {
        gateways.push(gateway(folder.path(), emulator.address(), &[]).await);
    }
    let schema = folders[0].path().join("schema.json");
    std::fs::write(&schema, r#"{"required":["player_id"]}"#).expect("writes");
    let (id, schema) = (application.to_string(), schema.display().to_string());
    let put = ["schemas", "put", &id, "login", &schema, "--mode", "enforce"];
    assert_eq!(run(folders[0].path(), emulator.address(), &put)["version"], 1);
    for gateway in &gateways {
        let target = gateway.target(&key);
        poll::until("the schema holds", PATIENCE, async || (publish(&target, "{}").await.rejected == 1).then_some(()))
            .await;
        assert_eq!(publish(&target, r#"{"player_id":"stays"}"#).await.accepted, 1);
    }

    let books = registry(emulator.address()).await;
    headgate::registry::Books::suppress(&books, application, "forgotten").await.expect("suppresses");
    let mut stored = Vec::new();
    for gateway in &mut gateways {
        let target = gateway.target(&key);
        poll::until("the suppression holds", PATIENCE, async || {
            assert_eq!(publish(&target, r#"{"player_id":"forgotten"}"#).await.accepted, 1);
            let scrape = gateway.metrics().await;
            (scrape.sum("headgate_events_settled_total", &["verdict=\"suppressed\""]) > 0.0).then_some(())
        })
        .await;
        let _ = gateway.compact().await;
        stored.push(lake::rows(&gateway.lake()).len());
    }

    // A gateway that starts anew knows both before its first event.
    for (gateway, stored) in gateways.iter_mut().zip(stored) {
        assert!(gateway.terminate(PATIENCE).await.success());
        gateway.start_again().await;
        let target = gateway.target(&key);
        assert_eq!(publish(&target, "{}").await.rejected, 1);
        assert_eq!(publish(&target, r#"{"player_id":"forgotten"}"#).await.accepted, 1);
        let _ = gateway.compact().await;
        assert_eq!(lake::rows(&gateway.lake()).len(), stored);
    }
}
