//! Players who ask to be forgotten: a real gateway deletes what it has stored of them, and nothing else.

use std::collections::BTreeMap;

use headgate_proto::v1::Event;
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::{binary, lake, poll};
use serde_json::Value;
use uuid::Uuid;

use crate::PATIENCE;

const PLAYERS: [&str; 3] = ["alice-of-some-length", "bob-of-some-length", "carol-of-some-length"];
const ALICE: &str = PLAYERS[0];
/// Nothing is compacted but when it is asked for.
const QUIET: [&str; 2] = ["lake.segment_age=1h", "admission.key_refresh=200ms"];

fn of(player: &str) -> Event {
    Event { event_data: format!(r#"{{"player_id":"{player}","friend":"{ALICE}"}}"#).into_bytes().into(), ..login() }
}

fn bad(player: &str) -> Event {
    Event { event_name: "no good name!".to_owned(), ..of(player) }
}

/// So many events of each of these players, and a bad one.
async fn play(target: &Target, players: &[&str], times: usize) {
    let mut connection = Connection::open(target).await.expect("it listens");
    let good = players.iter().flat_map(|player| (0..times).map(|_| of(player)));
    let verdict = connection.publish(good.chain(players.iter().map(|player| bad(player))).collect()).await;
    let verdict = verdict.expect("they are taken");
    assert_eq!((verdict.accepted as usize, verdict.not_accepted.len()), (players.len() * times, players.len()));
}

/// How many rows of the lake are of each application's players.
fn stored(gateway: &GatewayProcess) -> BTreeMap<(String, String), usize> {
    let mut stored = BTreeMap::new();
    for row in lake::rows(&gateway.lake()) {
        let data: Value = serde_json::from_slice(row.event_data.expect("has data").data()).expect("is JSON");
        let player = data["player_id"].as_str().expect("has a player").to_owned();
        let application = row.application_id.as_utf8().expect("UTF-8").to_owned();
        *stored.entry((application, player)).or_default() += 1;
    }
    stored
}

/// Bad rows of each application whose events are this player's.
fn bad_rows(gateway: &GatewayProcess, player: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for day in std::fs::read_dir(gateway.data_dir().join("bad_rows")).expect("lists") {
        for file in std::fs::read_dir(day.expect("reads").path()).expect("lists") {
            let text = std::fs::read_to_string(file.expect("reads").path()).expect("reads");
            for line in text.lines() {
                let row: Value = serde_json::from_str(line).expect("is JSON");
                if row["event"]["event_data"].as_str().expect("a text").contains(&format!(r#""player_id":"{player}""#))
                {
                    *found.entry(row["application_id"].as_str().expect("an id").to_owned()).or_default() += 1;
                }
            }
        }
    }
    found
}

fn assert_verifies(gateway: &GatewayProcess) {
    let report = binary::run_json(gateway.data_dir(), &["lake", "verify"]);
    assert_eq!((&report["problems"], &report["strays"]), (&serde_json::json!([]), &serde_json::json!([])), "{report}");
}

async fn over(gateway: &GatewayProcess, id: &Value) -> Value {
    poll::until("the deletion is over", PATIENCE, async || {
        let listed = binary::run_json(gateway.data_dir(), &["players", "deletions"]);
        let all = listed["deletions"].as_array().expect("an array").clone();
        let one = all.into_iter().find(|one| one["deletion_id"] == *id).expect("it is kept");
        (one["state"] == "done" || one["state"] == "incomplete").then_some(one)
    })
    .await
}

fn count(report: &Value, field: &str) -> u64 {
    report["report"][field].as_u64().unwrap_or_else(|| panic!("no {field} in {report}"))
}

/// Three players in two applications, in Parquet, in the log and among the bad rows. One player of one application is
/// deleted; the gateway is killed as soon as it has taken the job. The next start does it, and nobody else loses anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_outlives_a_kill_and_takes_one_player_of_one_application_with_it() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &QUIET).await;
    let applications = [gateway.new_application("Skyfall"), gateway.new_application("Other")];
    for (_, target) in &applications {
        play(target, &PLAYERS, 5).await;
    }
    gateway.compact().await;
    for (_, target) in &applications {
        play(target, &PLAYERS, 2).await;
    }
    let [skyfall, other] = [applications[0].0, applications[1].0].map(|id: Uuid| id.to_string());

    let asked = binary::run_json(data.path(), &["players", "delete", "Skyfall", ALICE]);
    assert_eq!((&asked["player_id"], &asked["report"]), (&Value::from(ALICE), &Value::Null), "{asked}");
    gateway.kill();
    gateway.start_again().await;
    let done = over(&gateway, &asked["deletion_id"]).await;
    assert_eq!((&done["state"], &done["player_id"]), (&Value::from("done"), &Value::from("****ngth")), "{done}");
    assert_eq!((count(&done, "rows_removed"), count(&done, "bad_rows_removed")), (7, 2), "{done}");
    assert_eq!((count(&done, "files_looked_at"), count(&done, "files_rewritten")), (2, 2), "{done}");
    assert!(count(&done, "bytes_after") < count(&done, "bytes_before"), "{done}");

    let mut expected = BTreeMap::new();
    for application in [&skyfall, &other] {
        expected.extend(PLAYERS.map(|player| ((application.clone(), player.to_owned()), 7)));
    }
    expected.remove(&(skyfall.clone(), ALICE.to_owned()));
    assert_eq!(stored(&gateway), expected);
    assert_eq!(bad_rows(&gateway, ALICE), BTreeMap::from([(other.clone(), 2)]));
    assert_eq!(bad_rows(&gateway, PLAYERS[1]), BTreeMap::from([(skyfall.clone(), 2), (other.clone(), 2)]));
    assert_verifies(&gateway);
    let suppressed = binary::run_json(data.path(), &["players", "list", "--app", "Skyfall"]);
    assert_eq!(suppressed["players"][0]["player_id"], ALICE, "and so nothing more comes");
    assert_eq!(binary::run_json(data.path(), &["players", "list", "--app", "Other"])["players"], serde_json::json!([]));
    let audit = binary::run_json(data.path(), &["audit", "--app", &skyfall]);
    let acts: Vec<_> = audit["entries"].as_array().expect("an array").iter().map(|entry| &entry["act"]).collect();
    assert_eq!(acts[..3], ["player.deleted", "player.delete", "player.suppress"]);
    assert!(!audit.to_string().contains(ALICE), "{audit}");
    assert!(!gateway.log().contains(ALICE), "nor does the log name whom nobody is to find");
}

/// Through a running gateway with `--wait`, and on the data folder of one that is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_can_be_waited_for_and_is_done_without_a_gateway_too() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &QUIET).await;
    let (id, target) = gateway.new_application("Skyfall");
    play(&target, &PLAYERS, 4).await;
    let url = format!("http://{}", target.address);
    let arguments = ["players", "delete", &id.to_string(), ALICE, "--wait", "--gateway", &url];
    let done = binary::run_json(data.path(), &arguments);
    assert_eq!((&done["state"], count(&done, "rows_removed")), (&Value::from("done"), 4), "{done}");
    play(&target, &PLAYERS[1..], 1).await;
    gateway.terminate(PATIENCE).await;

    let bob = binary::run_json(data.path(), &["players", "delete", "Skyfall", PLAYERS[1]]);
    assert_eq!((count(&bob, "rows_removed"), count(&bob, "bad_rows_removed")), (5, 2), "{bob}");
    assert_eq!(bob["via"], "command-line");
    let listed = binary::run_json(data.path(), &["players", "deletions", "--app", "Skyfall"]);
    assert_eq!(listed["deletions"], serde_json::json!([done, bob]));
    assert_verifies(&gateway);
    assert!(stored(&gateway).keys().all(|(_, player)| player != PLAYERS[1]));
}
