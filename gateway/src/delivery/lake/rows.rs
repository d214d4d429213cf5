//! Rows of the lake's table (`raw_events`), column by column as Parquet wants them.
//!
//! A value is a slice of the frame it was read from, not a copy; what the events of one request have in common is made
//! once and shared.

mod read;

use bytes::Bytes;
use headgate_proto::record::SplitRecord;
use headgate_proto::request_id::clock_skew_ms;
use parquet::data_type::ByteArray;

use super::ApplicationNames;

pub(super) use read::{application_ids, event_data};

/// The table's schema: the columns of AWS's Game Analytics Pipeline, and `event_time_ms`.
pub(super) const SCHEMA: &str = "message raw_events {
    required binary event_id (STRING);
    required binary event_type (STRING);
    required binary event_name (STRING);
    optional binary event_version (STRING);
    required int64 event_timestamp;
    optional binary app_version (STRING);
    required binary application_id (STRING);
    optional binary application_name (STRING);
    optional binary event_data (STRING);
    required binary metadata (STRING);
    required int64 event_time_ms;
}";

/// Columns whose values hardly ever repeat: a dictionary would cost time and save nothing.
pub(super) const UNIQUE_COLUMNS: [&str; 4] = ["event_id", "event_timestamp", "event_data", "event_time_ms"];
/// Columns of which a smallest and a largest value lets no query skip anything, or no other than another column's does.
pub(super) const COLUMNS_WITHOUT_STATISTICS: [&str; 4] = ["event_id", "event_data", "metadata", "application_name"];

/// A column of strings, some of which may be missing.
#[derive(Default)]
pub(super) struct OptionalColumn {
    pub(super) values: Vec<ByteArray>,
    /// For each row 1 if it has a value, else 0 (Parquet's definition levels).
    pub(super) levels: Vec<i16>,
}

