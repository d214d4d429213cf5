//! A bad row as a line of JSON: what was wrong, the event's original bytes, and, where they can be decoded, the event in
//! a form that people can repair.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate_proto::v1::Event;
use prost::Message;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::BadRow;
use crate::delivery::lake::day::iso_ms;

/// One line of a file of bad rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct BadRowLine {
    /// Why it was rejected, for programs.
    pub reason: String,
    /// The field at fault; empty where no single field is.
    #[serde(default)]
    pub field: String,
    /// Why it was rejected, for people.
    #[serde(default)]
    pub message: String,
    /// The application that sent it.
    pub application_id: String,
    /// When it came, ISO 8601 in UTC.
    #[serde(default)]
    pub received_at: String,
    /// The request in which it came.
    #[serde(default)]
    pub request_id: String,
    /// Its position in that request.
    #[serde(default)]
    pub index: u32,
    /// The event, if its bytes could be decoded. Replay sends this if it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<BadRowEvent>,
    /// The event's original bytes, base64.
    pub event_base64: String,
}

/// An event in a form that people can repair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BadRowEvent {
    /// As in `headgate.v1.Event`.
    pub event_id: String,
    /// As in `headgate.v1.Event`.
    pub event_type: String,
    /// As in `headgate.v1.Event`.
    pub event_name: String,
    /// As in `headgate.v1.Event`; missing if it was not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_timestamp: Option<BadRowTime>,
    /// As in `headgate.v1.Event`.
    pub event_version: String,
    /// As in `headgate.v1.Event`.
    pub app_version: String,
    /// The JSON text as it was sent. Bytes that are not UTF-8 are shown as U+FFFD.
    pub event_data: String,
    /// As in `headgate.v1.Event`.
    pub partition_key: String,
}

/// A `google.protobuf.Timestamp`, valid or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BadRowTime {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Nanoseconds after that.
    #[serde(default)]
    pub nanos: i32,
}

impl BadRowLine {
    pub(super) fn new(row: &BadRow) -> Self {
        Self {
            reason: row.reason.to_owned(),
            field: row.field.clone(),
            message: row.message.clone(),
            application_id: row.application_id.to_string(),
            received_at: iso_ms(row.received_at_ms),
            request_id: row.request_id.clone(),
            index: row.index,
            event: Event::decode(&*row.event).ok().map(|event| BadRowEvent::of(&event)),
            event_base64: STANDARD.encode(&row.event),
        }
    }

    /// The event's original bytes; `None` if they are not base64.
    #[must_use]
    pub fn original(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.event_base64).ok()
    }

    /// The event to send again: the one in `event` if it was changed, else the original. `None` if there is neither one
    /// that was changed nor an original that can be decoded.
    ///
    /// An event without an id gets one, the same each time: the gateway would give it another one each time that it is
    /// sent, and nobody could tell that it is the same event.
    #[must_use]
    pub fn event_to_send(&self) -> Option<Event> {
        let mut event = self.event_as_it_is()?;
        if event.event_id.is_empty() {
            event.event_id = self.derived_id(&event).to_string();
        }
        Some(event)
    }

    /// An id of where the event came in, which no repair changes: a request's id is the gateway's and unique. A row that
    /// names no request was not written by a gateway; there it is an id of what the event holds.
    fn derived_id(&self, event: &Event) -> Uuid {
        let place = match self.request_id.as_str() {
            "" => event.encode_to_vec(),
            request_id => request_id.as_bytes().to_vec(),
        };
        let mut hash = Sha256::new();
        for part in [b"headgate bad row", self.application_id.to_ascii_lowercase().as_bytes(), &place] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(self.index.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Uuid::new_v8(bytes)
    }

    fn event_as_it_is(&self) -> Option<Event> {
        let original = self.original().and_then(|bytes| Event::decode(&*bytes).ok());
        match (&self.event, original) {
            // As it was, byte for byte where that is possible, unless somebody changed it.
            (Some(event), Some(original)) if *event == BadRowEvent::of(&original) => Some(original),
            (Some(event), _) => Some(event.clone().into_event()),
            (None, original) => original,
        }
    }
}

impl BadRowEvent {
    fn of(event: &Event) -> Self {
        let time = event.event_timestamp.as_ref();
        Self {
            event_id: event.event_id.clone(),
            event_type: event.event_type.clone(),
            event_name: event.event_name.clone(),
            event_timestamp: time.map(|time| BadRowTime { seconds: time.seconds, nanos: time.nanos }),
            event_version: event.event_version.clone(),
            app_version: event.app_version.clone(),
            event_data: String::from_utf8_lossy(&event.event_data).into_owned(),
            partition_key: event.partition_key.clone(),
        }
    }

    fn into_event(self) -> Event {
        let time = self.event_timestamp;
        Event {
            event_id: self.event_id,
            event_type: self.event_type,
            event_name: self.event_name,
            event_timestamp: time.map(|time| Timestamp { seconds: time.seconds, nanos: time.nanos }),
            event_version: self.event_version,
            app_version: self.app_version,
            event_data: self.event_data.into_bytes().into(),
            partition_key: self.partition_key,
        }
    }
}
