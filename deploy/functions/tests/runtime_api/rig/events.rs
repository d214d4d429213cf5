//! Stream records as the gateway writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate_proto::aggregate::{begin_user_record, seal};
use headgate_proto::record::{EventFields, RecordTail, write_record};
use serde_json::{Value, json};

pub(crate) const APP: &str = "0198f2a0-1111-4000-8000-000000000001";
pub(crate) const REQUEST: &str = "request-1";

/// An event.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) event_type: &'static str,
    pub(crate) seconds: i64,
    pub(crate) app_version: String,
    pub(crate) event_data: String,
    pub(crate) application_id: String,
    pub(crate) request_time_ms: i64,
}

impl Sent {
    /// A login of now.
    pub(crate) fn login(number: u32) -> Self {
        let now_ms = now_ms();
        Self {
            id: format!("00000000-0000-4000-8000-{number:012}"),
            event_type: "login",
            seconds: now_ms / 1_000,
            app_version: "1.0.0".to_owned(),
            event_data: r#"{"player_id":"p-1"}"#.to_owned(),
            application_id: APP.to_owned(),
            request_time_ms: now_ms,
        }
    }

    /// Its stream record, a line with its end.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        let fields = EventFields {
            event_id: self.id.as_bytes(),
            event_type: self.event_type.as_bytes(),
            event_name: b"name",
            seconds: self.seconds,
            nanos: 250_000_000,
            event_version: b"1",
            app_version: self.app_version.as_bytes(),
            event_data: self.event_data.as_bytes(),
            data_has_line_breaks: false,
        };
        write_record(&mut line, &fields, &RecordTail::new(REQUEST, self.request_time_ms, &self.application_id));
        line
    }
}

/// Many lines, joined.
pub(crate) fn bundle(events: &[Sent]) -> Vec<u8> {
    events.iter().flat_map(Sent::line).collect()
}

/// Many lines, each a user record of an aggregated record.
pub(crate) fn aggregate(events: &[Sent]) -> Vec<u8> {
    let mut framed = Vec::new();
    for event in events {
        let line = event.line();
        begin_user_record(&mut framed, line.len());
        framed.extend_from_slice(&line);
    }
    seal(&framed, 1 << 100)
}

pub(crate) fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since_epoch.as_millis()).expect("fits")
}

/// What Firehose hands over.
pub(crate) fn firehose(records: &[(&str, Vec<u8>)]) -> Value {
    let record = |(id, data): &(&str, Vec<u8>)| {
        json!({"recordId": id, "approximateArrivalTimestamp": now_ms(), "data": STANDARD.encode(data),
            "kinesisRecordMetadata": {"shardId": "shardId-000000000000", "subsequenceNumber": ""}})
    };
    json!({
        "invocationId": "i", "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/d",
        "region": "us-east-1", "records": records.iter().map(record).collect::<Vec<_>>(),
    })
}

/// What Lambda hands over of a stream, in a window of the minute that begins at 2026-01-02 03:04.
pub(crate) fn kinesis(records: &[Vec<u8>], state: &Value, is_final: bool) -> Value {
    let record = |(place, data): (usize, &Vec<u8>)| {
        json!({
            "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "a", "sequenceNumber": format!("{place:056}"),
                "data": STANDARD.encode(data), "approximateArrivalTimestamp": 1_767_323_045.123},
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("shardId-000000000003:{place}"),
            "eventName": "aws:kinesis:record", "awsRegion": "us-east-1",
        })
    };
    json!({
        "Records": records.iter().enumerate().map(record).collect::<Vec<_>>(),
        "window": {"start": "2026-01-02T03:04:00Z", "end": "2026-01-02T03:05:00Z"},
        "state": state, "shardId": "shardId-000000000003",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        "isFinalInvokeForWindow": is_final, "isWindowTerminatedEarly": false,
    })
}

/// The start of that window.
pub(crate) const WINDOW_MS: i64 = 1_767_323_040_000;
