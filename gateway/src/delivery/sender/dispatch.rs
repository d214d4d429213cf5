//! The sender's books: what waits, what is on its way, and what is to be done next. No I/O and no locks here: the sender
//! tells it what happened and does what it says.
//!
//! A record is sent again only if it failed itself. It is sent as the same user records, after a pause with full jitter;
//! with sticky routing to whichever shard has room, with keyed routing at the head of its lane, which waits for it.

mod answers;
mod giving_up;
mod packing;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::backoff::full_jitter;
use super::breaker::{Breaker, Leave};
use super::flow::Flow;
use super::parcel::{Parcel, ParcelId, Piece};
use super::shards::{ShardLimits, Shards};
use super::wire::{CallError, CallFailure, EntryResult, StreamDescription};
use crate::gather::{ClosedBucket, LaneOrder, Outcome, Ticket};

/// Pauses before a record is sent again begin with these bounds (a throttled one needs its shard to recover).
const RETRY_BASE: Duration = Duration::from_millis(50);
const THROTTLED_BASE: Duration = Duration::from_millis(200);
const RETRY_CAP: Duration = Duration::from_secs(5);
/// In a drain there is no time to wait.
const DRAIN_BASE: Duration = Duration::from_millis(20);

/// Records wait this long for others to share their call while two calls are out: signing and sending a call costs as
/// much as some ten thousand bytes of records.
const CALL_LINGER: Duration = Duration::from_millis(10);
const EAGER_CALLS: usize = 2;

/// At what rate records are stored is told over about this time: answers may be seconds apart.
const STORED_OVER: Duration = Duration::from_secs(3);

/// How often a lane that waits for another lane is looked at.
const ORDER_PAUSE: Duration = Duration::from_millis(5);

/// What a sender keeps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Records in a call.
    pub(super) records_a_call: usize,
    /// Bytes in a call, keys included.
    pub(super) bytes_a_call: usize,
    /// Calls at once.
    pub(super) calls_in_flight: usize,
    /// What one shard may have.
    pub(super) shard: ShardLimits,
    /// How long an attempt may take.
    pub(super) attempt_timeout: Duration,
    /// Whether events of one key stay in order.
    pub(super) keyed: bool,
    /// Whether lines are one record as they are (Firehose), and not one each.
    pub(super) lines_together: bool,
}

/// A call to be made.
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) records: Vec<CallRecord>,
    pub(super) timeout: Duration,
}

/// A record of a call; the call puts it in its envelope.
pub(super) struct CallRecord {
    pub(super) payload: Bytes,
    pub(super) sealed: bool,
    pub(super) hash_key: Option<u128>,
}

/// What a step wants done.
#[derive(Default)]
pub(super) struct Step {
    /// Calls to be made.
    pub(super) calls: Vec<Call>,
    /// Tickets to be settled.
    pub(super) settled: Vec<(Ticket, Outcome)>,
    /// Buckets that ran out of time, with what is to be said of them unless someone keeps them.
    pub(super) expired: Vec<(ClosedBucket, Outcome)>,
    /// Buckets for another destination.
    pub(super) overflowed: Vec<ClosedBucket>,
    /// When to take the next step if nothing happens.
    pub(super) wake_at: Option<Instant>,
    /// What was learned.
    pub(super) notes: Vec<Note>,
}

/// Why no batch is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotNow {
    pub(super) reason: String,
    pub(super) retry_after: Duration,
    /// The service works, and too much is on its way to it.
    pub(super) overload: bool,
}

/// Something to be counted.
#[derive(Debug)]
pub(super) enum Note {
    /// A record was stored, with what it took on the wire and how long it was on its way since its bucket was opened.
    Stored { wire: usize, record_bytes: usize, events: u32, waited: Duration },
    /// A record was not, for this reason.
    Failed { code: Arc<str> },
    /// A record may have been.
    Ambiguous,
    /// A record is sent once more.
    Retried,
    /// A record landed in another shard than the map says.
    WrongShard,
    /// The breaker opened.
    Opened(String),
    /// The breaker closed.
    Closed,
    /// The shard map is worth another look.
    LookAgain,
}

