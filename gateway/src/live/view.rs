//! What is shown of the events that pass: the types that the console and the REST API render.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Minutes of event time that are shown where the question names no number.
pub const DEFAULT_MINUTES: u32 = 60;

/// Events by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// Stored.
    pub accepted: u64,
    /// Breaking a rule.
    pub rejected: u64,
    /// To be sent again.
    pub retry: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// Of the accepted ones, those whose id was seen before.
    pub duplicates: u64,
    /// Those that do not fit their schema and were taken all the same (mode `warn`).
    pub warned: u64,
    /// Of players whose events are not to be kept: answered as accepted, not stored, and in no other count here.
    pub suppressed: u64,
}

/// An application at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppNow {
    /// Its id.
    pub application_id: Uuid,
    /// Its name.
    pub name: String,
    /// Accepted events a second, over the last ten seconds.
    pub events_per_second: f64,
    /// Verdicts of the last hour.
    pub last_hour: Verdicts,
    /// When its last event came, milliseconds since 1970-01-01 UTC.
    pub last_event_at_ms: Option<i64>,
}

/// A curve: one value for each step, oldest first, the running step left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// When the first step began, seconds since 1970-01-01 UTC.
    pub from_s: i64,
    /// How long a step is, in seconds: 1 or 60.
    pub step_s: u32,
    /// Verdicts by step.
    pub steps: Vec<Verdicts>,
}

/// Events of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeCount {
    /// `event_type`; `(other)` once there are more than are told apart.
    pub event_type: String,
    /// Stored in the last hour, resends left out.
    pub accepted: u64,
    /// Rejected in the last hour.
    pub rejected: u64,
}

/// Rejections for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldCount {
    /// The field at fault, such as `event_timestamp` or, for schemas, `event_data/score`; empty for the event as a whole.
    pub field: String,
    /// The reason's label.
    pub reason: String,
    /// How many in the last hour.
    pub count: u64,
}

/// What became of an event of the tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TailVerdict {
    /// It kept the rules. Whether it was stored is in the counters.
    Accepted,
    /// It broke one.
    Rejected,
    /// Its batch was refused as a whole.
    Refused,
}

/// One event of the tail: a sample where many pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TailEntry {
    /// Rises from entry to entry.
    pub serial: u64,
    /// When it came, milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// The application; `None` where the key did not tell.
    pub application_id: Option<Uuid>,
    /// What became of it.
    pub verdict: TailVerdict,
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Its name.
    pub event_name: String,
    /// The reason's label, where it was rejected or refused.
    pub reason: Option<String>,
    /// The field at fault.
    pub field: Option<String>,
    /// What is wrong, in plain words, or what does not fit its schema where it was accepted all the same.
    pub message: Option<String>,
    /// Its `event_data` (of a rejected event as much as can be read), at most 2 KiB of it.
    pub event_data: String,
}

/// The four metrics of one minute of event time, distinct by event id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Window {
    /// When the minute began, seconds since 1970-01-01 UTC.
    pub minute_s: i64,
    /// `app_version`; empty where events have none.
    pub app_version: String,
    /// `TotalEvents`.
    pub total_events: u64,
    /// `TotalLogins`.
    pub total_logins: u64,
    /// `KnockoutsBySpell` by `event_data.spell_id`.
    pub knockouts_by_spell: BTreeMap<String, u64>,
    /// `Purchases` by `event_data.currency_type`.
    pub purchases: BTreeMap<String, u64>,
    /// Of `total_events`, those that came after the minute was closed.
    pub late_events: u64,
    /// Whether more events may still come in time.
    pub open: bool,
}
