//! Stream records as rows, for the oracle: what the lines of a stream or a delivery stream say.

use headgate::delivery::lake::day::Day;
use headgate_proto::record::read_record;
use parquet::data_type::ByteArray;
use serde_json::value::RawValue;

use crate::lake::Row;

/// The row that a stream record would be in the lake.
///
/// # Panics
/// If it is no stream record, or not one line.
#[must_use]
pub fn row(record: &[u8]) -> Row {
    let text = std::str::from_utf8(record).expect("a stream record is UTF-8");
    let line = text.strip_suffix('\n').expect("a stream record ends its line");
    assert!(!line.contains('\n'), "a stream record is one line");
    let record = read_record(line.as_bytes()).unwrap_or_else(|error| panic!("no stream record ({error}): {line}"));
    assert!(record.validated);
    let event = &record.event;
    let bytes = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    let time_ms = event.seconds * 1_000 + i64::from(event.nanos / 1_000_000);
    Row {
        event_id: bytes(&event.event_id),
        event_type: bytes(&event.event_type),
        event_name: bytes(&event.event_name),
        event_version: event.event_version.as_deref().map(bytes),
        event_timestamp: event.seconds,
        app_version: event.app_version.as_deref().map(bytes),
        application_id: bytes(&record.application_id),
        event_data: event.event_data.map(RawValue::get).map(bytes),
        event_time_ms: time_ms,
        partition: Day::of_ms(time_ms).partition().display().to_string(),
    }
}

/// The rows of many lines.
///
/// # Panics
/// As [`row`].
#[must_use]
pub fn rows(lines: &[u8]) -> Vec<Row> {
    lines.split_inclusive(|byte| *byte == b'\n').map(row).collect()
}
