//! Events that will never be stored, and those that were not delivered in time.

use std::fmt;

use bytes::Bytes;
use headgate_proto::v1;
use prost::Message;
use tonic::Code;
use uuid::Uuid;

use crate::wire;

/// An event that will never be stored, and why.
#[derive(Clone)]
pub struct Failure {
    pub(crate) event: Bytes,
    pub(crate) cause: Cause,
}

/// Why an event will never be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It breaks a rule. The gateway has put it with its bad rows.
    Rejected {
        /// The rule, for programs.
        reason: v1::Reason,
        /// The field at fault; empty where no single one is.
        field: String,
        /// The rule, for people.
        message: String,
    },
    /// The gateway refused the batch that it was in, for good.
    Refused {
        /// The status's code.
        code: Code,
        /// The status's text.
        message: String,
    },
    /// Memory was full, and [`Overflow::DropOldest`](crate::Overflow::DropOldest) is what was chosen for that.
    DroppedOldest,
}

impl Failure {
    /// The event's id.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.event().event_id.parse().ok()
    }

    /// The event as it was sent. Its bytes are its batch's: keeping it keeps the batch in memory.
    #[must_use]
    pub fn event(&self) -> v1::Event {
        decode(&self.event)
    }

    /// Why.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Failure").field("id", &self.id()).field("cause", &self.cause).finish()
    }
}

/// What had not come to its end when the time was up.
#[derive(Clone, Default)]
#[must_use = "these events were not delivered"]
pub struct Undelivered {
    pub(crate) batches: Vec<Bytes>,
    pub(crate) events: u64,
    pub(crate) on_log: u64,
}

impl Undelivered {
    /// Whether everything came to its end: stored, or reported as a [`Failure`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events == 0 && self.on_log == 0
    }

    /// How many events are in memory alone. After [`Client::close`](crate::Client::close) they are lost, unless the caller
    /// keeps [`Undelivered::iter`] somewhere. Some of them may be stored: their answers did not come in time.
    #[must_use]
    pub fn in_memory(&self) -> u64 {
        self.events
    }

    /// How many events are on the log. The next client with this log sends them.
    #[must_use]
    pub fn on_log(&self) -> u64 {
        self.on_log
    }

    /// The events that are in memory alone, oldest batch first, with the ids that they were sent with.
    pub fn iter(&self) -> impl Iterator<Item = v1::Event> + '_ {
        self.batches.iter().flat_map(wire::events).map(|framed| decode(&framed.event))
    }
}

impl fmt::Debug for Undelivered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Undelivered").field("in_memory", &self.events).field("on_log", &self.on_log).finish()
    }
}

/// What this client has written it can read.
fn decode(event: &Bytes) -> v1::Event {
    v1::Event::decode(event.clone()).unwrap_or_default()
}
