//! The metrics of each minute are what SQL counts over the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use headgate::clock::Clock;
use headgate_proto::v1::Event;
use headgate_tests::client::{Connection, Target};
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::python;
use headgate_tests::seed::{Draw, seed};
use prost_types::Timestamp;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

const EVENTS: u64 = 20_000;
const BATCH: usize = 250;
const CONNECTIONS: usize = 4;
const MINUTES: i64 = 60;
const VERSIONS: [&str; 5] = ["", "1.0.0", "1.1.0", "2.0.0-rc_1", "2.0.0"];
/// As JSON values; what has none of its own, or no scalar, counts under `(none)`.
const SPELLS: [&str; 7] =
    [r#""fire""#, r#""frost""#, r#""f\u0069re""#, "7", r#""\u00fcber""#, "null", r#""\"quoted\" \\ \/""#];
const CURRENCIES: [&str; 3] = [r#""USD""#, r#""EUR""#, r#""gems""#];

/// A window as the operators' listener shows it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Window {
    minute_s: i64,
    app_version: String,
    total_events: u64,
    total_logins: u64,
    knockouts_by_spell: BTreeMap<String, u64>,
    purchases: BTreeMap<String, u64>,
    late_events: u64,
    open: bool,
}

/// What SQL counts.
#[derive(Debug, Deserialize)]
struct Counted {
    windows: Vec<(i64, String, u64, u64, u64)>,
    knockouts: Vec<(i64, String, String, u64)>,
    purchases: Vec<(i64, String, String, u64)>,
    rows: u64,
}

/// An event of the hour before `until_s`.
fn event(draw: &mut Draw, until_s: i64) -> Event {
    let pick = |draw: &mut Draw, names: &[&'static str]| names[draw.within(0..=names.len() as u64 - 1) as usize];
    let event_type = pick(draw, &["login", "user_knockout", "iap_transaction", "match_start", "logins"]);
    let data = match event_type {
        // Some have none; in some another member of that name lies deeper, or comes later.
        "user_knockout" => match draw.within(0..=9) {
            0 => "{}".to_owned(),
            1 => format!(r#"{{"deep":{{"spell_id":"no"}},"spell_id" : {}}}"#, pick(draw, &SPELLS)),
            2 => format!(r#"{{"spell_id":{},"list":["spell_id"],"spell_id":"second"}}"#, pick(draw, &SPELLS)),
            _ => format!(r#"{{"player_id":"p","spell_id":{}}}"#, pick(draw, &SPELLS)),
        },
        "iap_transaction" => format!(r#"{{"currency_type":{},"amount":4.99}}"#, pick(draw, &CURRENCIES)),
        _ => String::new(),
    };
    let back = draw.within(0..=(MINUTES * 60) as u64 - 1) as i64;
    Event {
        event_id: Uuid::from_u64_pair(draw.any(), draw.any()).to_string(),
        event_type: event_type.to_owned(),
        event_name: "name".to_owned(),
        event_timestamp: Some(Timestamp { seconds: until_s - 1 - back, nanos: draw.within(0..=999_999_999) as i32 }),
        app_version: pick(draw, &VERSIONS).to_owned(),
        event_data: data.into_bytes().into(),
        ..Event::default()
    }
}

/// An hour of events in batches: one in ten is there twice in its batch, one in ten again in a later batch, and one in
/// fifty breaks a rule.
fn recorded_hour(draw: &mut Draw, until_s: i64) -> (Vec<Vec<Event>>, u64) {
    let (mut all, mut bad) = (Vec::new(), 0);
    for _ in 0..EVENTS {
        let event = event(draw, until_s);
        match draw.within(0..=49) {
            0 => {
                bad += 1;
                all.push(Event { event_name: "not a name".to_owned(), ..event });
            }
            1..=5 => all.extend([event.clone(), event]),
            6..=10 => {
                let earlier = draw.within(0..=all.len() as u64) as usize;
                all.insert(earlier, event.clone());
                all.push(event);
            }
            _ => all.push(event),
        }
    }
    (all.chunks(BATCH).map(<[Event]>::to_vec).collect(), bad)
}

/// Sends every batch, over several connections at once, and some of them on two at the same time.
async fn send(target: &Target, batches: &[Vec<Event>]) -> (u64, u64) {
    let lanes = (0..CONNECTIONS).map(|lane| {
        let mine: Vec<_> =
            batches.iter().enumerate().filter(|(n, _)| n % CONNECTIONS == lane || n % 7 == lane).collect();
        let (mine, target) = (mine.into_iter().map(|(_, batch)| batch.clone()).collect::<Vec<_>>(), target.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(&target).await.expect("the gateway listens");
            let (mut accepted, mut rejected) = (0, 0);
            for batch in mine {
                let verdict = connection.publish(batch).await.expect("an answer");
                assert_eq!((verdict.retry, verdict.unknown), (0, 0));
                accepted += u64::from(verdict.accepted);
                rejected += u64::from(verdict.rejected);
            }
            (accepted, rejected)
        })
    });
    let mut sum = (0, 0);
    for lane in lanes.collect::<Vec<_>>() {
        let (accepted, rejected) = lane.await.expect("no panic");
        sum = (sum.0 + accepted, sum.1 + rejected);
    }
    sum
}

async fn windows(gateway: &GatewayProcess, application: Uuid, last: u32) -> Vec<Window> {
    let text = gateway.get(&format!("/live/windows?app={application}&last={last}")).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn counted(gateway: &GatewayProcess, application: Uuid, grace: Duration) -> Counted {
    let mut command = Command::new(python::interpreter());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/windows.py"));
    command.arg("--lake").arg(gateway.lake()).args(["--application", &application.to_string()]);
    command.args(["--grace", &grace.as_secs().to_string()]);
    let text = python::run(&mut command).expect("DuckDB reads the lake");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn by_dimension(windows: &[Window], of: impl Fn(&Window) -> &BTreeMap<String, u64>) -> Vec<(i64, String, String, u64)> {
    let rows = windows.iter().flat_map(|window| {
        let row = |(name, count): (&String, &u64)| (window.minute_s, window.app_version.clone(), name.clone(), *count);
        of(window).iter().map(row).collect::<Vec<_>>()
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

/// What the windows of an application say, against what SQL counts over the lake.
fn assert_equal(shown: &[Window], sql: &Counted) {
    let distinct: u64 = sql.windows.iter().map(|window| window.2).sum();
    assert_eq!(sql.rows, distinct, "every event lies in the lake once");
    let row = |w: &Window| (w.minute_s, w.app_version.clone(), w.total_events, w.total_logins, w.late_events);
    assert_eq!(shown.iter().map(row).collect::<Vec<_>>(), sql.windows);
    assert_eq!(by_dimension(shown, |window| &window.knockouts_by_spell), sql.knockouts);
    assert_eq!(by_dimension(shown, |window| &window.purchases), sql.purchases);
}

/// An hour of back-dated events of five versions of the game, in any order, the first half of it late, with duplicates
/// within a batch, across batches and on two connections at once: every window and every dimension equals what DuckDB
/// counts, distinct by id, over the lake's Parquet files.
#[tokio::test(flavor = "multi_thread")]
async fn the_four_metrics_of_a_recorded_hour_equal_a_count_by_sql_over_the_lake() {
    let mut draw = Draw::new(seed("windows"), 1);
    let now_s = Clock::system().wall_ms() / 1_000;
    // The hour ends with the minute before this one: it is the same hour however long the test takes.
    let until_s = now_s - now_s % 60;
    let data = tempfile::tempdir().expect("a folder");
    let grace = Duration::from_secs(30 * 60);
    let settings = [&["live.window_grace=30m"][..], &super::NO_RATE_LIMIT[..]].concat();
    let mut gateway = GatewayProcess::start(data.path(), &settings).await;
    let (application, target) = gateway.demo();
    let (other, other_target) = gateway.new_application("other");

    let (batches, bad) = recorded_hour(&mut draw, until_s);
    let (accepted, rejected) = send(&target, &batches).await;
    assert!(accepted > EVENTS && rejected >= bad, "{accepted} accepted, {rejected} rejected");
    // The same ids again, of another application, are other events.
    let _ = send(&other_target, &batches[..3]).await;

    let shown = windows(&gateway, application, 120).await;
    let others = windows(&gateway, other, 120).await;
    gateway.compact().await;
    for (application, shown) in [(application, &shown), (other, &others)] {
        assert_equal(shown, &counted(&gateway, application, grace));
    }
    // The count was about something.
    assert_eq!(shown.iter().map(|window| window.total_events).sum::<u64>(), EVENTS - bad);
    let minutes: BTreeSet<_> = shown.iter().map(|window| window.minute_s).collect();
    assert_eq!(minutes.len(), 60);
    assert_eq!(shown.len(), 60 * VERSIONS.len());
    let late: u64 = shown.iter().map(|window| window.late_events).sum();
    assert!((EVENTS / 4..3 * EVENTS / 4).contains(&late), "{late} are late");
    let spells: BTreeSet<_> = shown.iter().flat_map(|window| window.knockouts_by_spell.keys()).collect();
    assert_eq!(spells.len(), SPELLS.len() - 1, "two of them are the same: {spells:?}");
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("headgate_window_dropped_events_total", &[]), 0.0);
    assert_eq!(metrics.sum("headgate_accounting_violations_total", &[]), 0.0);
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
}

/// With no grace, an hour of back-dated events is late, counts all the same, and is exported at once: the counters'
/// sums are the windows' sums.
#[tokio::test(flavor = "multi_thread")]
async fn late_events_count_in_their_minutes_and_the_counters_say_the_same() {
    let mut draw = Draw::new(seed("late windows"), 2);
    let until_s = Clock::system().wall_ms() / 60_000 * 60;
    let data = tempfile::tempdir().expect("a folder");
    let settings = [&["live.window_grace=0s"][..], &super::NO_RATE_LIMIT[..]].concat();
    let mut gateway = GatewayProcess::start(data.path(), &settings).await;
    let (application, target) = gateway.demo();
    let (batches, bad) = recorded_hour(&mut draw, until_s);
    let _ = send(&target, &batches).await;

    let shown = windows(&gateway, application, 120).await;
    let total: u64 = shown.iter().map(|window| window.total_events).sum();
    assert_eq!(total, EVENTS - bad);
    assert!(shown.iter().all(|window| window.late_events == window.total_events && !window.open), "{shown:?}");
    let sums = headgate_tests::poll::until("every window is exported", super::PATIENCE, async || {
        let metrics = gateway.metrics().await;
        (metrics.sum("headgate_window_events_total", &[]) == total as f64).then_some(metrics)
    })
    .await;
    assert_eq!(sums.sum("headgate_window_late_events_total", &[]), total as f64);
    let logins: u64 = shown.iter().map(|window| window.total_logins).sum();
    assert_eq!(sums.sum("headgate_window_logins_total", &[]), logins as f64);
    for (series, of) in [
        ("headgate_window_knockouts_total", by_dimension(&shown, |window| &window.knockouts_by_spell)),
        ("headgate_window_purchases_total", by_dimension(&shown, |window| &window.purchases)),
    ] {
        assert_eq!(sums.sum(series, &[]), of.iter().map(|row| row.3).sum::<u64>() as f64, "{series}");
        let of_version: u64 = of.iter().filter(|row| row.1 == "1.0.0").map(|row| row.3).sum();
        assert_eq!(sums.sum(series, &["app_version=\"1.0.0\""]), of_version as f64, "{series}");
    }
    gateway.compact().await;
    assert_equal(&shown, &counted(&gateway, application, Duration::ZERO));
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
}

/// What a person sees who sends a good event, a bad one, and then one with a key that was disabled.
#[tokio::test(flavor = "multi_thread")]
async fn the_tail_shows_what_passed_what_was_rejected_and_why_a_disabled_key_is_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (application, target) = gateway.new_application("skyfall");
    let mut connection = Connection::open(&target).await.expect("the gateway listens");
    let good = headgate_tests::events::login();
    let bad = Event { event_data: "[1]".into(), ..headgate_tests::events::login() };
    let verdict = connection.publish(vec![good.clone(), bad]).await.expect("an answer");
    assert_eq!((verdict.accepted, verdict.rejected), (1, 1));

    let key = &headgate_tests::binary::run_json(data.path(), &["keys", "list", "skyfall"])["keys"][0]["api_key_id"];
    let key = key.as_str().expect("an id");
    let _ = headgate_tests::binary::run_json(data.path(), &["keys", "disable", key]);
    headgate_tests::poll::until("the key is refused", super::PATIENCE, async || {
        connection.publish(vec![headgate_tests::events::login()]).await.err()
    })
    .await;

    let text = gateway.get(&format!("/live/tail?app={application}")).await;
    let tail: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let of = |verdict: &str| tail.iter().find(|entry| entry["verdict"] == json!(verdict)).expect("is shown");
    assert_eq!(of("accepted")["event_id"], json!(good.event_id));
    assert_eq!(of("rejected")["message"], json!("event_data is not a JSON object"));
    assert_eq!(of("rejected")["field"], json!("event_data"));
    assert_eq!(
        (&of("refused")["message"], &of("refused")["reason"]),
        (&json!("the API key is disabled"), &json!("key_disabled"))
    );

    let text = gateway.get("/live/apps").await;
    let apps: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let app = apps.iter().find(|app| app["application_id"] == json!(application.to_string())).expect("is shown");
    assert_eq!((&app["name"], &app["last_hour"]["rejected"]), (&json!("skyfall"), &json!(1)));
    let fields = gateway.get(&format!("/live/rejected-fields?app={application}")).await;
    assert!(fields.contains("not_a_json_object"), "{fields}");
    for path in ["/live/series?step=1", "/live/series?step=60", &format!("/live/types?app={application}")] {
        assert!(!gateway.get(path).await.is_empty());
    }
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
}
