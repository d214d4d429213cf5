//! A body in JSON (`application/x-amz-json-1.1`), which both services take: each record's data in base64.

use std::io::Write;

use base64_simd::STANDARD;
use headgate_proto::aggregate::PARTITION_KEY;

use super::{Bodies, PutBody};
use crate::delivery::sender::wire::Entry;

/// The longest text around a record's data: the names, and the largest hash key.
const AROUND_DATA: usize =
    r#"{"Data":"","PartitionKey":"a","ExplicitHashKey":"340282366920938463463374607431768211455"},"#.len();
/// Everything around the records but the stream.
const AROUND_RECORDS: usize = 64;

/// Writes `entries` to the stream that the request's member `member` names as `stream`.
pub(super) fn write(bodies: &Bodies, member: &str, stream: &str, entries: &[Entry]) -> PutBody {
    let data: usize = entries.iter().map(|entry| STANDARD.encoded_length(entry.data.len()) + AROUND_DATA).sum();
    let stream = serde_json::Value::from(stream).to_string();
    let mut body = bodies.0.take(data + AROUND_RECORDS + member.len() + stream.len());
    write!(body, r#"{{"{member}":{stream},"Records":["#).expect("a vector takes it");
    for (index, entry) in entries.iter().enumerate() {
        body.extend_from_slice(if index == 0 { br#"{"Data":""# } else { br#",{"Data":""# });
        STANDARD.encode_append(&entry.data, &mut body);
        body.push(b'"');
        // Neither key where the service distributes records itself.
        if let Some(hash_key) = entry.hash_key {
            write!(body, r#","PartitionKey":"{PARTITION_KEY}","ExplicitHashKey":"{hash_key}""#)
                .expect("a vector takes it");
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    PutBody { content_type: "application/x-amz-json-1.1", bytes: bodies.0.share(body) }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &PutBody) -> Value {
        serde_json::from_slice(&body.bytes).expect("is JSON")
    }

    #[test]
    fn records_of_every_length_are_in_base64_and_the_bodys_memory_is_used_again() {
        let data: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let entries: Vec<Entry> = (0..300)
            .map(|len| Entry { data: Bytes::copy_from_slice(&data[len..2 * len]), hash_key: Some(u128::MAX) })
            .collect();
        let bodies = Bodies::default();
        let body = write(&bodies, "StreamARN", "arn:aws:kinesis:eu-west-1:123456789012:stream/events", &entries);
        let json = read(&body);
        assert_eq!(json["StreamARN"], "arn:aws:kinesis:eu-west-1:123456789012:stream/events");
        let records = json["Records"].as_array().expect("records");
        assert_eq!(records.len(), 300);
        for (record, entry) in records.iter().zip(&entries) {
            let expected = json!({
                "Data": BASE64_STANDARD.encode(&entry.data),
                "PartitionKey": "a",
                "ExplicitHashKey": u128::MAX.to_string(),
            });
            assert_eq!(record, &expected);
        }
        let (place, len) = (body.bytes.as_ptr(), body.bytes.len());
        drop(body);
        let again = write(&bodies, "StreamARN", "arn:aws:kinesis:eu-west-1:123456789012:stream/events", &entries);
        assert_eq!((again.bytes.as_ptr(), again.bytes.len()), (place, len), "it grew, or was not kept");
    }

    #[test]
    fn a_name_that_could_end_its_string_does_not() {
        let entries = [Entry { data: Bytes::from_static(b"x"), hash_key: None }];
        let json = read(&write(&Bodies::default(), "DeliveryStreamName", "a\",\"b\":\"\\", &entries));
        assert_eq!(json, json!({"DeliveryStreamName": "a\",\"b\":\"\\", "Records": [{"Data": "eA=="}]}));
    }
}
