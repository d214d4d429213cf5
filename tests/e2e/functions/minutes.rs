//! The minutes that the metrics function publishes are those of the gateway's own windows, where both can see the same:
//! events in the order of their times, on one shard, each in the minute in which it happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate::clock::Clock;
use headgate_proto::v1::Event;
use headgate_tests::aws::faults::{Fault, Operations, Rule};
use headgate_tests::aws::kinesis::{Stream, StreamSettings};
use headgate_tests::aws::{Settings, StandIn};
use headgate_tests::client::{Connection, Target};
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::seed::{Draw, seed};
use headgate_tests::{binary, ministack};
use prost_types::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rig::emf::{self, Key};
use crate::rig::lambda::Function;
use crate::{NO_RATE_LIMIT, PATIENCE};

const NAMESPACE: &str = "test/AWSGameAnalytics";
const MINUTES: i64 = 6;
const BATCHES: u64 = 12;
const BATCH: u64 = 40;
const VERSIONS: [&str; 4] = ["", "1.0.0", "1.1.0", "2.0.0-rc_1"];
const SPELLS: [&str; 3] = ["fire", "ice", "water"];
const CURRENCIES: [&str; 3] = ["USD", "EUR", "gems"];
/// Calls whose answers get lost after the commit: their records come into the stream a second time.
const LOST_ANSWERS: u64 = 3;
/// An invocation gets so many records at most.
const RECORDS: usize = 4;

