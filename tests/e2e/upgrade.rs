//! Upgrades: what each release left in its data folder (`tests/fixtures/releases`) is opened by this build, which keeps it and
//! goes on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use headgate_proto::v1::{Event, Reason};
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::{binary, lake};
use serde::Deserialize;
use serde_json::Value;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::PATIENCE;
use crate::crash::stored;

/// Nothing is compacted but when it is asked for.
const SETTINGS: [&str; 2] = ["lake.segment_age=1h", "admission.key_refresh=200ms"];
const DELETED: &str = "alice";

/// What a release says of the folder that it left.
#[derive(Deserialize)]
struct Kept {
    made_by: String,
    /// A player of `skyfall`.
    suppressed: String,
    games: BTreeMap<String, Game>,
}

#[derive(Deserialize)]
struct Game {
    application_id: String,
    key: String,
    /// Made a moment before the kill.
    late_key: String,
    disabled_key: String,
    events: Vec<SentEvent>,
}

/// An event as a client has sent it.
#[derive(Deserialize)]
struct SentEvent {
    event_id: String,
    event_type: String,
    event_name: String,
    event_timestamp: f64,
    event_version: Option<String>,
    app_version: Option<String>,
    event_data: Value,
}

/// What there is of an event, sent or stored.
#[derive(Debug, PartialEq, PartialOrd, Eq, Ord)]
struct Told {
    application_id: String,
    event_id: String,
    names: [Option<String>; 4],
    event_time_ms: i64,
    event_timestamp: i64,
    event_data: String,
    partition: String,
}

impl Game {
    fn told(&self) -> impl Iterator<Item = Told> {
        self.events.iter().map(|event| {
            let event_time_ms = (event.event_timestamp * 1e3) as i64;
            // The first event is of the last second of a year.
            let day = 1 + event_time_ms.div_euclid(86_400_000) - 20_454;
            let partition = match day {
                1.. => format!("year=2026/month=01/day={day:02}"),
                _ => format!("year=2025/month=12/day={}", 31 + day),
            };
            Told {
                application_id: self.application_id.clone(),
                event_id: event.event_id.clone(),
                names: [
                    Some(event.event_type.clone()),
                    Some(event.event_name.clone()),
                    event.event_version.clone(),
                    event.app_version.clone(),
                ],
                event_time_ms,
                event_timestamp: event_time_ms.div_euclid(1_000),
                event_data: event.event_data.to_string(),
                partition,
            }
        })
    }

    /// How many of the events are of a player.
    fn of_player(&self, player: &str) -> usize {
        self.events.iter().filter(|event| event.event_data["player_id"] == player).count()
    }
}

fn told(row: &lake::Row) -> Told {
    let text = |bytes: &parquet::data_type::ByteArray| bytes.as_utf8().expect("UTF-8").to_owned();
    let data: Value = serde_json::from_slice(row.event_data.as_ref().expect("has data").data()).expect("JSON");
    Told {
        application_id: text(&row.application_id),
        event_id: text(&row.event_id),
        names: [
            Some(text(&row.event_type)),
            Some(text(&row.event_name)),
            row.event_version.as_ref().map(text),
            row.app_version.as_ref().map(text),
        ],
        event_time_ms: row.event_time_ms,
        event_timestamp: row.event_timestamp,
        event_data: data.to_string(),
        partition: row.partition.clone(),
    }
}

fn sorted(told: impl Iterator<Item = Told>) -> Vec<Told> {
    let mut told: Vec<Told> = told.collect();
    told.sort();
    told
}

/// A release's folder, with what it says of it.
fn releases() -> Vec<(PathBuf, Kept)> {
    let folder = binary::workspace().join("tests/fixtures/releases");
    let entries = fs::read_dir(&folder).expect("the releases are there").map(|entry| entry.expect("lists").path());
    let releases = entries.filter(|path| path.is_dir()).map(|path| {
        let text = fs::read_to_string(path.join("kept.json")).expect("the release says what it kept");
        let kept = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, kept)
    });
    releases.collect()
}

/// Copies a folder. Git keeps no permissions: files become their owner's alone, as a gateway makes those with secrets.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("lists") {
        let from = entry.expect("lists").path();
        let to = to.join(from.file_name().expect("has a name"));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            let _ = fs::copy(&from, &to).expect("a file can be copied");
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
        }
    }
}

async fn publish(target: &Target, events: &[Event]) -> (u32, Vec<Reason>) {
    let mut connection = Connection::open(target).await.expect("it listens");
    let verdict = connection.publish(events.to_vec()).await.expect("it answers");
    (verdict.accepted, verdict.not_accepted.iter().map(|event| event.reason()).collect())
}

