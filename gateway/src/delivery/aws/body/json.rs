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
    let data: usize = entries.iter().map(|entry| STANDARD.encoded_length(entry.data_len()) + AROUND_DATA).sum();
    let stream = serde_json::Value::from(stream).to_string();
    let mut body = bodies.0.take(data + AROUND_RECORDS + member.len() + stream.len());
    write!(body, r#"{{"{member}":{stream},"Records":["#).expect("a vector takes it");
    for (index, entry) in entries.iter().enumerate() {
        body.extend_from_slice(if index == 0 { br#"{"Data":""# } else { br#",{"Data":""# });
        encode(entry.pieces(), &mut body);
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

/// The base64 of what the pieces are together: three bytes at a time, wherever one of them ends.
fn encode(pieces: [&[u8]; 3], body: &mut Vec<u8>) {
    let (mut held, mut count) = ([0; 3], 0);
    for mut piece in pieces {
        while count > 0
            && let Some((first, rest)) = piece.split_first()
        {
            (held[count], piece, count) = (*first, rest, count + 1);
            if count == held.len() {
                STANDARD.encode_append(held, body);
                count = 0;
            }
        }
        let (whole, rest) = piece.split_at(piece.len() - piece.len() % 3);
        STANDARD.encode_append(whole, body);
        if !rest.is_empty() {
            held[..rest.len()].copy_from_slice(rest);
            count = rest.len();
        }
    }
    STANDARD.encode_append(&held[..count], body);
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use bytes::Bytes;
    use headgate_proto::aggregate;
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &PutBody) -> Value {
        serde_json::from_slice(&body.bytes).expect("is JSON")
    }

    #[test]
    fn records_of_every_length_are_in_base64_and_the_bodys_memory_is_used_again() {
        let data: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let entries: Vec<Entry> = (0..300)
            .map(|len| Entry {
                envelope: None,
                payload: Bytes::copy_from_slice(&data[len..2 * len]),
                hash_key: Some(u128::MAX),
            })
            .collect();
        let bodies = Bodies::default();
        let body = write(&bodies, "StreamARN", "arn:aws:kinesis:eu-west-1:123456789012:stream/events", &entries);
        let json = read(&body);
        assert_eq!(json["StreamARN"], "arn:aws:kinesis:eu-west-1:123456789012:stream/events");
        let records = json["Records"].as_array().expect("records");
        assert_eq!(records.len(), 300);
        for (record, entry) in records.iter().zip(&entries) {
            let expected = json!({
                "Data": BASE64_STANDARD.encode(&entry.payload),
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
    fn pieces_are_encoded_as_one_wherever_they_end() {
        let data: Vec<u8> = (0..=99).collect();
        for first in 0..8 {
            for second in first..first + 8 {
                for len in second..second + 4 {
                    let mut text = Vec::new();
                    encode([&data[..first], &data[first..second], &data[second..len]], &mut text);
                    assert_eq!(text, BASE64_STANDARD.encode(&data[..len]).into_bytes(), "{first} {second} {len}");
                }
            }
        }
    }

    #[test]
    fn a_record_in_its_envelope_is_one() {
        let user_records = Bytes::from_static(b"some user records");
        let envelope = aggregate::envelopes(&[(&user_records, 7)]).pop();
        let entries = [Entry { envelope, payload: user_records.clone(), hash_key: Some(7) }];
        let record = aggregate::seal(&user_records, 7);
        assert_eq!(entries[0].data_len(), record.len());
        let json = read(&write(&Bodies::default(), "StreamName", "events", &entries));
        assert_eq!(json["Records"][0]["Data"], json!(BASE64_STANDARD.encode(record)));
    }

    #[test]
    fn a_name_that_could_end_its_string_does_not() {
        let entries = [Entry::plain(Bytes::from_static(b"x"), None)];
        let json = read(&write(&Bodies::default(), "DeliveryStreamName", "a\",\"b\":\"\\", &entries));
        assert_eq!(json, json!({"DeliveryStreamName": "a\",\"b\":\"\\", "Records": [{"Data": "eA=="}]}));
    }
}
