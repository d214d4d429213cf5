//! The oracle's events. Each is a function of the seed and of its serial number, and its id tells the serial, so that
//! whoever finds an event can say what every field of it must be.

use std::fmt::Write;

use headgate_proto::v1;
use prost_types::Timestamp;
use uuid::Uuid;

use crate::seed::mix;

/// One in so many events breaks a rule on purpose.
const BAD_ONE_IN: u64 = 64;
/// Event times reach so far back, so that they fall on several days.
const SPREAD_SECONDS: u64 = 3 * 86_400;
/// What `event_data` may hold that must come through untouched.
const TEXTS: [&str; 6] = [
    "plain",
    "\u{fc}ber \u{6f22}\u{5b57} \u{1f600}",
    r"a\nb\t\u0000c",
    r#"say \"hi\" \\ \/"#,
    "",
    " spaces , : { } [ ] ",
];
const TYPES: [&str; 6] = ["login", "logout", "match_start", "match_end", "user_knockout", "iap-transaction.v2"];

/// Makes events.
#[derive(Clone, Debug)]
pub struct Events {
    seed: u64,
    /// The latest event time, seconds since 1970-01-01 UTC.
    latest: i64,
}

/// The 62 bits of a UUID that hold the serial.
const SERIAL_BITS: u64 = (1 << 62) - 1;

impl Events {
    /// The events of a seed, the latest of which happen at `latest` (seconds since 1970-01-01 UTC).
    #[must_use]
    pub fn new(seed: u64, latest: i64) -> Self {
        Self { seed, latest }
    }

    /// The id of an event.
    #[must_use]
    pub fn id(&self, serial: u64) -> Uuid {
        // Version 8 (RFC 9562, 5.8) is for ids of one's own making: a half that follows from the seed, so that another
        // run's events are not taken for this one's, and the serial.
        let high = self.hash(serial, 0) & !(0xf << 12) | (8 << 12);
        Uuid::from_u64_pair(high, (0b10 << 62) | (serial & SERIAL_BITS))
    }

    /// The serial of an id; `None` if it is none of these events'.
    #[must_use]
    pub fn serial(&self, id: Uuid) -> Option<u64> {
        let serial = id.as_u64_pair().1 & SERIAL_BITS;
        (self.id(serial) == id).then_some(serial)
    }

    /// Whether the event breaks a rule, so that the gateway must reject it.
    #[must_use]
    pub fn is_bad(&self, serial: u64) -> bool {
        self.hash(serial, 1).is_multiple_of(BAD_ONE_IN)
    }

    /// The event, as it is sent.
    #[must_use]
    pub fn event(&self, serial: u64) -> v1::Event {
        let hash = self.hash(serial, 2);
        let pick = |shift: u32, count: u64| (hash >> shift) % count;
        #[allow(clippy::cast_possible_truncation, reason = "picked from few")]
        let event_type = TYPES[pick(0, TYPES.len() as u64) as usize];
        let mut event = v1::Event {
            event_id: self.id(serial).to_string(),
            event_type: event_type.to_owned(),
            event_name: format!("{event_type}_{}", pick(8, 10)),
            event_timestamp: Some(self.timestamp(serial)),
            event_version: if pick(16, 2) == 0 { "1.0.3".to_owned() } else { String::new() },
            app_version: if pick(17, 3) == 0 { String::new() } else { format!("2.{}", pick(20, 40)) },
            event_data: self.event_data(serial).into(),
            partition_key: if pick(18, 4) == 0 { format!("player-{}", pick(24, 1_000)) } else { String::new() },
        };
        if self.is_bad(serial) {
            match pick(32, 3) {
                0 => event.event_name.clear(),
                1 => event.event_type.push('!'),
                _ => event.event_data = "[1, 2]".into(),
            }
        }
        event
    }

    /// What the lake must hold as `event_data`; `None` if the event has none. It is what was sent, byte for byte, but for
    /// line breaks between JSON tokens, which a one-line record holds as spaces.
    #[must_use]
    pub fn stored_data(&self, serial: u64) -> Option<String> {
        let data = self.event_data(serial);
        (!data.is_empty()).then(|| data.replace('\n', " "))
    }

    /// When it happened.
    #[must_use]
    pub fn timestamp(&self, serial: u64) -> Timestamp {
        let hash = self.hash(serial, 3);
        let back = (hash % SPREAD_SECONDS).cast_signed();
        #[allow(clippy::cast_possible_truncation, reason = "below a billion")]
        let nanos = match hash >> 60 {
            0..4 => 0,
            4..8 => ((hash >> 20) % 1_000) as i32 * 1_000_000,
            _ => ((hash >> 20) % 1_000_000_000) as i32,
        };
        Timestamp { seconds: self.latest - back, nanos }
    }

    fn event_data(&self, serial: u64) -> String {
        let hash = self.hash(serial, 4);
        if hash.is_multiple_of(16) {
            return String::new();
        }
        #[allow(clippy::cast_possible_truncation, reason = "picked from few")]
        let (text, padding) = (TEXTS[((hash >> 8) % 6) as usize], ((hash >> 16) % 300) as usize);
        let line_break = if (hash >> 40).is_multiple_of(16) { "\n" } else { "" };
        let mut data = String::with_capacity(padding + 200);
        let written = write!(
            data,
            r#"{{{line_break}"player_id": "p-{:x}","session_id":"{:016x}","serial":{serial},"text":"{text}", "big":1e400,"#,
            hash >> 44,
            hash.rotate_left(17),
        );
        written.expect("a string takes everything");
        data.push_str(r#""pad":""#);
        data.extend(std::iter::repeat_n('x', padding));
        data.push_str(r#"","nested":[{"a":[]},null,true,-0.0]}"#);
        data
    }

    fn hash(&self, serial: u64, purpose: u64) -> u64 {
        mix(mix(self.seed.wrapping_add(purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15))) ^ serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_serial_and_only_in_its_own_run() {
        let (events, others) = (Events::new(1, 0), Events::new(2, 0));
        for serial in (0..1_000).chain([u64::from(u32::MAX), SERIAL_BITS]) {
            let id = events.id(serial);
            assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
            assert_eq!(events.serial(id), Some(serial));
            assert_eq!(others.serial(id), None);
        }
    }

    #[test]
    fn every_event_is_what_it_was_and_unlike_the_others() {
        let events = Events::new(1, 1_700_000_000);
        let all: Vec<_> = (0..2_000).map(|serial| events.event(serial)).collect();
        assert_eq!(events.event(77), all[77]);
        assert!(all.iter().any(|event| event.event_data.is_empty()));
        assert!(all.iter().any(|event| event.event_data.contains(&b'\n')));
        let bad = (0..2_000).filter(|serial| events.is_bad(*serial)).count();
        assert!((10..80).contains(&bad), "{bad} of 2,000 events are bad");
        let good =
            (0..2_000_usize).filter(|serial| !events.is_bad(*serial as u64) && !all[*serial].event_data.is_empty());
        for event in good.map(|serial| &all[serial]) {
            let data: Result<Box<serde_json::value::RawValue>, _> = serde_json::from_slice(&event.event_data);
            assert!(data.is_ok(), "{event:?}");
        }
    }
}
