//! Events from REST clients: exactly the contract's answers, and the lake holds exactly what was answered Ok.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use headgate_proto::v1::{BatchVerdict, Event};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::lake;
use headgate_tests::ministack::{self, MiniStack};
use headgate_tests::oracle::{Batch, Oracle};
use headgate_tests::poll;
use headgate_tests::rest::{RestClient, body, event, verdict};
use headgate_tests::seed::seed;
use http::Method;
use uuid::Uuid;

use super::{Administrator, TOKEN};
use crate::PATIENCE;

const BATCH: usize = 500;

/// A gateway, its demo application's events route, and the key.
struct Sender {
    client: RestClient,
    path: String,
    key: String,
}

impl Sender {
    fn of(gateway: &GatewayProcess) -> (Uuid, Self) {
        let (application, target) = gateway.demo();
        let path = format!("/live/applications/{application}/events");
        (application, Self { client: RestClient::new(gateway.rest()), path, key: target.key })
    }

    async fn post(&self, body: impl Into<bytes::Bytes>) -> headgate_tests::rest::RestAnswer {
        self.client.post(&self.path, &self.key, body).await
    }

    async fn compressed(&self, encoding: &str, body: Vec<u8>) -> headgate_tests::rest::RestAnswer {
        let headers = [("authorization", self.key.as_str()), ("content-encoding", encoding)];
        self.client.send(Method::POST, &self.path, &headers, body).await
    }
}

/// Five hundred events that break no rule.
fn good_batch(oracle: &Oracle) -> Batch {
    let mut batch = oracle.batch(0, BATCH * 2);
    batch.serials.retain(|serial| !oracle.events().is_bad(*serial));
    batch.serials.truncate(BATCH);
    assert_eq!(batch.serials.len(), BATCH);
    batch
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).expect("a vector takes it");
    gzip.finish().expect("a vector takes it")
}

fn all_accepted(verdict: &BatchVerdict) -> bool {
    verdict.accepted as usize == BATCH && verdict.not_accepted.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lake_holds_exactly_what_was_answered_ok() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &crate::NO_RATE_LIMIT).await;
    let (application, sender) = Sender::of(&gateway);
    send_and_judge(gateway, application, &sender, 40).await;
}

