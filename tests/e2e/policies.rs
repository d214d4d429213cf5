//! What games ask of their events beyond the rules of all, over the wire and into the lake: schemas, and players who are
//! not to be kept.

use std::path::Path;

use headgate::clock::Clock;
use headgate::config::Settings;
use headgate::registry;
use headgate_proto::v1::{BatchVerdict, Event, Reason};
use headgate_tests::client::{Connection, Target};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::rest::{RestClient, body};
use headgate_tests::{binary, lake, poll};
use serde_json::Value;
use uuid::Uuid;

use crate::PATIENCE;

const SCHEMA: &str = r#"{"required":["player_id"],"properties":{"level":{"type":"integer","minimum":1}}}"#;
/// A change is to hold soon, so that tests do not wait.
const SOON: &str = "ingest.policy_refresh=100ms";

fn with_data(event_data: &str) -> Event {
    Event { event_data: event_data.as_bytes().to_vec().into(), ..login() }
}

async fn publish(target: &Target, events: Vec<Event>) -> BatchVerdict {
    let mut connection = Connection::open(target).await.expect("it listens");
    connection.publish(events).await.expect("it answers")
}

fn put_schema(data: &Path, application: Uuid, schema: &str) -> Value {
    let file = data.join("schema.json");
    std::fs::write(&file, schema).expect("writes");
    let (application, file) = (application.to_string(), file.display().to_string());
    binary::run_json(data, &["schemas", "put", &application, "login", &file])
}