impl OptionalColumn {
    fn push(&mut self, value: Option<ByteArray>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// One column's values.
pub(super) enum Column<'a> {
    Required(&'a [ByteArray]),
    Optional(&'a OptionalColumn),
    Number(&'a [i64]),
}

/// Rows that wait to be written as one row group.
#[derive(Default)]
pub(super) struct Rows {
    event_id: Vec<ByteArray>,
    event_type: Vec<ByteArray>,
    event_name: Vec<ByteArray>,
    event_version: OptionalColumn,
    event_timestamp: Vec<i64>,
    app_version: OptionalColumn,
    application_id: Vec<ByteArray>,
    application_name: OptionalColumn,
    event_data: OptionalColumn,
    metadata: Vec<ByteArray>,
    event_time_ms: Vec<i64>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.event_time_ms.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.event_time_ms.is_empty()
    }

    /// Adds a row. `frame` is the memory that `record` was read from. Returns how many bytes its own values take.
    pub(super) fn push(&mut self, record: &SplitRecord<'_>, frame: &Bytes, request: &RequestValues) -> usize {
        self.event_id.push(value(frame, record.event_id));
        self.event_type.push(value(frame, record.event_type));
        self.event_name.push(value(frame, record.event_name));
        self.event_version.push(record.event_version.map(|text| value(frame, text)));
        self.event_timestamp.push(record.seconds);
        self.app_version.push(record.app_version.map(|text| value(frame, text)));
        self.application_id.push(request.application_id.clone());
        self.application_name.push(request.application_name.clone());
        self.event_data.push(record.event_data.map(|text| value(frame, text)));
        self.metadata.push(request.metadata.clone());
        self.event_time_ms.push(event_time_ms(record));
        let optional = [record.event_version, record.app_version, record.event_data];
        let required = [record.event_id, record.event_type, record.event_name];
        let texts = required.into_iter().chain(optional.into_iter().flatten());
        texts.map(str::len).sum::<usize>() + 2 * size_of::<i64>()
    }

    /// Forgets the rows and keeps the memory of the columns.
    pub(super) fn clear(&mut self) {
        for column in [
            &mut self.event_id,
            &mut self.event_type,
            &mut self.event_name,
            &mut self.application_id,
            &mut self.metadata,
        ] {
            column.clear();
        }
        let optional =
            [&mut self.event_version, &mut self.app_version, &mut self.application_name, &mut self.event_data];
        for column in optional {
            column.values.clear();
            column.levels.clear();
        }
        self.event_timestamp.clear();
        self.event_time_ms.clear();
    }

    /// The columns in the order of [`SCHEMA`].
    pub(super) fn columns(&self) -> [Column<'_>; 11] {
        [
            Column::Required(&self.event_id),
            Column::Required(&self.event_type),
            Column::Required(&self.event_name),
            Column::Optional(&self.event_version),
            Column::Number(&self.event_timestamp),
            Column::Optional(&self.app_version),
            Column::Required(&self.application_id),
            Column::Optional(&self.application_name),
            Column::Optional(&self.event_data),
            Column::Required(&self.metadata),
            Column::Number(&self.event_time_ms),
        ]
    }

    /// The earliest and the latest event time; `None` without rows.
    pub(super) fn event_times(&self) -> Option<(i64, i64)> {
        Some((*self.event_time_ms.iter().min()?, *self.event_time_ms.iter().max()?))
    }
}

/// A slice of the frame where the text lies in it; a text that had escapes was copied out of it.
fn value(frame: &Bytes, text: &str) -> ByteArray {
    if frame.as_ptr_range().contains(&text.as_ptr()) {
        frame.slice_ref(text.as_bytes()).into()
    } else {
        text.as_bytes().to_vec().into()
    }
}

/// When the event happened, milliseconds since 1970-01-01 UTC, rounded down.
pub(super) fn event_time_ms(record: &SplitRecord<'_>) -> i64 {
    record.seconds.saturating_mul(1_000).saturating_add(i64::from(record.nanos / 1_000_000))
}

/// The values that the events of one request share.
pub(super) struct RequestValues {
    application_id: ByteArray,
    application_name: Option<ByteArray>,
    metadata: ByteArray,
}

/// Makes [`RequestValues`], anew only when a row is of another request than the one before.
pub(super) struct Requests<'a> {
    names: &'a dyn ApplicationNames,
    request_id: String,
    request_time_ms: i64,
    application_id: String,
    values: Option<RequestValues>,
    /// Bytes of the values that were made since they were asked for.
    made: usize,
}

impl<'a> Requests<'a> {
    pub(super) fn new(names: &'a dyn ApplicationNames) -> Self {
        Self {
            names,
            request_id: String::new(),
            request_time_ms: 0,
            application_id: String::new(),
            values: None,
            made: 0,
        }
    }

    pub(super) fn values(&mut self, record: &SplitRecord<'_>) -> &RequestValues {
        let same = self.request_time_ms == record.request_time_ms
            && self.request_id == record.request_id
            && self.application_id == record.application_id;
        let values = match self.values.take() {
            Some(values) if same => values,
            before => self.make(record, before),
        };
        self.values.insert(values)
    }

    fn make(&mut self, record: &SplitRecord<'_>, before: Option<RequestValues>) -> RequestValues {
        // The application mostly stays when the request changes.
        let (application_id, application_name) = match before {
            Some(before) if self.application_id == record.application_id => {
                (before.application_id, before.application_name)
            }
            _ => {
                let name = self.names.name(record.application_id);
                (record.application_id.as_bytes().to_vec().into(), name.map(|name| name.into_bytes().into()))
            }
        };
        record.request_id.clone_into(&mut self.request_id);
        record.application_id.clone_into(&mut self.application_id);
        self.request_time_ms = record.request_time_ms;
        let metadata = metadata(record);
        self.made += metadata.len();
        RequestValues { application_id, application_name, metadata }
    }

    /// How many bytes of values of its own each request had, of those that came since this was asked.
    pub(super) fn take_made(&mut self) -> usize {
        std::mem::take(&mut self.made)
    }
}

fn metadata(record: &SplitRecord<'_>) -> ByteArray {
    // The AWS solution's shape, so that its queries find their way in it.
    let request_id = serde_json::Value::from(record.request_id);
    let received_ms = record.request_time_ms;
    let received = received_ms.div_euclid(1_000);
    let skew = clock_skew_ms(record.request_id).map_or_else(String::new, |ms| format!(r#","clock_skew_ms":{ms}"#));
    let text = format!(
        r#"{{"ingestion_id":{request_id},"processing_timestamp":{received},"api":{{"request_id":{request_id},"request_time_epoch":{received_ms}{skew}}},"processing_result":{{"status":"ok"}}}}"#
    );
    text.into_bytes().into()
}

#[cfg(test)]
mod tests {
    use headgate_proto::record::read_record;

    use super::*;

    struct Names;
    impl ApplicationNames for Names {
        fn name(&self, application_id: &str) -> Option<String> {
            (application_id == "app-1").then(|| "First \"game\"".to_owned())
        }
    }

    fn line(request_id: &str, application_id: &str) -> String {
        format!(
            r#"{{"event":{{"event_id":"e","event_type":"t","event_name":"n","event_timestamp":-0.25}},"aws_ga_api_validated_flag":true,"aws_ga_api_requestId":{request_id},"aws_ga_api_requestTimeEpoch":1700000000123,"application_id":"{application_id}"}}"#
        )
    }

    #[test]
    fn metadata_is_json_whatever_the_request_id_holds() {
        let line = line(r#""a\"\\\n""#, "app-1");
        let record = read_record(line.as_bytes()).expect("reads");
        let mut requests = Requests::new(&Names);
        let metadata = requests.values(&SplitRecord::from(&record)).metadata.clone();
        let json: serde_json::Value = serde_json::from_slice(metadata.data()).expect("is JSON");
        assert_eq!(json["ingestion_id"], "a\"\\\n");
        assert_eq!(json["processing_timestamp"], 1_700_000_000);
        assert_eq!(json["api"]["request_id"], "a\"\\\n");
        assert_eq!(json["api"]["request_time_epoch"], 1_700_000_000_123_i64);
        assert_eq!(json["processing_result"]["status"], "ok");
    }

    #[test]
    fn metadata_says_how_far_the_clients_clock_was_off_where_that_is_known() {
        use headgate_proto::request_id::lower_half;

        let mut requests = Requests::new(&Names);
        let mut told = |skew| {
            let id = uuid::Uuid::new_v8((u128::from(1_u64) << 64 | u128::from(lower_half(9, skew))).to_be_bytes());
            let line = line(&format!("\"{id}\""), "app-1");
            let record = read_record(line.as_bytes()).expect("reads");
            let metadata = requests.values(&SplitRecord::from(&record)).metadata.clone();
            let json: serde_json::Value = serde_json::from_slice(metadata.data()).expect("is JSON");
            json["api"].get("clock_skew_ms").cloned()
        };
        assert_eq!(told(Some(-1_250)), Some(serde_json::json!(-1_250)));
        assert_eq!(told(Some(0)), Some(serde_json::json!(0)));
        assert_eq!(told(None), None);
    }

    #[test]
    fn a_row_gets_the_values_of_its_own_request() {
        let lines =
            [line("\"r1\"", "app-1"), line("\"r1\"", "app-1"), line("\"r2\"", "app-1"), line("\"r2\"", "app-2")];
        let mut requests = Requests::new(&Names);
        let mut rows = Rows::default();
        for line in &lines {
            let frame = Bytes::copy_from_slice(line.as_bytes());
            let read = read_record(&frame).expect("reads");
            let record = SplitRecord::from(&read);
            let request = requests.values(&record);
            rows.push(&record, &frame, request);
        }
        let text = |values: &[ByteArray]| -> Vec<String> {
            values.iter().map(|value| String::from_utf8_lossy(value.data()).into_owned()).collect()
        };
        assert_eq!(text(&rows.application_id), ["app-1", "app-1", "app-1", "app-2"]);
        assert_eq!(rows.application_name.levels, [1, 1, 1, 0]);
        assert_eq!(text(&rows.application_name.values), ["First \"game\""; 3]);
        let ids: Vec<bool> = text(&rows.metadata).iter().map(|metadata| metadata.contains("\"r1\"")).collect();
        assert_eq!(ids, [true, true, false, false]);
        assert_eq!(rows.event_timestamp, [-1; 4]);
        assert_eq!(rows.event_times(), Some((-250, -250)));
        rows.clear();
        assert!(rows.is_empty() && rows.event_version.levels.is_empty());
    }
}
