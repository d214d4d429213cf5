//! A bucket: stream records on their way to one destination.
//!
//! An open bucket is a row of segments, one a unit, each with a number and a ticket of its own. So a bucket of several
//! units can be cut after a whole one when its linger is over: what goes out wastes nothing, and what stays behind keeps
//! its numbers, its tickets and its own linger.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_proto::aggregate;
use headgate_proto::record::unpack_lines;

use super::order::LaneHold;
use super::packing::{Format, Packing};
use super::ticket::{FailureReason, Outcome, Ticket, Waiters};

/// A segment's number, rising in the order of opening. The dedupe window refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub u64);

/// A bucket that takes no more events. It must be settled through its ticket.
pub struct ClosedBucket {
    /// Stream records in the format that the destination's packing names.
    pub payload: Vec<u8>,
    /// How they stand there.
    pub format: Format,
    /// How many records.
    pub events: u32,
    /// When its first record was written.
    pub opened_at: Instant,
    /// When its verdict is due.
    pub deadline: Instant,
    /// The way back.
    pub ticket: Ticket,
    /// The lane that it comes from, where records of one key must stay in order.
    pub lane: Option<LaneHold>,
    /// Who takes it when the destination can't: not before the deadline, but as soon as it is known.
    pub overflow: Option<Arc<dyn BucketSink>>,
    /// It was kept after its deadline and is delivered once more; in its lane it goes before all others.
    pub kept: bool,
    /// Another destination may have stored it, or a part of it: it can never be said to be not stored.
    pub maybe_stored: bool,
}

impl ClosedBucket {
    /// The stream records, each with its newline.
    pub fn records(&self) -> Box<dyn Iterator<Item = Cow<'_, [u8]>> + '_> {
        match self.format {
            Format::Lines => Box::new(self.payload.split_inclusive(|byte| *byte == b'\n').map(Cow::Borrowed)),
            Format::Aggregate => Box::new(aggregate::framed_data(&self.payload).map(Cow::Borrowed)),
            Format::Packed => {
                let mut lines = Vec::new();
                unpack_lines(&self.payload, &mut lines);
                let lines: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                Box::new(lines.into_iter().map(Cow::Owned))
            }
        }
    }

    /// The same records as lines.
    #[must_use]
    pub fn into_lines(self) -> Self {
        let mut lines = Vec::new();
        match self.format {
            Format::Lines => return self,
            Format::Aggregate => aggregate::framed_data(&self.payload).for_each(|line| lines.extend_from_slice(line)),
            Format::Packed => unpack_lines(&self.payload, &mut lines),
        }
        Self { payload: lines, format: Format::Lines, ..self }
    }

    /// Answers for it on behalf of a destination that takes nothing any more.
    pub fn refuse(self) {
        let reason = FailureReason::DestinationUnavailable;
        let outcome = if self.maybe_stored {
            Outcome::Unknown { reason }
        } else {
            Outcome::NotStored { reason, retry_after: Duration::from_secs(1) }
        };
        self.ticket.settle(&outcome);
    }

    /// The same bucket twice, for two destinations that both have to store it. The second one keeps no order.
    #[must_use]
    pub fn fork(self) -> (Self, Self) {
        let Self { payload, format, events, opened_at, deadline, ticket, lane, overflow, kept, maybe_stored } = self;
        let (first, second) = ticket.fork();
        let copy = payload.clone();
        (
            Self { payload, format, events, opened_at, deadline, ticket: first, lane, overflow, kept, maybe_stored },
            Self {
                payload: copy,
                format,
                events,
                opened_at,
                deadline,
                ticket: second,
                lane: None,
                overflow: None,
                kept,
                maybe_stored,
            },
        )
    }
}

/// Takes closed buckets; implemented by what delivers them.
pub trait BucketSink: Send + Sync {
    /// Takes the bucket. Does not block and can't refuse: a sink that can't deliver settles the ticket so.
    fn submit(&self, bucket: ClosedBucket);
}

