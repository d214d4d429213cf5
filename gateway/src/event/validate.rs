//! The rules an event must keep. One set for every door.
//!
//! The rules are the AWS solution's (`event_id`, `event_type`, `event_name` and versions by charset, a timestamp of any
//! age, `event_data` one JSON object) with the documented widening that any UUID version and case is taken.

use std::fmt;

use headgate_proto::v1::Reason;
use uuid::Uuid;

use super::charset::{SHORT, are_names, is_name};
use super::id;
use super::json::{self, Fault, Object};
use super::scan::{Malformed, RawEvent};
use crate::config::IngestSettings;
use crate::registry::Violation;

/// The first and last second of years 0001 and 9999, the range of `google.protobuf.Timestamp`.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Kinesis takes at most 256 characters in a partition key.
const MAX_PARTITION_KEY_CHARS: usize = 256;

/// The rules' limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// See [`IngestSettings::max_batch`].
    pub max_batch: u32,
    /// See [`IngestSettings::max_event`].
    pub max_event: usize,
    /// See [`IngestSettings::max_name`].
    pub max_name: usize,
    /// See [`IngestSettings::max_depth`].
    pub max_depth: u32,
}

impl From<&IngestSettings> for Limits {
    fn from(settings: &IngestSettings) -> Self {
        Self {
            max_batch: settings.max_batch,
            max_event: settings.max_event.as_usize(),
            max_name: settings.max_name.as_usize(),
            max_depth: settings.max_depth,
        }
    }
}

/// An event's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The event as a whole.
    Event,
    /// `event_id`
    EventId,
    /// `event_type`
    EventType,
    /// `event_name`
    EventName,
    /// `event_timestamp`
    EventTimestamp,
    /// `event_version`
    EventVersion,
    /// `app_version`
    AppVersion,
    /// `event_data`
    EventData,
    /// `partition_key`
    PartitionKey,
}

impl Field {
    /// Its name in the proto file; empty for the event as a whole.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "",
            Self::EventId => "event_id",
            Self::EventType => "event_type",
            Self::EventName => "event_name",
            Self::EventTimestamp => "event_timestamp",
            Self::EventVersion => "event_version",
            Self::AppVersion => "app_version",
            Self::EventData => "event_data",
            Self::PartitionKey => "partition_key",
        }
    }
}

/// A rule that an event breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Where.
    pub field: Field,
    /// How.
    pub problem: Problem,
}

impl Invalid {
    /// `event_data` does not fit its schema.
    #[must_use]
    pub fn unfit(violation: Box<Violation>) -> Self {
        Self { field: Field::EventData, problem: Problem::Unfit(violation) }
    }

    /// The field at fault, or the place in it; empty for the event as a whole.
    #[must_use]
    pub fn place(&self) -> &str {
        match &self.problem {
            Problem::Unfit(violation) => &violation.field,
            _ => self.field.name(),
        }
    }
}

impl From<Malformed> for Invalid {
    fn from(malformed: Malformed) -> Self {
        Self { field: Field::Event, problem: Problem::Malformed(malformed) }
    }
}

/// What a door found wrong with an event that the event's protobuf form can't show, such as a field of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The event's position in its batch, from 0.
    pub index: u32,
    /// What is wrong.
    pub invalid: Invalid,
}

/// How a field breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No protobuf message.
    Malformed(Malformed),
    /// In JSON: a value of another type.
    WrongType {
        /// What it has to be.
        expected: &'static str,
    },
    /// In JSON: a field that events do not have.
    UnknownField,
    /// In JSON: an optional field without a character.
    Empty,
    /// Missing or empty.
    Required,
    /// A character outside the field's set.
    Charset,
    /// Not UTF-8.
    NotUtf8,
    /// Longer than allowed.
    TooLong {
        /// The limit, in bytes (characters for `partition_key`).
        limit: usize,
    },
    /// No hyphenated UUID.
    NotAUuid,
    /// Outside the range of a timestamp.
    TimestampRange,
    /// Another JSON value, or a broken one.
    NotAJsonObject {
        /// The byte at fault, if it is JSON at first sight.
        at: Option<usize>,
    },
    /// Nested too deeply.
    TooDeep {
        /// The limit, in levels.
        limit: u32,
    },
    /// Larger as stream record than allowed.
    EventTooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Against the schema of its event type.
    Unfit(Box<Violation>),
}

