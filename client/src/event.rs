//! What a caller gives: an event that borrows everything, so that giving one allocates nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::error::EventError;

/// Of `event_type`, `event_name` and the versions, bytes.
const NAME_MAX: usize = 256;
/// Of `partition_key`, characters.
const PARTITION_KEY_MAX: usize = 256;
/// The gateway takes years 1 to 9999.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

/// One telemetry event.
///
/// ```
/// # use headgate_client::Event;
/// let event = Event::new("login", "player_login").data(br#"{"player_id":"p-1"}"#).app_version("1.4.2");
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "an event goes nowhere until it is given to `Client::send`"]
pub struct Event<'a> {
    pub(crate) id: Option<Uuid>,
    pub(crate) event_type: &'a str,
    pub(crate) event_name: &'a str,
    pub(crate) at: Option<SystemTime>,
    pub(crate) event_version: &'a str,
    pub(crate) app_version: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) partition_key: &'a str,
}

impl<'a> Event<'a> {
    /// An event of this type and with this name: each 1 to 256 bytes of `A-Z a-z 0-9 - _ .`.
    pub fn new(event_type: &'a str, event_name: &'a str) -> Self {
        let empty = "";
        Self {
            id: None,
            event_type,
            event_name,
            at: None,
            event_version: empty,
            app_version: empty,
            data: &[],
            partition_key: empty,
        }
    }

    /// What belongs to it: one JSON object in UTF-8, at most 64 levels deep. The gateway checks it; it is stored byte for
    /// byte. Default: nothing.
    pub fn data(self, json_object: &'a [u8]) -> Self {
        Self { data: json_object, ..self }
    }

    /// When it happened, in years 1 to 9999. Default: when it is given to the client.
    pub fn at(self, time: SystemTime) -> Self {
        Self { at: Some(time), ..self }
    }

    /// Its id, by which the gateway tells that it has the event already. Default: a new UUID of version 7. Set it only where
    /// the event may be given twice, such as after a restart of the caller's own.
    pub fn id(self, id: Uuid) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The version of the event's shape: at most 256 bytes of the same characters as its type. Default: none.
    pub fn event_version(self, version: &'a str) -> Self {
        Self { event_version: version, ..self }
    }

    /// The version of the game: at most 256 bytes of the same characters as its type. Default: none.
    pub fn app_version(self, version: &'a str) -> Self {
        Self { app_version: version, ..self }
    }

    /// Events with one partition key stay in order on a keyed route. At most 256 characters. Default: none.
    pub fn partition_key(self, key: &'a str) -> Self {
        Self { partition_key: key, ..self }
    }

    /// Whether the gateway would take it, as far as that can be told for next to nothing: `event_data` is for the gateway.
    pub(crate) fn check(&self) -> Result<(), EventError> {
        name("event_type", self.event_type)?;
        name("event_name", self.event_name)?;
        characters("event_version", self.event_version)?;
        characters("app_version", self.app_version)?;
        // Bytes first: counting characters is for the few that are near the limit.
        let key = self.partition_key;
        if key.len() > PARTITION_KEY_MAX && key.chars().count() > PARTITION_KEY_MAX {
            return Err(EventError::TooLong { field: "partition_key", max: PARTITION_KEY_MAX });
        }
        Ok(())
    }
}

/// Seconds and nanoseconds since 1970-01-01 UTC, as `google.protobuf.Timestamp` has them: the latter count forward.
pub(crate) fn timestamp(time: SystemTime) -> Result<(i64, u32), EventError> {
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()), after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let whole = before.subsec_nanos() == 0;
            let up = if whole { Duration::ZERO } else { Duration::from_secs(1) };
            let seconds = i64::try_from((before + up).as_secs()).map(|seconds| -seconds);
            (seconds, if whole { 0 } else { 1_000_000_000 - before.subsec_nanos() })
        }
    };
    let seconds = seconds.ok().filter(|seconds| (FIRST_SECOND..=LAST_SECOND).contains(seconds));
    seconds.map(|seconds| (seconds, nanos)).ok_or(EventError::TimestampRange)
}

fn name(field: &'static str, text: &str) -> Result<(), EventError> {
    if text.is_empty() { Err(EventError::Required { field }) } else { characters(field, text) }
}

fn characters(field: &'static str, text: &str) -> Result<(), EventError> {
    if text.len() > NAME_MAX {
        return Err(EventError::TooLong { field, max: NAME_MAX });
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.bytes().all(allowed) { Ok(()) } else { Err(EventError::Charset { field }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_would_refuse_is_refused_where_it_is_given() {
        let long = "x".repeat(257);
        let umlauts = "ü".repeat(256);
        let good = Event::new("login", "player_login");
        let cases = [
            (good.app_version("1.4-rc_2").partition_key(&umlauts), None),
            (Event::new("", "x"), Some(EventError::Required { field: "event_type" })),
            (Event::new("x", ""), Some(EventError::Required { field: "event_name" })),
            (Event::new("log in", "x"), Some(EventError::Charset { field: "event_type" })),
            (Event::new("x", &long), Some(EventError::TooLong { field: "event_name", max: 256 })),
            (good.event_version("1/2"), Some(EventError::Charset { field: "event_version" })),
            (good.app_version("ü"), Some(EventError::Charset { field: "app_version" })),
            (good.partition_key(&long), Some(EventError::TooLong { field: "partition_key", max: 256 })),
        ];
        for (event, problem) in cases {
            assert_eq!(event.check().err(), problem, "{event:?}");
        }
    }

    #[test]
    fn times_before_1970_count_their_nanoseconds_forward() {
        let at = |seconds: u64, nanos| Duration::new(seconds, nanos);
        assert_eq!(timestamp(UNIX_EPOCH + at(5, 7)), Ok((5, 7)));
        assert_eq!(timestamp(UNIX_EPOCH - at(5, 0)), Ok((-5, 0)));
        assert_eq!(timestamp(UNIX_EPOCH - at(5, 1)), Ok((-6, 999_999_999)));
        assert_eq!(timestamp(UNIX_EPOCH + at(LAST_SECOND as u64, 0)), Ok((LAST_SECOND, 0)));
        assert_eq!(timestamp(UNIX_EPOCH + at(LAST_SECOND as u64 + 1, 0)), Err(EventError::TimestampRange));
        assert_eq!(timestamp(UNIX_EPOCH - at(62_135_596_801, 0)), Err(EventError::TimestampRange));
    }
}
