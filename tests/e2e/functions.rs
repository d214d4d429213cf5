//! What the functions make of the stream is what the gateway makes of it itself: the rows of its lake, and the minutes of its
//! windows.

mod minutes;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate::clock::Clock;
use headgate_proto::record::{EventFields, RecordTail, write_record};
use headgate_proto::v1::Event;
use headgate_tests::binary;
use headgate_tests::client::Connection;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::lake::{self, Row};
use prost_types::Timestamp;
use serde_json::Value;

use crate::rig::dynamodb::Table;
use crate::rig::events::firehose;
use crate::rig::lambda::Function;

const DAY_S: i64 = 86_400;

/// Events of all shapes and times: with and without what is optional, late, ahead, and absurd.
fn events(now_s: i64) -> Vec<Event> {
    let times = [
        (now_s, 0),
        (now_s, 999_999_999),
        (now_s - 399 * DAY_S, 1),
        (now_s - 401 * DAY_S, 250_000_000),
        (now_s + DAY_S / 2, 0),
        (now_s + 2 * DAY_S, 0),
        (-1, 750_000_000),
        (0, 0),
        (-62_135_596_800, 1_000_000),
        (253_402_300_799, 999_999_999),
    ];
    let data = ["", "{}", r#"{"a": 1,  "b":"\u00e9\"\\/"}"#, "{\r\n\"player_id\":\"p\",\n\t\"é\":[1.50, null]}"];
    let shapes = times.iter().flat_map(|time| data.iter().map(move |data| (time, data)));
    let event = |(n, ((seconds, nanos), data)): (usize, (&(i64, i32), &&str))| Event {
        event_id: format!("00000000-0000-4000-8000-{n:012}"),
        event_type: "login".to_owned(),
        event_name: "player.login".to_owned(),
        event_timestamp: Some(Timestamp { seconds: *seconds, nanos: *nanos }),
        event_version: ["", "1"][n % 2].to_owned(),
        app_version: ["2.0-rc_1", "", "1.0"][n % 3].to_owned(),
        event_data: data.as_bytes().to_vec().into(),
        ..Event::default()
    };
    shapes.enumerate().map(event).collect()
}

/// An event's stream record.
fn line(event: &Event, tail: &RecordTail) -> Vec<u8> {
    let time = event.event_timestamp.expect("is there");
    let fields = EventFields {
        event_id: event.event_id.as_bytes(),
        event_type: event.event_type.as_bytes(),
        event_name: event.event_name.as_bytes(),
        seconds: time.seconds,
        nanos: u32::try_from(time.nanos).expect("not negative"),
        event_version: event.event_version.as_bytes(),
        app_version: event.app_version.as_bytes(),
        event_data: &event.event_data,
        data_has_line_breaks: event.event_data.contains(&b'\n'),
    };
    let mut line = Vec::new();
    write_record(&mut line, &fields, tail);
    line
}

/// The row that the function made of an event's stream record.
fn row(answer: &Value) -> Row {
    assert_eq!(answer["result"], "Ok", "{answer}");
    let data = STANDARD.decode(answer["data"].as_str().expect("data")).expect("base64");
    let row: Value = serde_json::from_slice(&data).expect("one row");
    let text = |name: &str| row.get(name).map(|value| value.as_str().expect("a string").to_owned().into_bytes().into());
    let number = |name: &str| row[name].as_i64().expect("a number");
    let keys = &answer["metadata"]["partitionKeys"];
    let key = |name: &str| keys[name].as_str().expect("a key").to_owned();
    Row {
        event_id: text("event_id").expect("is there"),
        event_type: text("event_type").expect("is there"),
        event_name: text("event_name").expect("is there"),
        event_version: text("event_version"),
        event_timestamp: number("event_timestamp"),
        app_version: text("app_version"),
        application_id: text("application_id").expect("is there"),
        event_data: text("event_data"),
        event_time_ms: number("event_time_ms"),
        partition: format!("year={}/month={}/day={}", key("year"), key("month"), key("day")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_rows_and_days_are_those_of_the_gateways_own_lake() {
    let now_ms = Clock::system().wall_ms();
    let events = events(now_ms / 1_000);
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &super::NO_RATE_LIMIT).await;
    let (application, target) = gateway.demo();
    let mut connection = Connection::open(&target).await.expect("the gateway listens");
    let verdict = connection.publish(events.clone()).await.expect("an answer");
    assert_eq!(verdict.accepted as usize, events.len());
    gateway.compact().await;
    let mut stored = lake::rows(&gateway.lake());
    assert!(gateway.terminate(super::PATIENCE).await.success());

    let table = Table::start().await;
    table.put(&application.to_string(), Some("demo"));
    let tail = RecordTail::new("request", now_ms, &application.to_string());
    let records: Vec<_> = events.iter().map(|event| (event.event_id.as_str(), line(event, &tail))).collect();
    let endpoint = table.endpoint();
    let variables = [("APPLICATIONS_TABLE", "applications"), ("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str())];
    let transform: &Path = binary::transform();
    let mut function = Function::start(&transform.display().to_string(), &variables).await;
    let answer = function.invoke(&firehose(&records)).await.answered();
    let mut made: Vec<Row> = answer["records"].as_array().expect("records").iter().map(row).collect();

    for rows in [&mut stored, &mut made] {
        rows.sort_by(|one, other| one.event_id.data().cmp(other.event_id.data()));
    }
    assert_eq!(made.len(), events.len());
    assert_eq!(made, stored);
}