impl Problem {
    /// The reason as clients and metrics know it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) | Self::WrongType { .. } | Self::UnknownField => Reason::Malformed,
            Self::Required | Self::Empty => Reason::Required,
            Self::Charset | Self::NotUtf8 => Reason::Charset,
            Self::TooLong { .. } => Reason::TooLong,
            Self::NotAUuid => Reason::NotAUuid,
            Self::TimestampRange => Reason::TimestampRange,
            Self::NotAJsonObject { .. } => Reason::NotAJsonObject,
            Self::TooDeep { .. } => Reason::TooDeep,
            Self::EventTooLarge { .. } => Reason::EventTooLarge,
            Self::Unfit(_) => Reason::Schema,
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field != Field::Event {
            write!(f, "{} ", self.place())?;
        }
        match &self.problem {
            Problem::Malformed(malformed) => write!(f, "the event can't be decoded: {malformed}"),
            Problem::WrongType { expected } => write!(f, "must be {expected}"),
            Problem::UnknownField => f.write_str("the event has a field that events do not have"),
            Problem::Empty => f.write_str("must not be empty: leave it out"),
            Problem::Required => f.write_str("is required"),
            Problem::Charset => f.write_str("may hold only letters, digits, '-', '_' and '.'"),
            Problem::NotUtf8 => f.write_str("is not UTF-8"),
            Problem::TooLong { limit } => write!(f, "is longer than {limit}"),
            Problem::NotAUuid => f.write_str("is not a hyphenated UUID"),
            Problem::TimestampRange => f.write_str("is outside 0001-01-01 to 9999-12-31, or its nanoseconds are"),
            Problem::NotAJsonObject { at: None } => f.write_str("is not a JSON object"),
            Problem::NotAJsonObject { at: Some(at) } => write!(f, "is not valid JSON at byte {at}"),
            Problem::TooDeep { limit } => write!(f, "is nested more than {limit} levels deep"),
            Problem::EventTooLarge { size, limit } => {
                write!(f, "the event takes {size} bytes as stored, the limit is {limit}")
            }
            Problem::Unfit(violation) => write!(f, "does not fit its schema: {}", violation.message),
        }
    }
}

/// What validation found out on its way, so that nobody has to find it out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The event's id; `None`: one has to be assigned.
    pub event_id: Option<Uuid>,
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Nanoseconds beyond them, 0 to 999,999,999.
    pub nanos: u32,
    /// Whether `event_data` has line breaks between its tokens.
    pub data_has_line_breaks: bool,
}

/// What was found out about an event before it is held to the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its id; `None`: it has none, or that is not known to be one.
    pub event_id: Option<Uuid>,
    /// What `event_data` looks like; `None`: it is empty, or not known to be an object.
    pub object: Option<Object>,
}

/// Holds an event to the rules.
///
/// # Errors
/// The first rule that is broken, in the order of the fields.
pub fn validate(event: &RawEvent<'_>, limits: &Limits) -> Result<Checked, Invalid> {
    validate_known(event, &Known::default(), limits)
}

