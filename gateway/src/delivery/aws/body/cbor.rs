//! A body in CBOR (`application/x-amz-cbor-1.1`), which Kinesis takes: each record's data as it is. A quarter less to
//! hash, encrypt, send and, at an interface endpoint, to pay for than in base64.
//!
//! It is what AWS's SDK for Java sends Kinesis by default. As there, maps and arrays are of indefinite length and
//! strings of definite length (RFC 8949, 3.2).

use headgate_proto::aggregate::PARTITION_KEY;

use super::{Bodies, PutBody};
use crate::delivery::sender::wire::Entry;

/// The content type of such a body.
pub(super) const CONTENT_TYPE: &str = "application/x-amz-cbor-1.1";

/// Major types, in the upper three bits of the first byte of an item.
const BYTE_STRING: u8 = 2 << 5;
const TEXT_STRING: u8 = 3 << 5;
const MAP: u8 = 0xbf;
const ARRAY: u8 = 0x9f;
const BREAK: u8 = 0xff;

/// The most bytes around a record's data: the names, the head of a byte string, and the largest hash key.
const AROUND_DATA: usize = 96;
/// Everything around the records but the stream.
const AROUND_RECORDS: usize = 64;

/// Writes `entries` to the stream that the request's member `member` names as `stream`.
pub(super) fn write(bodies: &Bodies, member: &str, stream: &str, entries: &[Entry]) -> PutBody {
    let data: usize = entries.iter().map(|entry| entry.data_len() + AROUND_DATA).sum();
    let mut body = bodies.0.take(data + AROUND_RECORDS + member.len() + stream.len());
    body.push(MAP);
    text(&mut body, member);
    text(&mut body, stream);
    text(&mut body, "Records");
    body.push(ARRAY);
    for entry in entries {
        body.push(MAP);
        text(&mut body, "Data");
        head(&mut body, BYTE_STRING, entry.data_len());
        entry.pieces().iter().for_each(|piece| body.extend_from_slice(piece));
        // Neither key where the service distributes records itself.
        if let Some(hash_key) = entry.hash_key {
            text(&mut body, "PartitionKey");
            text(&mut body, PARTITION_KEY);
            text(&mut body, "ExplicitHashKey");
            text(&mut body, &hash_key.to_string());
        }
        body.push(BREAK);
    }
    body.extend_from_slice(&[BREAK, BREAK]);
    PutBody { content_type: CONTENT_TYPE, bytes: bodies.0.share(body) }
}

fn text(body: &mut Vec<u8>, text: &str) {
    head(body, TEXT_STRING, text.len());
    body.extend_from_slice(text.as_bytes());
}

/// The head of a string of this length: in the first byte up to 23, then in 1, 2, 4 or 8 bytes of their own.
fn head(body: &mut Vec<u8>, major: u8, length: usize) {
    if let Ok(length) = u8::try_from(length) {
        if length < 24 {
            body.push(major | length);
        } else {
            body.extend_from_slice(&[major | 24, length]);
        }
    } else if let Ok(length) = u16::try_from(length) {
        body.push(major | 25);
        body.extend_from_slice(&length.to_be_bytes());
    } else if let Ok(length) = u32::try_from(length) {
        body.push(major | 26);
        body.extend_from_slice(&length.to_be_bytes());
    } else {
        body.push(major | 27);
        body.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use headgate_proto::aggregate;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Put<'a> {
        stream_name: &'a str,
        #[serde(borrow)]
        records: Vec<Record<'a>>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Record<'a> {
        data: &'a [u8],
        #[serde(default)]
        partition_key: Option<&'a str>,
        #[serde(default)]
        explicit_hash_key: Option<String>,
    }

    // All lengths at which the head of a string changes its size.
    #[test]
    fn records_of_every_length_are_there_as_they_are_and_the_bodys_memory_is_used_again() {
        let lengths = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 1 << 20];
        let data = |length: usize| Bytes::from_iter((0..length).map(|at| at as u8));
        let entries: Vec<Entry> = lengths.iter().map(|&length| Entry::plain(data(length), Some(u128::MAX))).collect();
        let bodies = Bodies::default();
        let body = write(&bodies, "StreamName", "events", &entries);
        let put: Put<'_> = minicbor_serde::from_slice(&body.bytes).expect("is CBOR");
        assert_eq!((put.stream_name, put.records.len()), ("events", lengths.len()));
        for (record, entry) in put.records.iter().zip(&entries) {
            assert_eq!(record.data, entry.payload);
            assert_eq!(record.partition_key, Some("a"));
            assert_eq!(record.explicit_hash_key.as_deref(), Some("340282366920938463463374607431768211455"));
        }
        let (place, len) = (body.bytes.as_ptr(), body.bytes.len());
        drop(body);
        let again = write(&bodies, "StreamName", "events", &entries);
        assert_eq!((again.bytes.as_ptr(), again.bytes.len()), (place, len), "it grew, or was not kept");
    }

    #[test]
    fn a_record_in_its_envelope_is_one() {
        let user_records = Bytes::from_static(b"some user records");
        let envelope = aggregate::envelopes(&[(&user_records, 7)]).pop();
        let entries = [Entry { envelope, payload: user_records.clone(), hash_key: None }];
        let body = write(&Bodies::default(), "StreamName", "events", &entries);
        let put: Put<'_> = minicbor_serde::from_slice(&body.bytes).expect("is CBOR");
        assert_eq!(put.records[0].data, aggregate::seal(&user_records, 7));
    }

    #[test]
    fn a_record_without_a_hash_key_has_no_key_at_all() {
        let entries = [Entry::plain(Bytes::from_static(b"x"), None)];
        let body = write(&Bodies::default(), "StreamName", "events", &entries);
        let put: Put<'_> = minicbor_serde::from_slice(&body.bytes).expect("is CBOR");
        assert_eq!(put.records, [Record { data: b"x", partition_key: None, explicit_hash_key: None }]);
    }

    // What the service's own SDKs write for the same call, byte by byte.
    #[test]
    fn a_body_is_of_maps_and_arrays_that_say_where_they_end() {
        let entries = [Entry::plain(Bytes::from_static(b"{}"), Some(7))];
        let body = write(&Bodies::default(), "StreamName", "events", &entries);
        let expected = b"\xbf\x6aStreamName\x66events\x67Records\x9f\xbf\x64Data\x42{}\x6cPartitionKey\x61a\x6fExplicitHashKey\x617\xff\xff\xff";
        assert_eq!(&body.bytes[..], expected);
        let any: BTreeMap<String, serde_json::Value> = minicbor_serde::from_slice(
            &write(&Bodies::default(), "StreamARN", "arn:aws:kinesis:eu-west-1:123456789012:stream/events", &[]).bytes,
        )
        .expect("is CBOR");
        assert_eq!(any["StreamARN"], "arn:aws:kinesis:eu-west-1:123456789012:stream/events");
    }
}
