//! Hashed ids of a fleet: every gateway hashes alike, and a row that can't be read stops its own game on all of them.

use aws_sdk_dynamodb::Client;
use headgate_proto::v1::Event;
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::ministack::{BOOKS, MiniStack};
use headgate_tests::{lake, poll};
use serde_json::Value;
use tonic::Code;
use uuid::Uuid;

use super::{foreign_application, foreign_key, gateway, run, text};
use crate::PATIENCE;

const PLAYER: &str = "anna-the-player";

async fn publish(target: &Target, player: &str) -> Result<u32, Code> {
    let event_data = format!(r#"{{"player_id":"{player}"}}"#);
    let event = Event { event_data: event_data.into_bytes().into(), ..login() };
    let mut connection = Connection::open(target).await.expect("it listens");
    connection.publish(vec![event]).await.map(|verdict| verdict.accepted).map_err(|status| status.code())
}

/// Changes the row past every gateway and every revision.
async fn write_fields(client: &Client, application: Uuid, fields: &str) {
    let update = client.update_item().table_name(BOOKS).key("book", text("identities")).key("entry", text(application));
    let update = update.update_expression("SET #fields = :fields").expression_attribute_names("#fields", "fields");
    update.expression_attribute_values(":fields", text(fields)).send().await.expect("the emulator takes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_hashes_alike_and_a_row_that_can_not_be_read_stops_its_own_game() {
    let (emulator, client) = MiniStack::with_tables().await;
    let (game, other) = (foreign_application(&client, "Skyfall").await, foreign_application(&client, "Deep").await);
    let ((_, key), (_, key_of_other)) = (foreign_key(&client, game).await, foreign_key(&client, other).await);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let mut gateways = Vec::new();
    for folder in &folders {
        gateways.push(gateway(folder.path(), emulator.address(), &[]).await);
    }
    let id = game.to_string();
    let command = |line: &[&str]| run(folders[0].path(), emulator.address(), line);
    assert_eq!(command(&["identity", "hash", &id, "player_id"])["version"], 1);
    let ids = command(&["identity", "ids", &id, PLAYER]);
    let hash = ids["ids"][1].as_str().expect("it has one");
    for gateway in &mut gateways {
        let target = gateway.target(&key);
        let tail = format!("/live/tail?app={id}&limit=1000");
        poll::until("ids are hashed", PATIENCE, async || {
            assert_eq!(publish(&target, "whoever").await, Ok(1));
            gateway.get(&tail).await.contains("h1-").then_some(())
        })
        .await;
        assert_eq!(publish(&target, PLAYER).await, Ok(1));
        let _ = gateway.compact().await;
        let players: Vec<String> = lake::rows(&gateway.lake())
            .iter()
            .map(|row| {
                let data: Value =
                    serde_json::from_slice(row.event_data.as_ref().expect("data").data()).expect("is JSON");
                data["player_id"].as_str().expect("a text").to_owned()
            })
            .collect();
        assert_eq!(players.iter().filter(|player| *player == hash).count(), 1, "{players:?}");
        assert!(!players.iter().any(|player| player == PLAYER), "{players:?}");
    }

    // That somebody changes the book has every gateway read all of it.
    write_fields(&client, game, "shoe_size").await;
    let _ = command(&["identity", "hash", &other.to_string(), "session_id"]);
    for gateway in &gateways {
        let target = gateway.target(&key);
        let refused = async || publish(&target, PLAYER).await.err();
        assert_eq!(poll::until("it is refused", PATIENCE, refused).await, Code::Unavailable);
        assert_eq!(publish(&gateway.target(&key_of_other), PLAYER).await, Ok(1));
        assert_eq!(gateway.metrics().await.sum("headgate_policies_fresh", &[]), 0.0);
    }
    // One that starts anew lets nothing in before it has read the book.
    assert!(gateways[0].terminate(PATIENCE).await.success());
    gateways[0].start_again().await;
    assert_eq!(publish(&gateways[0].target(&key), PLAYER).await, Err(Code::Unavailable));

    write_fields(&client, game, "player_id").await;
    for gateway in &gateways {
        let target = gateway.target(&key);
        poll::until("it is mended", PATIENCE, async || publish(&target, PLAYER).await.ok()).await;
        let fresh = async || (gateway.metrics().await.sum("headgate_policies_fresh", &[]) == 1.0).then_some(());
        poll::until("everything is known again", PATIENCE, fresh).await;
    }
}