/// The bad rows that are kept, as text.
fn bad_rows(data: &Path) -> String {
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("there are bad rows");
        entries.map(|entry| entry.expect("it is listed").path()).collect::<Vec<_>>()
    };
    let days = list(&data.join("bad_rows"));
    let files = days.iter().flat_map(|day| list(day));
    files.map(|file| std::fs::read_to_string(file).expect("it is read")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_warns_and_then_enforces_through_every_door() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[SOON]).await;
    let (application, target) = gateway.demo();
    let bad = || with_data(r#"{"player_id":"p","level":0}"#);
    let verdict = publish(&target, vec![bad()]).await;
    assert_eq!((verdict.accepted, verdict.warned), (1, 0), "nobody has asked for anything");

    assert_eq!(put_schema(data.path(), application, SCHEMA)["mode"], "warn");
    let warned = poll::until("the schema holds", PATIENCE, async || {
        let verdict = publish(&target, vec![login(), bad()]).await;
        assert_eq!(verdict.accepted, 2);
        (verdict.warned == 1).then_some(verdict)
    })
    .await;
    assert_eq!((warned.warnings[0].index, warned.warnings[0].field.as_str()), (1, "event_data/level"));

    // Another version, in the mode of the one before, and then the other mode.
    let text = SCHEMA.replace("\"minimum\":1", "\"minimum\":1,\"maximum\":99");
    assert_eq!(put_schema(data.path(), application, &text)["version"], 2);
    let id = application.to_string();
    let _ = binary::run_json(data.path(), &["schemas", "mode", &id, "login", "enforce"]);
    let rejected = poll::until("it is enforced", PATIENCE, async || {
        let verdict = publish(&target, vec![bad(), login()]).await;
        (verdict.rejected == 1).then_some(verdict)
    })
    .await;
    assert_eq!((rejected.accepted, rejected.warned), (1, 0));
    assert_eq!(rejected.not_accepted[0].reason(), Reason::Schema);
    assert_eq!(rejected.not_accepted[0].field, "event_data/level");
    assert_eq!(publish(&target, vec![with_data(r#"{"player_id":"p","level":100}"#)]).await.rejected, 1, "version 2");
    assert_eq!(publish(&target, vec![with_data("")]).await.rejected, 1, "nothing at all is an empty object");

    // A REST batch is taken whole or not at all, or as far as it is good.
    let rest = RestClient::new(gateway.rest());
    let path = format!("/applications/{application}/events");
    let answer = rest.post(&path, &target.key, body(&[login(), bad()])).await;
    assert_eq!(answer.error(), (400, "BadRequest".to_owned()));
    let detail = answer.json()["error_detail"].to_string();
    assert!(detail.contains("event 1") && detail.contains("event_data/level"), "{detail}");
    let answer = rest.post(&format!("{path}?partial=true"), &target.key, body(&[login(), bad()])).await;
    assert_eq!(answer.json()["Events"][1]["ErrorCode"], "BadRequest", "{answer:?}");
    assert_eq!(answer.json()["FailedRecordCount"], 1);

    let scrape = gateway.metrics().await;
    assert!(scrape.sum("headgate_events_warned_total", &[]) >= 1.0);
    assert!(scrape.sum("headgate_events_rejected_reason_total", &["reason=\"schema\""]) >= 4.0);
    assert_eq!(scrape.sum("headgate_policies_fresh", &[]), 1.0);
    assert!(gateway.terminate(PATIENCE).await.success());
    assert!(bad_rows(data.path()).contains("\"field\":\"event_data/level\""));

    // A gateway that starts anew knows it before the first event.
    gateway.start_again().await;
    assert_eq!(publish(&target, vec![bad()]).await.rejected, 1);
    let _ = binary::run_json(data.path(), &["schemas", "delete", &id, "login"]);
    poll::until("nothing is asked any more", PATIENCE, async || {
        (publish(&target, vec![bad()]).await.accepted == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_suppressed_player_nothing_is_kept_and_nobody_can_tell() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[SOON]).await;
    let (application, target) = gateway.demo();
    let (_, other) = gateway.new_application("other");
    let settings = Settings { data_dir: data.path().to_owned(), ..Settings::default() };
    let opened = registry::open(&settings, &Clock::system()).await.expect("the registry opens beside the gateway");
    opened.books.suppress(application, "forget-me-7").await.expect("suppresses");
    let suppressed = || gateway.metrics();
    let of = |player: &str| with_data(&format!(r#"{{"player_id":"{player}"}}"#));
    poll::until("the suppression holds", PATIENCE, async || {
        assert_eq!(publish(&target, vec![of("forget-me-7")]).await.accepted, 1);
        let scrape = suppressed().await;
        (scrape.sum("headgate_events_settled_total", &["verdict=\"suppressed\""]) >= 1.0).then_some(())
    })
    .await;
    // What was stored before it held is another job's to delete; from here on nothing is.
    let marker = Uuid::new_v4().to_string();
    let after = |player: &str| Event { event_name: marker.clone(), ..of(player) };
    let escaped = Event { event_name: marker.clone(), ..with_data(r#"{"player_id":"forget\u002dme-7"}"#) };
    let broken = Event { event_type: "a b".to_owned(), ..after("forget-me-7") };
    let nameless = Event { event_id: String::new(), ..after("forget-me-7") };
    let broken_too = Event { event_type: "a b".to_owned(), ..after("stays-broken") };
    let sent = vec![after("forget-me-7"), after("stays"), escaped, broken, nameless, broken_too];
    let verdict = publish(&target, sent).await;
    assert_eq!((verdict.accepted, verdict.rejected, verdict.assigned_ids.len()), (4, 2, 1));
    assert_eq!(publish(&other, vec![after("forget-me-7")]).await.accepted, 1);
    let answer = RestClient::new(gateway.rest())
        .post(&format!("/applications/{application}/events"), &target.key, body(&[after("forget-me-7")]))
        .await;
    assert_eq!(answer.text, r#"{"Total":1,"FailedRecordCount":0,"Events":[{"Result":"Ok"}]}"#);
    assert!(
        !gateway
            .get("/live/tail?limit=1000")
            .await
            .contains(&format!("{marker}\",\"event_data\":\"{{\\\"player_id\\\":\\\"forget"))
    );

    let _ = gateway.compact().await;
    let scrape = gateway.metrics().await;
    assert_eq!(scrape.sum("headgate_accounting_violations_total", &[]), 0.0);
    assert!(gateway.terminate(PATIENCE).await.success());
    let stored: Vec<(String, String)> = lake::rows(&gateway.lake())
        .iter()
        .filter(|row| row.event_name.data() == marker.as_bytes())
        .map(|row| {
            let data = row.event_data.as_ref().map(|data| data.data()).unwrap_or_default();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(row.application_id.data()), text(data))
        })
        .collect();
    assert_eq!(stored.len(), 2, "{stored:?}");
    assert!(stored.iter().any(|(of, data)| *of == application.to_string() && data.contains("stays")));
    assert!(stored.iter().any(|(of, data)| *of != application.to_string() && data.contains("forget-me-7")));
    let bad_rows = bad_rows(data.path());
    assert!(bad_rows.contains("stays-broken") && !bad_rows.contains("forget-me-7"), "{bad_rows}");

    // A gateway that starts anew knows it before the first event.
    gateway.start_again().await;
    let before = lake::rows(&gateway.lake()).len();
    assert_eq!(publish(&target, vec![after("forget-me-7")]).await.accepted, 1);
    let _ = gateway.compact().await;
    assert_eq!(lake::rows(&gateway.lake()).len(), before);
}