struct Sent {
    piece: Piece,
    shard: usize,
    shard_id: Option<Arc<str>>,
    lane: Option<u64>,
    wire: usize,
}

struct OutCall {
    sent: Vec<Sent>,
    sent_at: Instant,
}

struct LaneQueue {
    order: Arc<LaneOrder>,
    waiting: VecDeque<Piece>,
    in_flight: bool,
    not_before: Option<Instant>,
}

/// The books.
pub(super) struct Dispatcher {
    limits: Limits,
    aggregates: bool,
    // As set, unless the stream keeps no order.
    keyed: bool,
    shards: Shards,
    parcels: HashMap<ParcelId, Parcel>,
    deadlines: BTreeSet<(Instant, ParcelId)>,
    next_parcel: ParcelId,
    ready: VecDeque<Piece>,
    // Those of kept buckets, for which nobody waits: others come before them.
    ready_kept: VecDeque<Piece>,
    // Records that came before one of them since the last one.
    came_before_kept: u32,
    ready_bytes: usize,
    ready_since: Option<Instant>,
    delayed: BTreeMap<(Instant, u64), Piece>,
    next_delayed: u64,
    lanes: HashMap<u64, LaneQueue>,
    calls: HashMap<u64, OutCall>,
    next_call: u64,
    breaker: Breaker,
    queued_bytes: usize,
    // Parcels that are kept buckets.
    kept: BTreeSet<ParcelId>,
    stored: Flow,
    // Parcels that have somewhere else to go.
    may_overflow: usize,
    // What expires is offered to a keeper.
    keeps: bool,
    // Lanes that had kept buckets; some may have none any more.
    kept_lanes: HashMap<u64, Arc<LaneOrder>>,
    closing: bool,
}