fn of_player(player: &str) -> Event {
    Event { event_data: format!(r#"{{"player_id":"{player}"}}"#).into_bytes().into(), ..login() }
}

/// The release was killed: events in Parquet and in the log, the registry with its journal. Every row is there as it was
/// sent, every key, schema and suppressed player holds, new events come beside the old ones and are told apart by their ids,
/// the log goes on becoming Parquet, a player's rows go from files that the release wrote, and the folder verifies.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_release_left_is_kept_and_goes_on() {
    let releases = releases();
    assert!(!releases.is_empty(), "there is no release to come from");
    for (path, kept) in releases {
        println!("{} from {}", kept.made_by, path.display());
        let data = tempfile::tempdir().expect("a folder");
        copy(&path.join("data"), data.path());
        let (in_parquet, sent) =
            (lake::rows(&data.path().join("lake")).len(), sorted(kept.games.values().flat_map(Game::told)));
        assert!(
            0 < in_parquet && in_parquet < sent.len(),
            "{in_parquet} of {} are in Parquet, the others in its log",
            sent.len()
        );
        let mut gateway = GatewayProcess::start(data.path(), &SETTINGS).await;
        let metrics = gateway.metrics().await;
        for lost in ["headgate_lake_torn_bytes_total", "headgate_lake_damaged_bytes_total"] {
            assert_eq!(metrics.sum(lost, &[]), 0.0, "{lost}");
        }

        // What is left in a log becomes Parquet at the start, or when it is asked for.
        let _ = gateway.compact().await;
        assert_eq!(sorted(lake::rows(&gateway.lake()).iter().map(told)), sent);
        registry_holds(&gateway, &kept).await;
        new_events_come_once(&mut gateway, &kept).await;
        a_player_is_deleted_from_files_of_the_release(&gateway, &kept);
    }
}

async fn registry_holds(gateway: &GatewayProcess, kept: &Kept) {
    for (name, game) in &kept.games {
        let shown = binary::run_json(gateway.data_dir(), &["apps", "show", name]);
        assert_eq!(shown["application_id"], game.application_id.as_str(), "{shown}");
        let mut connection = Connection::open(&gateway.target(&game.disabled_key)).await.expect("it listens");
        let refused = connection.publish(vec![login()]).await.expect_err("the key is disabled");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        let reason = refused.get_error_details().error_info().map(|info| info.reason.clone());
        assert_eq!(reason.as_deref(), Some("key_disabled"));
    }
    let skyfall = gateway.target(&kept.games["skyfall"].key);
    let misfit = Event { event_data: br#"{"player_id":"p","level":0}"#.as_slice().into(), ..login() };
    assert_eq!(publish(&skyfall, &[misfit]).await, (0, vec![Reason::Schema]), "its schema is enforced");
    let before = count(gateway);
    assert_eq!(publish(&skyfall, &[of_player(&kept.suppressed)]).await, (1, vec![]), "answered as any");
    let _ = gateway.compact().await;
    assert_eq!(count(gateway), before, "and not kept");
}

fn count(gateway: &GatewayProcess) -> usize {
    lake::rows(&gateway.lake()).len()
}

/// An id is remembered within the dedupe window of a process: what is sent again to this one is stored once. An event that
/// the release had acknowledged may come again, and is the same event to who reads: by application and id.
async fn new_events_come_once(gateway: &mut GatewayProcess, kept: &Kept) {
    let ids = |gateway: &GatewayProcess| -> BTreeSet<(String, String)> {
        let rows = lake::rows(&gateway.lake());
        rows.iter().map(told).map(|row| (row.application_id, row.event_id)).collect()
    };
    let (rows_before, ids_before) = (count(gateway), ids(gateway));
    let mut sent = 0;
    for game in kept.games.values() {
        let target = gateway.target(&game.key);
        let events: Vec<Event> = (0..50).map(|_| of_player("dave")).collect();
        for key in [&game.key, &game.late_key, &game.key] {
            assert_eq!(publish(&gateway.target(key), &events).await, (50, vec![]));
        }
        sent += events.len();
        let old = &game.events[0];
        let again = Event {
            event_id: old.event_id.parse::<Uuid>().expect("an id").to_string(),
            event_data: old.event_data.to_string().into_bytes().into(),
            ..login()
        };
        for _ in 0..2 {
            assert_eq!(publish(&target, std::slice::from_ref(&again)).await, (1, vec![]));
        }
    }
    let report = gateway.compact().await;
    let games = kept.games.len();
    assert_eq!(count(gateway), rows_before + sent + games, "once each, {report}");
    assert_eq!(ids(gateway).len(), ids_before.len() + sent, "the old events are the same to who reads");
    assert!(gateway.terminate(PATIENCE).await.success());
}

/// On the folder of the gateway that has ended.
fn a_player_is_deleted_from_files_of_the_release(gateway: &GatewayProcess, kept: &Kept) {
    let before = count(gateway);
    let of_them = kept.games["skyfall"].of_player(DELETED);
    let done = binary::run_json(gateway.data_dir(), &["players", "delete", "skyfall", DELETED]);
    // The game's first event is of this player, and was sent again.
    assert_eq!(done["report"]["rows_removed"], of_them + 1, "{done}");
    let rows = stored(gateway.data_dir());
    assert_eq!(rows.len(), before - of_them - 1);
    let skyfall = &kept.games["skyfall"].application_id;
    let player = format!(r#""player_id":"{DELETED}""#);
    assert!(
        !rows.iter().map(told).any(|row| row.application_id == *skyfall && row.event_data.contains(&player)),
        "none of them is left"
    );
}
