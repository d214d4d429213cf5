//! An event for tests that do not care which.

use headgate_proto::v1::Event;
use uuid::Uuid;

/// A good event with an id of its own.
#[must_use]
pub fn login() -> Event {
    Event {
        event_id: Uuid::new_v4().to_string(),
        event_type: "login".to_owned(),
        event_name: "player_login".to_owned(),
        event_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        event_data: b"{\"player_id\":\"p\"}".as_slice().into(),
        ..Event::default()
    }
}
