//! The part of OTLP that a batch of events needs (<https://opentelemetry.io/docs/specs/otlp/>): an export of log records,
//! each with an event's data as its body and the other fields as attributes.

use headgate_proto::v1::Event;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportLogsServiceRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportLogsServiceResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<ExportLogsPartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportLogsPartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected_log_records: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeLogs {
    #[prost(message, repeated, tag = "2")]
    pub(super) log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    pub(super) time_unix_nano: u64,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

/// One that is a string; nothing else is sent.
#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string_value: Option<String>,
}

fn text(value: impl Into<String>) -> AnyValue {
    AnyValue { string_value: Some(value.into()) }
}

fn attribute(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)) }
}

/// One export of these events.
pub(super) fn export_of(events: &[Event]) -> ExportLogsServiceRequest {
    let resource = Resource { attributes: vec![attribute("service.name", "a game")] };
    let log_records = events.iter().map(log_record).collect();
    let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![ScopeLogs { log_records }] };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

fn log_record(event: &Event) -> LogRecord {
    let timestamp = event.event_timestamp.unwrap_or_default();
    LogRecord {
        time_unix_nano: timestamp.seconds.unsigned_abs() * 1_000_000_000 + u64::from(timestamp.nanos.unsigned_abs()),
        body: Some(text(String::from_utf8_lossy(&event.event_data))),
        attributes: vec![
            attribute("event_id", &event.event_id),
            attribute("event_type", &event.event_type),
            attribute("event_name", &event.event_name),
            attribute("event_version", &event.event_version),
            attribute("app_version", &event.app_version),
        ],
    }
}

#[cfg(test)]
impl LogRecord {
    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.key == key)?;
        found.value.as_ref()?.string_value.as_deref()
    }

    pub(super) fn body(&self) -> &str {
        self.body.as_ref().and_then(|body| body.string_value.as_deref()).unwrap_or_default()
    }
}
