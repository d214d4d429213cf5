//! Lines of bad rows, which people repair and replay.

use headgate_proto::v1::Event;
use prost::Message;
use uuid::Uuid;

use super::{BadRow, BadRowLine};

/// What was rejected can be had again byte for byte, and a line gives the same event each time.
pub fn bad_row(data: &[u8]) {
    if let Ok(line) = serde_json::from_slice::<BadRowLine>(data) {
        let event = line.event_to_send();
        assert_eq!(event, line.event_to_send());
        assert!(event.is_none_or(|event| !event.event_id.is_empty()));
        read_back(&line);
    }
    let line = BadRowLine::new(&BadRow {
        application_id: Uuid::from_u128(7),
        request_id: "a request".to_owned(),
        index: 3,
        reason: "malformed",
        field: String::new(),
        message: String::from_utf8_lossy(data).into_owned(),
        received_at_ms: 1_700_000_000_000,
        event: data.to_vec(),
    });
    assert_eq!(line.original().as_deref(), Some(data));
    read_back(&line);
    let (sent, original) = (line.event_to_send(), Event::decode(data).ok());
    assert_eq!(sent.is_some(), original.is_some());
    if let (Some(sent), Some(original)) = (sent, original) {
        let event_id = if original.event_id.is_empty() { sent.event_id.clone() } else { original.event_id.clone() };
        assert_eq!(sent, Event { event_id, ..original });
    }
}

fn read_back(line: &BadRowLine) {
    let text = serde_json::to_vec(line).expect("it can be written");
    assert!(!text.contains(&b'\n'), "one line");
    assert_eq!(&serde_json::from_slice::<BadRowLine>(&text).expect("it was just written"), line);
}