/// A batch of a minute's events, some of them twice.
fn batch(draw: &mut Draw, minute_s: i64, place: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 0..BATCH {
        let pick = |draw: &mut Draw, names: &[&'static str]| names[draw.within(0..=names.len() as u64 - 1) as usize];
        let event_type = pick(draw, &["login", "user_knockout", "iap_transaction", "match_start"]);
        let data = match event_type {
            "user_knockout" => format!(r#"{{"player_id":"p","spell_id":"{}"}}"#, pick(draw, &SPELLS)),
            "iap_transaction" => format!(r#"{{"currency_type":"{}","amount":4.99}}"#, pick(draw, &CURRENCIES)),
            _ => String::new(),
        };
        // In order: each a little later than the one before it.
        let ms = (place * BATCH + number) * 60_000 / (BATCHES * BATCH);
        events.push(Event {
            event_id: Uuid::from_u64_pair(draw.any(), draw.any()).to_string(),
            event_type: event_type.to_owned(),
            event_name: "name".to_owned(),
            event_timestamp: Some(Timestamp {
                seconds: minute_s + (ms / 1_000) as i64,
                nanos: (ms % 1_000) as i32 * 1_000_000,
            }),
            app_version: pick(draw, &VERSIONS).to_owned(),
            event_data: data.into_bytes().into(),
            ..Event::default()
        });
    }
    let again = draw.within(0..=BATCH - 1) as usize;
    let twice = events[again].clone();
    events.push(twice);
    events
}

/// What the operators' listener shows of an application, by the names that CloudWatch has for it.
async fn windows(gateway: &GatewayProcess, application: Uuid) -> BTreeMap<i64, BTreeMap<Key, u64>> {
    let text = gateway.get(&format!("/live/windows?app={application}&last=60")).await;
    let shown: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut minutes: BTreeMap<i64, BTreeMap<Key, u64>> = BTreeMap::new();
    for window in &shown {
        let minute = minutes.entry(window["minute_s"].as_i64().expect("a minute")).or_default();
        let version = match window["app_version"].as_str().expect("a version") {
            "" => String::new(),
            version => format!(",APP_VERSION={version}"),
        };
        let dimensions = format!("APPLICATION_ID={application}{version}");
        let mut enter = |dimensions: String, name: &str, count: &Value| {
            let count = count.as_u64().expect("a count");
            if count > 0 {
                *minute.entry((dimensions, name.to_owned())).or_default() += count;
            }
        };
        enter(dimensions.clone(), "TotalEvents", &window["total_events"]);
        enter(dimensions.clone(), "TotalLogins", &window["total_logins"]);
        for (name, dimension, metric) in
            [("knockouts_by_spell", "SPELL_ID", "KnockoutsBySpell"), ("purchases", "CURRENCY_TYPE", "Purchases")]
        {
            for (value, count) in window[name].as_object().expect("counts") {
                enter(format!("{dimensions},{dimension}={value}"), metric, count);
            }
        }
    }
    minutes
}

/// An invocation with records of a window.
fn invocation(records: &[Vec<u8>], minute_s: i64, state: &Value, is_final: bool) -> Value {
    let at = |seconds: i64| Timestamp { seconds, nanos: 0 }.to_string();
    let record = |(place, data): (usize, &Vec<u8>)| {
        json!({
            "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "a", "sequenceNumber": format!("{place:056}"),
                "data": STANDARD.encode(data), "approximateArrivalTimestamp": minute_s as f64 + 0.5},
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("shardId-000000000000:{place}"),
            "eventName": "aws:kinesis:record", "awsRegion": "us-east-1",
        })
    };
    json!({
        "Records": records.iter().enumerate().map(record).collect::<Vec<_>>(),
        "window": {"start": at(minute_s), "end": at(minute_s + 60)},
        "state": state, "shardId": "shardId-000000000000",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/events",
        "isFinalInvokeForWindow": is_final, "isWindowTerminatedEarly": false,
    })
}

/// What the function publishes of a window of these records.
async fn published(records: &[Vec<u8>], minute_s: i64) -> BTreeMap<Key, u64> {
    let mut function = Function::start(&binary::metrics().display().to_string(), &[("CW_NAMESPACE", NAMESPACE)]).await;
    let mut state = json!({});
    for some in records.chunks(RECORDS) {
        let answer = function.invoke(&invocation(some, minute_s, &state, false)).await.answered();
        assert_eq!(answer["batchItemFailures"], json!([]));
        state = answer["state"].clone();
    }
    let answer = function.invoke(&invocation(&[], minute_s, &state, true)).await.answered();
    assert_eq!(answer["batchItemFailures"], json!([]));
    let mut metrics = emf::read(&function.end().await.stdout, NAMESPACE, Some(minute_s * 1_000));
    for name in ["RecordsUnreadable", "EventsNotDeduplicated"] {
        assert_eq!(metrics.remove(&("FUNCTION=metrics".to_owned(), name.to_owned())), Some(0));
    }
    metrics
}

/// The records that the stream got since there were so many.
fn since(stream: &Stream, already: usize) -> Vec<Vec<u8>> {
    let shards = stream.shards();
    assert_eq!(shards.len(), 1);
    shards[0].records[already..].iter().map(|record| record.data.to_vec()).collect()
}

async fn send(target: &Target, events: Vec<Event>) {
    let mut connection = Connection::open(target).await.expect("the gateway listens");
    let count = events.len();
    let verdict = connection.publish(events).await.expect("an answer");
    assert_eq!(verdict.accepted as usize, count, "{verdict:?}");
}

/// Six minutes of two games' events in order, with ids that come twice in a batch and calls whose answers are lost, so that
/// whole records come twice into the stream: minute by minute, every figure that the function publishes for CloudWatch is the
/// one that the gateway shows.
#[tokio::test(flavor = "multi_thread")]
async fn the_functions_minutes_are_those_of_the_gateways_windows() {
    let seed = seed("minutes");
    let mut draw = Draw::new(seed, 3);
    let stand_in = StandIn::start(Settings { throttle: None, seed, ..Settings::default() }).await;
    let stream: Arc<Stream> = stand_in.create_stream(StreamSettings::new("events", 1));
    let data = tempfile::tempdir().expect("a folder");
    let settings = [
        &NO_RATE_LIMIT[..],
        &[
            "delivery.destination=kinesis",
            "kinesis.stream=events",
            "kinesis.attempt_timeout=1s",
            "live.window_grace=30m",
        ],
    ]
    .concat();
    let environment = ministack::environment(stand_in.address());
    let mut gateway = GatewayProcess::start_in(data.path(), &settings, &environment).await;
    let games = [gateway.demo(), gateway.new_application("other")];

    let now_s = Clock::system().wall_ms() / 1_000;
    let first_s = now_s - now_s % 60 - MINUTES * 60;
    let mut function = BTreeMap::new();
    for minute_s in (first_s..).step_by(60).take(MINUTES as usize) {
        let already = stream.shards()[0].records.len();
        stand_in.faults().set(Rule::new(Fault::AnswerLost).operations(Operations::Puts).times(LOST_ANSWERS));
        for place in 0..BATCHES {
            let (_, target) = &games[(place % 2) as usize];
            send(target, batch(&mut draw, minute_s, place)).await;
        }
        assert!(stand_in.faults().spent());
        function.insert(minute_s, published(&since(&stream, already), minute_s).await);
    }

    let mut own: BTreeMap<i64, BTreeMap<Key, u64>> = BTreeMap::new();
    for (application, _) in &games {
        for (minute_s, figures) in windows(&gateway, *application).await {
            own.entry(minute_s).or_default().extend(figures);
        }
    }
    assert_eq!(function, own);
    // It was about something.
    assert_eq!(own.len() as i64, MINUTES);
    let total = |name: &str| -> u64 {
        own.values().flatten().filter(|((_, metric), _)| metric == name).map(|(_, count)| count).sum()
    };
    assert_eq!(total("TotalEvents"), MINUTES as u64 * BATCHES * BATCH);
    for name in ["TotalLogins", "KnockoutsBySpell", "Purchases"] {
        assert!(total(name) > 300, "{name}: {}", total(name));
    }
    let ambiguous = gateway.metrics().await.sum("headgate_delivery_ambiguous_records_total", &[]);
    assert!(ambiguous >= (MINUTES as u64 * LOST_ANSWERS) as f64, "{ambiguous} records came twice");
    assert!(gateway.terminate(PATIENCE).await.success());
}
