use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

const APP: &str = "0198f2a0-0000-4000-8000-00000000000a";
const NOW: i64 = 1_700_000_000_123;

fn settings() -> Settings {
    Settings::read(&Environment(&|name| (name == "APPLICATIONS_TABLE").then(|| "Applications".to_owned())))
        .expect("good settings")
}

fn line(event: &str) -> String {
    format!(
        r#"{{"event":{event},"aws_ga_api_validated_flag":true,"aws_ga_api_requestId":"r\"1","aws_ga_api_requestTimeEpoch":{NOW},"application_id":"{APP}"}}"#
    )
}

fn good(id: u32, seconds: i64) -> String {
    line(&format!(
        r#"{{"event_id":"00000000-0000-4000-8000-{id:012}","event_type":"login","event_name":"n","event_timestamp":{seconds}.25,"app_version":"1.0","event_data":{{"b": 1,  "a":"\u00e9\"x"}}}}"#
    ))
}

fn rows_of(lines: &[String], standing: &Standing) -> Result<(Vec<Value>, i64), Failure> {
    let settings = settings();
    let standings = HashMap::from([(APP.to_owned(), standing.clone())]);
    let mut making =
        Making { settings: &settings, ingestion_id: "i-1", now_ms: NOW, standings, partitions: Partitions::default() };
    let data = lines.join("\n");
    let events = read_all(Some(data.as_bytes()))?;
    let made = making.rows(&events, Some(NOW))?;
    let rows = made.rows.split(|byte| *byte == b'\n').filter(|row| !row.is_empty());
    Ok((rows.map(|row| serde_json::from_slice(row).expect("JSON")).collect(), made.day))
}

fn registered() -> Standing {
    Standing::Registered(Some(Arc::from("A \"game\"")))
}

#[test]
fn a_row_has_the_lakes_columns_and_the_events_bytes() {
    let (rows, day) = rows_of(&[good(1, 1_699_999_999)], &registered()).expect("rows");
    let [row] = &rows[..] else { panic!("one row: {rows:?}") };
    let metadata: Value = serde_json::from_str(row["metadata"].as_str().expect("a string")).expect("JSON");
    assert_eq!(
        *row,
        json!({
            "event_id": "00000000-0000-4000-8000-000000000001", "event_type": "login", "event_name": "n",
            "event_timestamp": 1_699_999_999, "app_version": "1.0", "application_id": APP,
            "application_name": "A \"game\"", "event_data": "{\"b\": 1,  \"a\":\"\\u00e9\\\"x\"}",
            "metadata": row["metadata"], "event_time_ms": 1_699_999_999_250_i64,
        })
    );
    assert_eq!(
        metadata,
        json!({
            "ingestion_id": "i-1", "processing_timestamp": 1_700_000_000,
            "api": {"request_id": "r\"1", "request_time_epoch": NOW}, "processing_result": {"status": "ok"},
        })
    );
    assert_eq!(day, 1_699_999_999 / 86_400);
}

