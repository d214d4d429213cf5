use md5::{Digest as _, Md5};

use super::*;

const HASH_KEY: u128 = 255_211_775_190_703_847_597_530_955_573_826_158_592;

fn framed(records: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        let before = out.len();
        begin_user_record(&mut out, record.len());
        out.extend_from_slice(record);
        assert_eq!(out.len() - before, user_record_len(record.len()), "{} bytes", record.len());
    }
    out
}

#[test]
fn the_layout_is_the_producer_librarys() {
    let record = seal(&framed(&[b"one", b"two"]), 7);
    let message = b"\x0a\x01a\x12\x017\x1a\x09\x08\x00\x10\x00\x1a\x03one\x1a\x09\x08\x00\x10\x00\x1a\x03two";
    assert_eq!(record[..4], MAGIC);
    assert_eq!(&record[4..record.len() - 16], message);
    assert_eq!(record[record.len() - 16..], Md5::digest(message)[..]);
}

#[test]
fn the_quick_way_for_usual_lengths_writes_what_any_length_takes() {
    for data in 0..70_000 {
        let (mut quick, mut any) = (Vec::new(), Vec::new());
        begin_user_record(&mut quick, data);
        begin_any_user_record(&mut any, data);
        assert_eq!((quick.len() + data, &quick), (user_record_len(data), &any), "{data} bytes");
    }
}

#[test]
fn what_is_sealed_is_read_back_under_the_shared_keys() {
    let long = vec![b'x'; 70_000];
    let records: [&[u8]; 5] = [b"", b"{}", &[0; 127], &[1; 128], &long];
    for hash_key in [0, 9, HASH_KEY, u128::MAX] {
        let sealed = seal(&framed(&records), hash_key);
        assert_eq!(sealed.len(), framed(&records).len() + envelope_len(hash_key));
        assert!(envelope_len(hash_key) <= ENVELOPE_MAX);
        let read = read_aggregate(&sealed).expect("an aggregate");
        assert_eq!(read.iter().map(|record| record.data).collect::<Vec<_>>(), records);
        let digits = hash_key.to_string();
        assert!(read.iter().all(|record| record.partition_key == "a"));
        assert!(read.iter().all(|record| record.explicit_hash_key == Some(&digits)));
    }
}

#[test]
fn records_that_are_sealed_together_are_as_each_by_itself() {
    let framed: Vec<Vec<u8>> = (0..40).map(|len| framed(&vec![&[b'x'; 99][..]; len * len])).collect();
    let records: Vec<(&[u8], u128)> =
        framed.iter().map(Vec::as_slice).zip((0..).map(|key| u128::MAX / 40 * key)).collect();
    let each: Vec<Vec<u8>> = records.iter().map(|(record, hash_key)| seal(record, *hash_key)).collect();
    let around = envelopes(&records).into_iter().zip(&records).map(|(envelope, (record, _))| envelope.around(record));
    assert_eq!(around.collect::<Vec<_>>(), each);
}

#[test]
fn framed_records_can_be_walked_without_an_envelope() {
    let records: [&[u8]; 3] = [b"one", b"", &[2; 300]];
    assert_eq!(framed_data(&framed(&records)).collect::<Vec<_>>(), records);
    let mut cut = framed(&records);
    cut.pop();
    assert_eq!(framed_data(&cut).count(), 2);
    assert_eq!(framed_data(b"").count(), 0);
}

/// Two partition keys, one explicit hash key, a tag, fields nobody knows, and the tables at the end: all legal.
#[test]
fn other_producers_aggregates_are_read() {
    let tagged = b"\x1a\x0e\x08\x01\x1a\x03two\x22\x05\x0a\x03key";
    let hashed = b"\x1a\x09\x08\x00\x10\x00\x1a\x03one";
    let unknown = b"\x20\x05\x2a\x02hi\x31\x00\x00\x00\x00\x00\x00\x00\x00\x3d\x00\x00\x00\x00";
    let tables = b"\x0a\x01p\x0a\x01q\x12\x0242";
    let message = [&hashed[..], tagged, unknown, tables].concat();
    let record = [&MAGIC[..], &message, &Md5::digest(&message)].concat();
    let expected = [
        UserRecord { partition_key: "p", explicit_hash_key: Some("42"), data: b"one" },
        UserRecord { partition_key: "q", explicit_hash_key: None, data: b"two" },
    ];
    assert_eq!(read_aggregate(&record).expect("an aggregate"), expected);
}

#[test]
fn whatever_is_not_an_aggregate_passes_as_it_is() {
    let sealed = seal(&framed(&[b"one", b"two"]), HASH_KEY);
    for cut in 0..sealed.len() {
        assert_eq!(read_aggregate(&sealed[..cut]), None, "cut at {cut}");
    }
    for byte in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[byte] ^= 1;
        assert_eq!(read_aggregate(&damaged), None, "byte {byte}");
    }
    let with_digest = |message: &[u8]| [&MAGIC[..], message, &Md5::digest(message)].concat();
    // A key that is not in its table, a record without data, a cut message, a varint without an end, field number 0.
    for message in [
        &b"\x1a\x07\x08\x00\x1a\x03one"[..],
        b"\x0a\x01a\x1a\x02\x08\x00",
        b"\x0a\x05a",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x01",
        b"\x0b",
    ] {
        assert_eq!(read_aggregate(&with_digest(message)), None, "{message:?}");
    }
    assert_eq!(read_aggregate(&with_digest(b"")), Some(Vec::new()));
}

#[test]
fn a_field_number_beyond_protobufs_is_refused() {
    for (tag, is_read) in [((1 << 29) - 1) << 3 | 2, 1 << 32 | 4 << 3 | 2].into_iter().zip([true, false]) {
        let mut message = Vec::new();
        push_varint(&mut message, tag);
        push_varint(&mut message, 0);
        let record = [&MAGIC, &message[..], &Md5::digest(&message)[..]].concat();
        assert_eq!(read_aggregate(&record).is_some(), is_read, "{tag}");
    }
}
