//! Batches that are encoded once: what differs from one to the next is its sequence and the ids of its events, and those
//! are written over. So the load costs little of the CPU that it shares with the gateway.

use bytes::Bytes;
use headgate_proto::v1::{Event, PublishEventsRequest, StreamEventsRequest};
use prost::Message;

/// An id that is written over: its first group is who sends, its last one counts.
const PLACEHOLDER: &str = "00000000-0000-4000-8000-000000000000";
const SENDER: std::ops::Range<usize> = 0..8;
const COUNT: std::ops::Range<usize> = 24..36;

/// A batch that is sent again and again, as another one each time.
pub(super) struct Template {
    events: Vec<u8>,
    ids: Vec<usize>,
    next_event: u64,
}

impl Template {
    /// Of `events` events of about 400 bytes as stream records. `sender` tells its ids from those of others.
    pub(super) fn new(sender: u32, events: u32, in_stream: bool) -> Self {
        let event = Event {
            event_id: PLACEHOLDER.to_owned(),
            event_type: "combat".to_owned(),
            event_name: "player_hit".to_owned(),
            event_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 250_000_000 }),
            app_version: "1.4.2".to_owned(),
            event_data: format!(
                r#"{{"player_id":"player-0000001","match_id":"match-000042","weapon":"rifle","damage":37,"distance":128.5,"position":[1024,768,12],"note":"{}"}}"#,
                "x".repeat(64)
            )
            .into_bytes()
            .into(),
            ..Event::default()
        };
        let events = vec![event; events as usize];
        let mut encoded = if in_stream {
            StreamEventsRequest { sequence: 0, events }.encode_to_vec()
        } else {
            PublishEventsRequest { events }.encode_to_vec()
        };
        let mut ids = Vec::new();
        let mut at = 0;
        while let Some(found) = find(&encoded[at..], PLACEHOLDER.as_bytes()) {
            let id = at + found;
            encoded[id..][SENDER].copy_from_slice(format!("{sender:08x}").as_bytes());
            ids.push(id);
            at = id + PLACEHOLDER.len();
        }
        Self { events: encoded, ids, next_event: 0 }
    }

    /// The next batch as a gRPC message with its prefix; `sequence`: of a batch of a stream.
    pub(super) fn next(&mut self, sequence: Option<u64>) -> Bytes {
        for id in &self.ids {
            write_hex(self.next_event, &mut self.events[*id..][COUNT]);
            self.next_event += 1;
        }
        // Fields may come in any order; the sequence comes first, where a gateway that reads no more looks for it.
        let head = sequence.map(|sequence| StreamEventsRequest { sequence, events: Vec::new() }.encode_to_vec());
        let head = head.unwrap_or_default();
        let length = u32::try_from(head.len() + self.events.len()).expect("a batch is small");
        let mut framed = Vec::with_capacity(5 + head.len() + self.events.len());
        framed.push(0);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&head);
        framed.extend_from_slice(&self.events);
        framed.into()
    }
}

/// In lower case, as many digits as there is room for.
fn write_hex(number: u64, text: &mut [u8]) {
    for (digit, shift) in text.iter_mut().rev().zip((0..64).step_by(4)) {
        *digit = b"0123456789abcdef"[(number >> shift) as usize & 15];
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_batch_is_good_and_every_id_is_new() {
        let mut ids = HashSet::new();
        let mut template = Template::new(7, 3, true);
        for sequence in 1..=4 {
            let framed = template.next(Some(sequence));
            let batch = StreamEventsRequest::decode(&framed[5..]).expect("protobuf");
            assert_eq!((batch.sequence, batch.events.len()), (sequence, 3));
            ids.extend(batch.events.into_iter().map(|event| event.event_id));
        }
        let call = PublishEventsRequest::decode(&Template::new(8, 3, false).next(None)[5..]).expect("protobuf");
        ids.extend(call.events.into_iter().map(|event| event.event_id));
        assert_eq!(ids.len(), 15);
        assert!(ids.iter().all(|id| id.parse::<uuid::Uuid>().is_ok()));
    }
}