/// A bucket that takes events.
pub(super) struct OpenBucket {
    payload: Vec<u8>,
    full: Vec<Segment>,
    last: Segment,
    // The payload may grow to this before another segment has to begin.
    cut: usize,
    events: u32,
}

/// The events of one unit.
pub(super) struct Segment {
    pub(super) id: BucketId,
    pub(super) waiters: Arc<Waiters>,
    pub(super) ticket: Ticket,
    pub(super) opened_at: Instant,
    // What the bucket held before it.
    start: usize,
    events_before: u32,
}

impl Segment {
    pub(super) fn new(id: BucketId, waiters: Arc<Waiters>, ticket: Ticket, opened_at: Instant) -> Self {
        Self { id, waiters, ticket, opened_at, start: 0, events_before: 0 }
    }
}

impl OpenBucket {
    pub(super) fn new(segment: Segment, packing: &Packing) -> Self {
        Self { payload: Vec::new(), full: Vec::new(), last: segment, cut: packing.room(1), events: 0 }
    }

    pub(super) fn last(&self) -> &Segment {
        &self.last
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(super) fn len(&self) -> usize {
        self.payload.len()
    }

    pub(super) fn opened_at(&self) -> Instant {
        self.full.first().unwrap_or(&self.last).opened_at
    }

    /// Whether a record that takes `len` bytes goes into the last segment.
    #[inline]
    pub(super) fn fits(&self, len: usize, packing: &Packing) -> bool {
        self.events == 0 || (self.payload.len() + len <= self.cut && self.events < packing.max_events)
    }

    /// Whether it may begin another segment for such a record, rather than close.
    pub(super) fn may_grow(&self, len: usize, max_units: usize, packing: &Packing) -> bool {
        self.events < packing.max_events && packing.units(self.payload.len() + len) <= max_units
    }

    /// Begins another segment for a record that takes `len` bytes.
    pub(super) fn grow(&mut self, segment: Segment, len: usize, packing: &Packing) {
        self.cut = packing.room(packing.units(self.payload.len() + len));
        let segment = Segment { start: self.payload.len(), events_before: self.events, ..segment };
        self.full.push(std::mem::replace(&mut self.last, segment));
    }

    /// Where to append a record that takes `len` bytes.
    #[inline]
    pub(super) fn append(&mut self, len: usize, packing: &Packing) -> &mut Vec<u8> {
        if self.payload.len() + len > self.cut {
            // A record that is larger than any bucket: the units that it takes are this bucket's.
            self.cut = packing.room(packing.units(self.payload.len() + len));
        }
        self.events += 1;
        &mut self.payload
    }

    /// Where to append what is no record of its own.
    pub(super) fn shared(&mut self) -> &mut Vec<u8> {
        &mut self.payload
    }

    /// Gives it so much room before anything is in it.
    #[inline]
    pub(super) fn begin_with(&mut self, room: impl FnOnce() -> usize) {
        if self.payload.is_empty() {
            self.payload.reserve(room());
        }
    }

    /// Takes off the last segment, where there are full ones before it and it holds anything; the bucket that stays open.
    pub(super) fn cut_tail(&mut self, packing: &Packing) -> Option<Self> {
        if self.events == self.last.events_before {
            return None;
        }
        let full = self.full.pop()?;
        let tail = std::mem::replace(&mut self.last, full);
        let payload = self.payload.split_off(tail.start);
        let events = self.events - tail.events_before;
        self.events = tail.events_before;
        let cut = packing.room(packing.units(payload.len()));
        let last = Segment { start: 0, events_before: 0, ..tail };
        Some(Self { payload, full: Vec::new(), last, cut, events })
    }

    pub(super) fn close(self, packing: &Packing, deadline: Instant, lane: Option<LaneHold>) -> ClosedBucket {
        let opened_at = self.opened_at();
        let Self { payload, full, last, events, .. } = self;
        let mut ticket = last.ticket;
        for segment in full {
            ticket.join(segment.ticket);
        }
        ClosedBucket {
            payload,
            format: packing.format,
            events,
            opened_at,
            deadline,
            ticket,
            lane,
            overflow: None,
            kept: false,
            maybe_stored: false,
        }
    }
}