/// The same for an event of which something is known.
///
/// # Errors
/// As [`validate`].
#[inline]
pub fn validate_known(event: &RawEvent<'_>, known: &Known, limits: &Limits) -> Result<Checked, Invalid> {
    let event_id = match known.event_id {
        Some(known) => Some(known),
        None => event_id(event.event_id)?,
    };
    required(Field::EventType, event.event_type)?;
    let names_fine = limits.max_name >= SHORT
        && are_names(event.event_type, event.event_name, event.event_version, event.app_version);
    if !names_fine {
        name(Field::EventType, event.event_type, limits)?;
    }
    required(Field::EventName, event.event_name)?;
    if !names_fine {
        name(Field::EventName, event.event_name, limits)?;
    }
    let (seconds, nanos) = timestamp(event)?;
    if !names_fine {
        name(Field::EventVersion, event.event_version, limits)?;
        name(Field::AppVersion, event.app_version, limits)?;
    }
    let data_has_line_breaks = event_data(event.event_data, known.object, limits)?;
    partition_key(event.partition_key)?;
    Ok(Checked { event_id, seconds, nanos, data_has_line_breaks })
}

fn event_id(bytes: &[u8]) -> Result<Option<Uuid>, Invalid> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let not_a_uuid = Invalid { field: Field::EventId, problem: Problem::NotAUuid };
    id::parse(bytes).map(Some).ok_or(not_a_uuid)
}

fn required(field: Field, bytes: &[u8]) -> Result<(), Invalid> {
    if bytes.is_empty() { Err(Invalid { field, problem: Problem::Required }) } else { Ok(()) }
}

fn name(field: Field, bytes: &[u8], limits: &Limits) -> Result<(), Invalid> {
    if bytes.len() > limits.max_name {
        return Err(Invalid { field, problem: Problem::TooLong { limit: limits.max_name } });
    }
    if is_name(bytes) { Ok(()) } else { Err(Invalid { field, problem: Problem::Charset }) }
}

fn timestamp(event: &RawEvent<'_>) -> Result<(i64, u32), Invalid> {
    let invalid = |problem| Invalid { field: Field::EventTimestamp, problem };
    let timestamp = event.timestamp.ok_or_else(|| invalid(Problem::Required))?;
    let nanos = u32::try_from(timestamp.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    match nanos {
        Some(nanos) if SECONDS.contains(&timestamp.seconds) => Ok((timestamp.seconds, nanos)),
        _ => Err(invalid(Problem::TimestampRange)),
    }
}

fn event_data(bytes: &[u8], known: Option<Object>, limits: &Limits) -> Result<bool, Invalid> {
    if bytes.is_empty() {
        return Ok(false);
    }
    let invalid = |problem| Invalid { field: Field::EventData, problem };
    // Larger can't fit; checking its JSON first would be work for nothing.
    if bytes.len() > limits.max_event {
        return Err(invalid(Problem::EventTooLarge { size: bytes.len(), limit: limits.max_event }));
    }
    if let Some(object) = known {
        return Ok(object.has_line_breaks);
    }
    match json::check_object(bytes, limits.max_depth) {
        Ok(object) => Ok(object.has_line_breaks),
        Err(Fault::NotUtf8) => Err(invalid(Problem::NotUtf8)),
        Err(Fault::NotAnObject) => Err(invalid(Problem::NotAJsonObject { at: None })),
        Err(Fault::Syntax { at }) => Err(invalid(Problem::NotAJsonObject { at: Some(at) })),
        Err(Fault::TooDeep) => Err(invalid(Problem::TooDeep { limit: limits.max_depth })),
    }
}

fn partition_key(bytes: &[u8]) -> Result<(), Invalid> {
    if bytes.is_empty() {
        return Ok(());
    }
    let invalid = |problem| Invalid { field: Field::PartitionKey, problem };
    let text = std::str::from_utf8(bytes).map_err(|_| invalid(Problem::NotUtf8))?;
    // A character takes at most four bytes, so most keys need no count.
    if bytes.len() > MAX_PARTITION_KEY_CHARS && text.chars().count() > MAX_PARTITION_KEY_CHARS {
        return Err(invalid(Problem::TooLong { limit: MAX_PARTITION_KEY_CHARS }));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