/// The same with the registry in DynamoDB, of an application and a key that were made over REST.
#[tokio::test(flavor = "multi_thread")]
async fn the_lake_holds_exactly_what_was_answered_ok_with_keys_in_dynamodb() {
    let (emulator, _) = MiniStack::with_tables().await;
    let data = tempfile::tempdir().expect("a folder");
    let settings = [&crate::NO_RATE_LIMIT[..], &["registry.kind=dynamodb"]].concat();
    let mut environment = ministack::environment(emulator.address());
    environment.push(("HEADGATE_ADMIN__TOKEN".to_owned(), TOKEN.to_owned()));
    let gateway = GatewayProcess::start_in(data.path(), &settings, &environment).await;
    let administrator = Administrator::of(&gateway);
    let made = administrator.ask(Method::POST, "/live/applications", r#"{"Name":"Skyfall"}"#).await.json();
    let application: Uuid = made["ApplicationId"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let keys = format!("/live/applications/{application}/authorizations");
    let made = administrator.ask(Method::POST, &keys, r#"{"Name":"server"}"#).await.json();
    let sender = Sender {
        client: RestClient::new(gateway.rest()),
        path: format!("/live/applications/{application}/events"),
        key: made["ApiKeyValue"].as_str().expect("a key").to_owned(),
    };
    send_and_judge(gateway, application, &sender, 10).await;
}

/// Sends everything that the contract has an answer for, then holds the lake to those answers.
async fn send_and_judge(mut gateway: GatewayProcess, application: Uuid, sender: &Sender, batches: usize) {
    let oracle = Arc::new(Oracle::new(seed("rest"), &[application]));

    // Batches of 500 back-dated events; every third in gzip, every fifth in zstd, every seventh sent twice.
    for number in 0..batches {
        let batch = good_batch(&oracle);
        let text = body(&oracle.send(&batch));
        let answer = match number {
            number if number % 3 == 0 => {
                let name = ["gzip", "GZIP", "x-gzip"][number / 3 % 3];
                sender.compressed(name, gzip(text.as_bytes())).await
            }
            number if number % 5 == 0 => {
                sender.compressed("zstd", zstd::encode_all(text.as_bytes(), 3).expect("compresses")).await
            }
            _ => sender.post(text).await,
        };
        let settled = verdict(&answer);
        assert!(all_accepted(&settled), "{settled:?}");
        assert_eq!(oracle.verdict(&batch, &settled), None);
        if number % 7 == 0 {
            let again = verdict(&sender.post(body(&oracle.send(&batch))).await);
            assert!(all_accepted(&again), "duplicates are answered Ok: {again:?}");
            assert_eq!(oracle.verdict(&batch, &again), None);
        }
    }

    // The same events twice in one batch, the second time with their ids in upper case.
    let batch = oracle.batch(0, BATCH / 4);
    let batch =
        Batch { serials: batch.serials.into_iter().filter(|it| !oracle.events().is_bad(*it)).collect(), ..batch };
    let once = oracle.send(&batch);
    let again = once.iter().map(|event| Event { event_id: event.event_id.to_uppercase(), ..event.clone() });
    let twice: Vec<Event> = once.iter().cloned().chain(again).collect();
    let settled = verdict(&sender.post(body(&twice)).await);
    assert_eq!((settled.accepted as usize, settled.not_accepted.len()), (twice.len(), 0), "{settled:?}");
    let accepted = BatchVerdict { accepted: u32::try_from(once.len()).expect("few"), ..BatchVerdict::default() };
    assert_eq!(oracle.verdict(&batch, &accepted), None);

    // One bad event among 499 good ones: nothing of it is stored.
    let batch = good_batch(&oracle);
    let mut events: Vec<String> = oracle.send(&batch).iter().map(event).collect();
    events[321] = event(&Event { event_name: "not this one!".to_owned(), ..login() });
    let answer = sender.post(format!(r#"{{"events":[{}]}}"#, events.join(","))).await;
    assert_eq!(answer.error(), (400, "BadRequest".to_owned()));
    let detail = answer.json()["error_detail"].to_string();
    assert!(detail.contains("321") && detail.contains("event_name"), "{detail}");
    oracle.refused(&batch);

    // A wrong key.
    let batch = good_batch(&oracle);
    let answer = sender.client.post(&sender.path, "nobody-has-this-key", body(&oracle.send(&batch))).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, r#"{"error":"AccessDenied"}"#));
    oracle.refused(&batch);

    // Those of a batch that are good, where the client asks for them.
    let batch = oracle.batch(0, BATCH);
    let bad = batch.serials.iter().filter(|serial| oracle.events().is_bad(**serial)).count();
    assert!(bad > 0, "one in 64 is");
    let path = format!("{}?partial=true", sender.path);
    let answer = sender.client.post(&path, &sender.key, body(&oracle.send(&batch))).await;
    let settled = verdict(&answer);
    assert_eq!((settled.accepted as usize, settled.rejected as usize), (BATCH - bad, bad));
    assert_eq!(oracle.verdict(&batch, &settled), None);

    let _ = gateway.compact().await;
    poll::until("all bytes of the budget are given back", PATIENCE, async || {
        (gateway.metrics().await.sum("headgate_in_flight_bytes", &[]) == 0.0).then_some(())
    })
    .await;
    assert_eq!(gateway.metrics().await.sum("headgate_accounting_violations_total", &[]), 0.0);
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
    let rows = lake::rows(&gateway.lake());
    let ids: HashSet<_> = rows.iter().map(|row| row.event_id.data()).collect();
    assert_eq!(ids.len(), rows.len(), "stored once, however often it was sent");
    let judgement = oracle.judge(&rows);
    judgement.assert_kept((batches * BATCH) as u64);
    assert_eq!(judgement.unsettled as usize, 2 * BATCH, "the two batches that were refused, and no other event");
}

/// What AWS's schema of an event says, row by row; and nothing of any of these batches is stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_breaks_a_rule_is_named_with_its_field_and_nothing_of_its_batch_is_stored() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, sender) = Sender::of(&gateway);
    let id = Uuid::new_v4();
    let base = [
        ("event_id", format!("\"{id}\"")),
        ("event_type", "\"login\"".to_owned()),
        ("event_name", "\"n\"".to_owned()),
        ("event_timestamp", "1700000000".to_owned()),
    ];
    let with = |field: &str, value: Option<&str>| {
        let mut fields: Vec<_> = base.iter().filter(|(name, _)| *name != field).cloned().collect();
        fields.extend(value.map(|value| (field, value.to_owned())));
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let long = format!("\"{}\"", "x".repeat(257));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let cases = [
        ("event_id", None),
        ("event_id", Some("\"\"")),
        ("event_id", Some("7")),
        ("event_id", Some("\"no-uuid\"")),
        ("event_id", Some("\"5f8e8e5c6d1a4c429f5a0d4f4e1b2c3d\"")),
        ("event_type", None),
        ("event_type", Some("null")),
        ("event_type", Some("\"a b\"")),
        ("event_name", None),
        ("event_name", Some("\"\"")),
        ("event_name", Some("\"caf\u{e9}\"")),
        ("event_name", Some(long.as_str())),
        ("event_timestamp", None),
        ("event_timestamp", Some("\"1700000000\"")),
        ("event_timestamp", Some("1e300")),
        ("event_timestamp", Some("true")),
        ("event_version", Some("1")),
        ("event_version", Some("\"1/2\"")),
        ("app_version", Some("\"\"")),
        ("app_version", Some("{}")),
        ("event_data", Some("null")),
        ("event_data", Some("[]")),
        ("event_data", Some("\"text\"")),
        ("event_data", Some(large.as_str())),
        ("another", Some("1")),
        ("partition_key", Some("\"p\"")),
    ];
    for (field, value) in cases {
        let batch = format!(r#"{{"events":[{},{}]}}"#, event(&login()), with(field, value));
        let answer = sender.post(batch).await;
        assert_eq!(answer.error(), (400, "BadRequest".to_owned()), "{field} {value:?}: {answer:?}");
        let detail = answer.json()["error_detail"].to_string();
        assert!(detail.contains("event 1") && detail.contains(field), "{field}: {detail}");
    }
    for value in ["7", "null", "\"x\"", "[]"] {
        let answer = sender.post(format!(r#"{{"events":[{},{value}]}}"#, event(&login()))).await;
        assert_eq!(answer.error(), (400, "BadRequest".to_owned()), "{value}");
    }
    let no_batches =
        ["", "{", "[]", "null", "{}", r#"{"events":{}}"#, r#"{"events":[]}"#, r#"{"events":[]} x"#, "\u{feff}{}"];
    for body in no_batches {
        let answer = sender.post(body).await;
        assert_eq!(answer.error(), (400, "BadRequest".to_owned()), "{body}");
    }
    let not_utf8 = [&br#"{"events":["#[..], b"\"\xff\"]}"].concat();
    assert_eq!(sender.post(not_utf8).await.error(), (400, "BadRequest".to_owned()));
    let too_many = body(&vec![login(); 501]);
    let answer = sender.post(too_many).await;
    assert_eq!(answer.error(), (400, "BadRequest".to_owned()));
    assert!(answer.text.contains("501"), "{answer:?}");

    let scrape = gateway.metrics().await;
    assert_eq!(scrape.sum("headgate_events_received_total", &[]), 0.0);
    assert!(scrape.sum("headgate_refusals_total", &["refusal=\"invalid_event\""]) >= cases.len() as f64);
    let _ = gateway.compact().await;
    assert!(gateway.terminate(Duration::from_secs(25)).await.success());
    assert!(!gateway.lake().join("raw_events").exists() || lake::rows(&gateway.lake()).is_empty());
}

/// What clients may send and AWS takes: it is stored as it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_may_send_is_stored_as_it_was_sent() {
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &[]).await;
    let (application, sender) = Sender::of(&gateway);
    let ids: Vec<Uuid> = (0..4).map(|_| Uuid::new_v4()).collect();
    let data_text = r#"{ "a" :  1.50, "é":"\u00e9", "z":[ ], "a":2 }"#;
    let batch = format!(
        r#" {{"sdk":"x","events":[
            {{"event_name":"n","event_id":"{}","event_timestamp":1700000000.25,"event_type":"t.y-p_e"}},
            {{"event_id":"{}","event_type":"t","event_name":"n","event_timestamp":1.7e9,"event_version":"1.0","app_version":"2-b"}},
            {{"event_id":"{}","event_type":"t","event_name":"n","event_timestamp":0,"event_data":{data_text}}},
            {{"event_id":"{}","event_type":"\u0074","event_name":"n","event_timestamp":4102444800}}
        ]}}"#,
        ids[0],
        ids[1].to_string().to_uppercase(),
        ids[2],
        ids[3]
    );
    let answer = RestClient::http2(gateway.rest()).post(&sender.path, &sender.key, batch).await;
    assert_eq!(verdict(&answer).accepted, 4, "{answer:?}");
    let _ = gateway.compact().await;
    assert!(gateway.terminate(PATIENCE).await.success());
    let rows = lake::rows(&gateway.lake());
    assert_eq!(rows.len(), 4);
    let row = |id: &Uuid| rows.iter().find(|row| row.event_id.data() == id.to_string().as_bytes()).expect("is there");
    assert!(rows.iter().all(|row| row.application_id.data() == application.to_string().as_bytes()));
    assert_eq!((row(&ids[0]).event_time_ms, row(&ids[0]).event_timestamp), (1_700_000_000_250, 1_700_000_000));
    assert_eq!(row(&ids[1]).event_time_ms, 1_700_000_000_000);
    assert_eq!(row(&ids[1]).app_version.as_ref().map(|text| text.data()), Some(&b"2-b"[..]));
    assert_eq!(row(&ids[2]).event_data.as_ref().map(|text| text.data()), Some(data_text.as_bytes()));
    assert_eq!(row(&ids[2]).event_time_ms, 0);
    assert_eq!(row(&ids[3]).event_type.data(), b"t");
}
