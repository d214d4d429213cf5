//! OTLP's messages as protobuf's own reader and writer have them, to hold ours against: opentelemetry-proto 1.x,
//! `collector/logs/v1`, `logs/v1`, `resource/v1` and `common/v1`, as far as the gateway looks at them.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ScopeLogs {
    #[prost(message, repeated, tag = "2")]
    pub(crate) log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    pub(crate) time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    pub(crate) severity_number: i32,
    #[prost(message, optional, tag = "5")]
    pub(crate) body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(fixed32, tag = "8")]
    pub(crate) flags: u32,
    #[prost(bytes = "vec", tag = "9")]
    pub(crate) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    pub(crate) observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    pub(crate) event_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) value: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(Values),
    #[prost(message, tag = "6")]
    Map(Members),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Values {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Members {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<KeyValue>,
}

impl From<Any> for AnyValue {
    fn from(any: Any) -> Self {
        Self { value: Some(any) }
    }
}

impl From<&str> for AnyValue {
    fn from(text: &str) -> Self {
        Any::Text(text.to_owned()).into()
    }
}

/// An attribute.
pub(crate) fn attribute(key: &str, value: impl Into<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value.into()) }
}

/// Records of one resource with these attributes.
pub(crate) fn request(resource: Vec<KeyValue>, log_records: Vec<LogRecord>) -> Request {
    let resource = Some(Resource { attributes: resource });
    Request { resource_logs: vec![ResourceLogs { resource, scope_logs: vec![ScopeLogs { log_records }] }] }
}

/// One of each kind of value, nested.
pub(crate) fn every_kind() -> Vec<KeyValue> {
    let values = vec![Any::Int(-1).into(), AnyValue { value: None }, Any::Bool(true).into()];
    let members = vec![attribute("deep", Any::Array(Values { values })), attribute("é\n", "\"quoted\"\u{1}")];
    vec![
        attribute("player_id", "p-1"),
        attribute("bool", Any::Bool(false)),
        attribute("int", Any::Int(i64::MIN)),
        attribute("double", Any::Double(0.1)),
        attribute("whole", Any::Double(3.0)),
        attribute("nan", Any::Double(f64::NAN)),
        attribute("infinity", Any::Double(f64::NEG_INFINITY)),
        attribute("bytes", Any::Bytes(vec![0, 255, 1])),
        attribute("map", Any::Map(Members { values: members })),
        KeyValue { key: "nothing".to_owned(), value: None },
    ]
}
