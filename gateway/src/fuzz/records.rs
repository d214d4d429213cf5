//! The records that travel through Kinesis and are read back by consumers, by the load tester and by the lake.

use headgate_proto::aggregate::{MAGIC, PARTITION_KEY, envelope_len};
use headgate_proto::aggregate::{begin_user_record, framed_data, read_aggregate, seal, user_record_len};
use headgate_proto::record::{EventFields, RecordTail, SplitRecord, TimestampText, parse_timestamp, read_record};
use headgate_proto::record::{MeasuredRecord, Splitter, Unpacked, Unpacker, record_len, split_record, write_record};
use md5::{Digest, Md5};
use prost::Message;

use super::Input;

/// The aggregated record as its authors describe it, for protobuf's own reader.
#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<IndexedRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct IndexedRecord {
    #[prost(uint64, optional, tag = "1")]
    partition_key: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    hash_key: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// What is taken apart is what protobuf's own reader finds; what was put together comes back.
pub fn aggregated_record(data: &[u8]) {
    let _ = read_aggregate(data);
    // No mutation finds a digest: it is put there.
    let sealed = [&MAGIC, data, &Md5::digest(data)[..]].concat();
    if let Some(records) = read_aggregate(&sealed) {
        let message = AggregatedRecord::decode(data).expect("protobuf's own reader reads it, too");
        assert_eq!(records.len(), message.records.len());
        for (ours, theirs) in records.iter().zip(&message.records) {
            let key = |keys: &[String], index: u64| keys[usize::try_from(index).expect("an index")].clone();
            assert_eq!(Some(ours.data), theirs.data.as_deref());
            assert_eq!(ours.partition_key, key(&message.partition_keys, theirs.partition_key.expect("it has one")));
            let hash_key = theirs.hash_key.map(|index| key(&message.hash_keys, index));
            assert_eq!(ours.explicit_hash_key, hash_key.as_deref());
        }
    }
    let _ = framed_data(data).map(<[u8]>::len).sum::<usize>();

    let mut input = Input::new(data);
    let hash_key = u128::from(input.number()) << 64 | u128::from(input.number());
    let (mut framed, mut pieces) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let (piece, before) = (input.piece(), framed.len());
        begin_user_record(&mut framed, piece.len());
        framed.extend_from_slice(piece);
        assert_eq!(framed.len() - before, user_record_len(piece.len()));
        pieces.push(piece);
    }
    let record = seal(&framed, hash_key);
    assert_eq!(record.len(), framed.len() + envelope_len(hash_key));
    assert!(framed_data(&framed).eq(pieces.iter().copied()));
    let read = read_aggregate(&record).expect("it was just written");
    assert!(read.iter().map(|user| user.data).eq(pieces));
    let hash_key = hash_key.to_string();
    let shared = |key: Option<&str>, user: &str| key == Some(hash_key.as_str()) && user == PARTITION_KEY;
    assert!(read.iter().all(|user| shared(user.explicit_hash_key, user.partition_key)));
}

/// The quick way of taking a line apart says what the strict one says, and times survive being written.
pub fn stream_record(data: &[u8]) {
    let read = read_record(data);
    let line = std::str::from_utf8(data).ok().map(|line| line.strip_suffix('\n').unwrap_or(line));
    if let Some(line) = line {
        let split = split_record(line);
        if let (Ok(read), Some(split)) = (&read, split) {
            assert_eq!(SplitRecord::from(read), split);
        }
        // The second line of a request is taken apart by another way.
        let mut splitter = Splitter::default();
        assert_eq!((splitter.split(line), splitter.split(line)), (split, split));
    }
    if let Some(record) = line.and_then(split_record) {
        packed_comes_back(&record);
    }
    let (mut entries, mut bytes) = (0, 0);
    for event in Unpacker::new(data) {
        entries += 1;
        match event {
            Ok(Unpacked::Record(record)) => packed_comes_back(&record),
            Ok(Unpacked::Line(line)) => bytes += line.len(),
            Err(error) => bytes += error.bytes.len(),
        }
    }
    assert!(entries <= data.len() && bytes <= data.len());
    if let Some(Ok((seconds, nanos))) = line.map(parse_timestamp) {
        time_comes_back(seconds, nanos);
    }
    if let Ok(read) = read {
        time_comes_back(read.event.seconds, read.event.nanos);
    }
}

/// What a record is packed as is read as the same record.
fn packed_comes_back(record: &SplitRecord<'_>) {
    let tail = RecordTail::new(record.request_id, record.request_time_ms, record.application_id);
    let event = EventFields {
        event_id: record.event_id.as_bytes(),
        event_type: record.event_type.as_bytes(),
        event_name: record.event_name.as_bytes(),
        seconds: record.seconds,
        nanos: record.nanos,
        event_version: record.event_version.unwrap_or_default().as_bytes(),
        app_version: record.app_version.unwrap_or_default().as_bytes(),
        event_data: record.event_data.unwrap_or_default().as_bytes(),
        data_has_line_breaks: false,
    };
    let mut timestamp = TimestampText::default();
    let measured = MeasuredRecord::new(&event, &tail, &mut timestamp);
    let mut packed = Vec::new();
    tail.pack(&mut packed);
    measured.pack(&mut packed);
    assert_eq!(packed.len(), tail.packed_len() + measured.packed_len());
    let mut unpacker = Unpacker::new(&packed);
    match unpacker.next() {
        // An empty version is none.
        Some(Ok(Unpacked::Record(read))) => assert_eq!(
            read,
            SplitRecord {
                event_version: record.event_version.filter(|text| !text.is_empty()),
                app_version: record.app_version.filter(|text| !text.is_empty()),
                ..*record
            }
        ),
        Some(Ok(Unpacked::Line(line))) => assert_eq!(line.len(), measured.len()),
        other => panic!("{other:?}"),
    }
    assert_eq!(unpacker.next(), None);
}

fn time_comes_back(seconds: i64, nanos: u32) {
    assert!(nanos < 1_000_000_000);
    let tail = RecordTail::new("a \"request\"\\\n", seconds, "an application");
    let event = EventFields {
        event_id: b"id",
        event_type: b"type",
        event_name: b"name",
        seconds,
        nanos,
        event_version: b"",
        app_version: b"1",
        event_data: b"",
        data_has_line_breaks: false,
    };
    let mut line = Vec::new();
    write_record(&mut line, &event, &tail);
    assert_eq!(line.len(), record_len(&event, &tail));
    let read = read_record(&line).expect("it was just written");
    assert_eq!((read.event.seconds, read.event.nanos, read.request_time_ms), (seconds, nanos, seconds));
    assert_eq!(read.request_id, "a \"request\"\\\n");
}