impl Dispatcher {
    /// For Firehose: one place, no aggregates.
    pub(super) fn single(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            aggregates: false,
            keyed: limits.keyed,
            shards: Shards::one(now),
            parcels: HashMap::new(),
            deadlines: BTreeSet::new(),
            next_parcel: 0,
            ready: VecDeque::new(),
            ready_kept: VecDeque::new(),
            came_before_kept: 0,
            ready_bytes: 0,
            ready_since: None,
            delayed: BTreeMap::new(),
            next_delayed: 0,
            lanes: HashMap::new(),
            calls: HashMap::new(),
            next_call: 0,
            breaker: Breaker::new(),
            queued_bytes: 0,
            kept: BTreeSet::new(),
            stored: Flow::new(now, STORED_OVER),
            may_overflow: 0,
            keeps: false,
            kept_lanes: HashMap::new(),
            closing: false,
        }
    }

    /// For a Kinesis stream; `aggregates`: whether records may be aggregated.
    pub(super) fn stream(limits: Limits, stream: &StreamDescription, aggregates: bool, now: Instant) -> Self {
        let mut dispatcher = Self::single(limits, now);
        dispatcher.follow(stream, aggregates, now);
        dispatcher
    }

    /// The stream has changed.
    pub(super) fn follow(&mut self, stream: &StreamDescription, aggregates: bool, now: Instant) {
        self.aggregates = aggregates && !stream.auto_distribution;
        // There is no order in a stream that spreads records itself.
        self.keyed = self.limits.keyed && !stream.auto_distribution;
        if !self.keyed {
            for piece in self.lanes.values_mut().flat_map(|lane| std::mem::take(&mut lane.waiting)).collect::<Vec<_>>()
            {
                self.make_ready(piece, now);
            }
        }
        if stream.auto_distribution {
            if !self.shards.is_one() {
                self.shards = Shards::one(now);
            }
        } else if !stream.shards.is_empty() {
            self.shards.follow(&stream.shards, now);
        }
    }

    /// From now on what expires is offered to a keeper: a lane of which a bucket is kept stands still until it is
    /// delivered.
    pub(super) fn offer_expired(&mut self) {
        self.keeps = true;
    }

    /// Takes a bucket.
    pub(super) fn submit(&mut self, bucket: ClosedBucket, now: Instant) {
        let id = self.next_parcel;
        self.next_parcel += 1;
        let lane = bucket.lane.as_ref().filter(|_| self.keyed).map(|hold| Arc::clone(hold.order()));
        let kept = bucket.kept;
        if kept {
            self.kept.insert(id);
        }
        let (parcel, pieces) = Parcel::open(bucket, id, self.aggregates, self.limits.lines_together);
        self.queued_bytes += parcel.payload.len();
        self.may_overflow += usize::from(parcel.bucket.overflow.is_some());
        self.deadlines.insert((parcel.deadline(), id));
        self.parcels.insert(id, parcel);
        match lane {
            Some(order) => {
                let queue = self.lanes.entry(order.number()).or_insert_with(|| LaneQueue {
                    order,
                    waiting: VecDeque::new(),
                    in_flight: false,
                    not_before: None,
                });
                if kept {
                    pieces.into_iter().rev().for_each(|piece| queue.waiting.push_front(piece));
                } else {
                    queue.waiting.extend(pieces);
                }
            }
            None => pieces.into_iter().for_each(|piece| self.make_ready(piece, now)),
        }
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        let mut step = Step::default();
        let half_time = self.overflow(now, &mut step);
        self.expire(now, &mut step);
        self.expire_behind_kept(now, &mut step);
        while let Some((&(at, _), _)) = self.delayed.first_key_value()
            && at <= now
        {
            if let Some((_, piece)) = self.delayed.pop_first() {
                self.make_ready(piece, now);
            }
        }
        step.wake_at = self.pack_calls(now, &mut step);
        self.kept_lanes.retain(|_, order| order.has_kept());
        if self.ready.is_empty()
            && self.ready_kept.is_empty()
            && self.lanes.values().all(|lane| lane.waiting.is_empty())
        {
            self.shards.idle(now);
        }
        for at in [half_time, self.next_expiry(now), self.delayed.keys().next().map(|(at, _)| *at)] {
            step.wake_at = earlier(step.wake_at, at);
        }
        step
    }

    /// Nothing may wait any longer than it must, and nothing more is taken.
    pub(super) fn close(&mut self, now: Instant) {
        self.closing = true;
        self.stop_waiting(now);
    }

    /// Whether it takes buckets.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    fn stop_waiting(&mut self, now: Instant) {
        for (_, piece) in std::mem::take(&mut self.delayed) {
            self.make_ready(piece, now);
        }
        self.lanes.values_mut().for_each(|lane| lane.not_before = None);
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Payload bytes that are not stored.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(super) fn calls_in_flight(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.shards
    }

    fn make_ready(&mut self, piece: Piece, now: Instant) {
        self.ready_bytes += piece.wire_len();
        self.ready_since.get_or_insert(now);
        self.ready_of(&piece).push_back(piece);
    }

    /// Where a record waits for its turn.
    fn ready_of(&mut self, piece: &Piece) -> &mut VecDeque<Piece> {
        if self.kept.contains(&piece.parcel) { &mut self.ready_kept } else { &mut self.ready }
    }

    fn remove(&mut self, id: ParcelId) -> Option<Parcel> {
        let parcel = self.parcels.remove(&id)?;
        self.deadlines.remove(&(parcel.deadline(), id));
        self.kept.remove(&id);
        self.queued_bytes -= parcel.missing_bytes;
        self.may_overflow -= usize::from(parcel.bucket.overflow.is_some());
        Some(parcel)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (at, None) | (None, at) => at,
    }
}