#[test]
fn the_row_says_how_far_the_clients_clock_was_off_where_the_request_does() {
    let lower = headgate_proto::request_id::lower_half(1, Some(-1_250));
    let id = uuid::Uuid::new_v8((1_u128 << 64 | u128::from(lower)).to_be_bytes());
    let told = good(1, 1_700_000_000).replace(r#"r\"1"#, &id.to_string());
    let (rows, _) = rows_of(&[told], &registered()).expect("rows");
    let metadata: Value = serde_json::from_str(rows[0]["metadata"].as_str().expect("a string")).expect("JSON");
    assert_eq!(
        metadata["api"],
        json!({"request_id": id.to_string(), "request_time_epoch": NOW, "clock_skew_ms": -1_250})
    );
}

#[test]
fn the_status_is_the_registrys_and_the_rules() {
    let status = |line: &str, standing: &Standing| {
        let (rows, _) = rows_of(&[line.to_owned()], standing).expect("rows");
        let metadata: Value = serde_json::from_str(rows[0]["metadata"].as_str().expect("a string")).expect("JSON");
        (metadata["processing_result"].clone(), rows[0].clone())
    };
    let bad = line(r#"{"event_id":5,"event_type":"t","event_name":"n","event_timestamp":"12.5","event_data":[1, 2]}"#);
    let (result, row) = status(&bad, &registered());
    assert_eq!(result["status"], "schema_mismatch");
    assert_eq!(result["validation_errors"].as_array().map(Vec::len), Some(3));
    assert_eq!(result["validation_errors"][0]["instancePath"], "/event/event_id");
    assert_eq!((&row["event_id"], &row["event_timestamp"]), (&json!("5"), &json!(12)));
    assert_eq!((&row["event_data"], &row["event_time_ms"]), (&json!("[1, 2]"), &json!(12_500)));

    let (result, row) = status(&bad, &Standing::Unregistered);
    assert_eq!(result, json!({"status": "unregistered"}));
    assert_eq!(row.get("application_name"), None);

    let timeless = line(r#"{"event_id":null,"event_timestamp":"soon"}"#);
    let (_, row) = status(&timeless, &registered());
    assert_eq!((row.get("event_id"), row.get("event_timestamp"), row.get("event_time_ms")), (None, None, None));
}

#[test]
fn events_of_others_than_the_gateway_have_no_request() {
    let foreign = good(1, 1_700_000_000).replace("true", "false");
    let (rows, _) = rows_of(&[foreign], &registered()).expect("rows");
    let metadata: Value = serde_json::from_str(rows[0]["metadata"].as_str().expect("a string")).expect("JSON");
    assert_eq!(metadata.get("api"), None);
    assert_eq!(metadata["processing_result"]["status"], "schema_mismatch");
}

#[test]
fn a_bundle_of_one_day_is_answered_whole_and_one_of_several_fails_whole() {
    let midnight = 1_700_000_000 / 86_400 * 86_400;
    let (rows, day) = rows_of(&[good(1, midnight), good(2, midnight + 5)], &registered()).expect("rows");
    assert_eq!((rows.len(), day), (2, midnight / 86_400));
    assert_eq!(rows_of(&[good(1, midnight - 1), good(2, midnight)], &registered()), Err(Failure::SeveralDays));
    // Absurd times belong to the day of receipt.
    let (_, day) = rows_of(&[good(1, 1), good(2, midnight), good(3, 9_999_999_999)], &registered()).expect("rows");
    assert_eq!(day, midnight / 86_400);
}

#[test]
fn a_record_that_holds_something_unreadable_fails_whole() {
    for (lines, failure) in [
        (vec![good(1, 1), "{".to_owned()], Failure::Unreadable(record::Unreadable::NotAnObject)),
        (vec![r#"{"event":{}}"#.to_owned()], Failure::Unreadable(record::Unreadable::NoApplication)),
    ] {
        assert_eq!(rows_of(&lines, &registered()).err(), Some(failure));
    }
    assert_eq!(read_all(None).err(), Some(Failure::NotBase64));
}

#[test]
fn receive_times_are_believed_only_near_the_functions_clock() {
    let today = NOW.div_euclid(86_400_000);
    let event = good(1, 1);
    for (request_time, arrival, expected) in [
        (NOW, Some(NOW), today),
        (NOW - 86_400_000, Some(NOW), today - 1),
        (5, Some(NOW - 2 * 86_400_000), today - 2),
        (5, Some(1_700_000), today),
        (5, None, today),
    ] {
        let line = event.replace(&format!("Epoch\":{NOW}"), &format!("Epoch\":{request_time}"));
        let settings = settings();
        let mut making = Making {
            settings: &settings,
            ingestion_id: "i",
            now_ms: NOW,
            standings: HashMap::new(),
            partitions: Partitions::default(),
        };
        let events = read_all(Some(line.as_bytes())).expect("reads");
        assert_eq!(
            making.rows(&events, arrival).map(|made| made.day).ok(),
            Some(expected),
            "{request_time} {arrival:?}"
        );
    }
}
