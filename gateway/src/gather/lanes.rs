//! The lanes of one destination.
//!
//! Sticky lanes promise no order: there are about as many as cores, a batch takes one for the time it is read, and one
//! that finds its lane busy takes another. Keyed lanes keep the records of a partition key in order: there is one for each
//! open shard, an event goes into the lane of the shard that owns its key, and when the shards change, the lanes do too.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::bucket::{BucketSink, OpenBucket, Segment};
use super::in_flight::InFlight;
use super::lane::{Guard, Lane};
use super::order::LaneOrder;
use super::pace::Pace;
use super::packing::Packing;
use super::shard_map::ShardRange;
use super::ticket::{FailureReason, Outcome};
use super::writer::LaneWriter;
use crate::clock::Clock;
use crate::metrics::{Counter, CounterHandle, Metrics};

/// Every lane of a destination.
pub struct Lanes {
    set: Set,
    pub(super) shared: Shared,
}

/// What lanes are made with.
pub struct LanesParts {
    /// Where closed buckets go.
    pub sink: Arc<dyn BucketSink>,
    /// How it wants them.
    pub packing: Packing,
    /// How long after it closes a bucket's verdict is due.
    pub deadline: Duration,
    /// The buckets on their way, of all destinations.
    pub in_flight: Arc<InFlight>,
    /// The time.
    pub clock: Clock,
}

pub(super) struct Shared {
    pub(super) sink: Arc<dyn BucketSink>,
    pub(super) packing: Packing,
    deadline: Duration,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) opened: Notify,
    closed_for_size: CounterHandle,
    closed_for_linger: CounterHandle,
    closed_for_drain: CounterHandle,
    cut_tails: CounterHandle,
}

enum Set {
    Sticky(Vec<Lane>),
    Keyed(RwLock<KeyedSet>),
}

struct KeyedSet {
    table: Arc<KeyedTable>,
    // Lanes that no batch takes any more, but one that was taken before may still be written into.
    retired: Vec<Arc<KeyedLane>>,
}

/// Keyed lanes in order of their shards' ranges.
pub(super) struct KeyedTable(Vec<Arc<KeyedLane>>);

/// A lane and its place in the order.
pub(super) struct KeyedLane {
    pub(super) lane: Lane,
    order: Arc<LaneOrder>,
}

/// How long a linger waits for a lane that is being written into.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// What closing what is due in a lane left.
enum Left {
    /// No bucket is open.
    Nothing,
    /// The open bucket's linger.
    Until(Instant),
}

impl Lanes {
    /// `count` lanes without an order between events.
    #[must_use]
    pub fn sticky(count: usize, parts: LanesParts, metrics: &Metrics) -> Arc<Self> {
        let count = count.max(1);
        let lanes = (0..count).map(|_| Lane::new(None)).collect();
        Arc::new(Self { set: Set::Sticky(lanes), shared: Shared::new(count, parts, metrics) })
    }

    /// A lane for each shard.
    #[must_use]
    pub fn keyed(shards: &[ShardRange], parts: LanesParts, metrics: &Metrics) -> Arc<Self> {
        let table = Arc::new(KeyedTable(Vec::new()).follow(shards));
        let set = Set::Keyed(RwLock::new(KeyedSet { table, retired: Vec::new() }));
        Arc::new(Self { set, shared: Shared::new(1, parts, metrics) })
    }

    /// The buckets on their way.
    #[must_use]
    pub fn in_flight(&self) -> &Arc<InFlight> {
        &self.shared.in_flight
    }

    /// Whether events of one partition key stay in order.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        matches!(self.set, Set::Keyed(_))
    }

    /// How long a bucket may stay open.
    #[must_use]
    pub fn linger_time(&self) -> Duration {
        self.shared.packing.linger
    }

    /// The shards have changed: lanes of shards that are still there stay, the others are replaced. Sticky lanes care for
    /// no shards.
    pub fn follow(&self, shards: &[ShardRange]) {
        let Set::Keyed(set) = &self.set else { return };
        let mut set = set.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut set.table, Arc::new(KeyedTable(Vec::new())));
        let table = Arc::new(old.follow(shards));
        let gone = old.0.iter().filter(|lane| !table.0.iter().any(|kept| Arc::ptr_eq(kept, lane)));
        set.retired.extend(gone.cloned());
        set.table = table;
        drop(set);
        self.shared.opened.notify_one();
    }

    /// Writes a batch: into one lane where they are sticky, into those of its events' keys where they are keyed.
    pub fn write(&self, affinity: usize, write: impl FnOnce(&mut LaneWriter<'_>)) {
        match &self.set {
            Set::Sticky(lanes) => {
                let (lane, guard) = self.free_lane(lanes, affinity);
                let mut writer = LaneWriter::new(&self.shared, None, lane, guard);
                write(&mut writer);
            }
            Set::Keyed(set) => {
                let table = Arc::clone(&set.read().unwrap_or_else(PoisonError::into_inner).table);
                let Some(first) = table.0.get(affinity % table.0.len().max(1)) else { return };
                let mut writer = LaneWriter::new(&self.shared, Some(&table), &first.lane, first.lane.lock());
                write(&mut writer);
            }
        }
    }

    /// Closes and submits every open bucket, lingering or not.
    pub fn close_all(&self) {
        self.each_lane(|lane| {
            let mut open = lane.lock();
            if let Some(bucket) = open.take() {
                self.shared.put_out(lane, bucket, &self.shared.closed_for_drain);
            }
            drop(open);
            lane.hand_over(&*self.shared.sink);
        });
        if let Set::Keyed(set) = &self.set {
            // Nobody writes any more: what comes after them must not wait for the linger to let them go.
            set.write().unwrap_or_else(PoisonError::into_inner).retired.clear();
        }
    }

    /// Closes buckets whose linger is over. To be run as one task.
    pub async fn linger(self: Arc<Self>) {
        // Looking at every lane for each bucket that is due would cost a stream of many shards dearly.
        let least_pause = self.shared.packing.linger / 20;
        loop {
            let now = self.shared.clock.now();
            match self.close_due(now) {
                None => self.shared.opened.notified().await,
                Some(due) => tokio::time::sleep_until(due.max(now + least_pause).into()).await,
            }
        }
    }

    /// Closes what is due and says when to look again; `None`: when a bucket is opened.
    fn close_due(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        self.each_lane(|lane| {
            let due = match self.close_if_due(lane, now) {
                None => now + BUSY_PAUSE,
                Some(Left::Until(due)) => due,
                Some(Left::Nothing) => return,
            };
            next = Some(next.map_or(due, |next| next.min(due)));
        });
        if let Set::Keyed(set) = &self.set {
            let mut set = set.write().unwrap_or_else(PoisonError::into_inner);
            // One reference is the list's own: nobody can write into it any more, and it has nothing open.
            set.retired.retain(|lane| Arc::strong_count(lane) > 1 || lane.lane.lock().is_some());
            if !set.retired.is_empty() {
                next = Some(next.map_or(now + BUSY_PAUSE, |next| next.min(now + BUSY_PAUSE)));
            }
        }
        next
    }

    fn each_lane(&self, mut visit: impl FnMut(&Lane)) {
        match &self.set {
            Set::Sticky(lanes) => lanes.iter().for_each(visit),
            Set::Keyed(set) => {
                let lanes = {
                    let set = set.read().unwrap_or_else(PoisonError::into_inner);
                    // Retired ones first: they come before those that took over.
                    set.retired.iter().chain(&set.table.0).cloned().collect::<Vec<_>>()
                };
                lanes.iter().for_each(|keyed| visit(&keyed.lane));
            }
        }
    }

    // `None`: the lane is being written into. Waiting for it here would stop one of the runtime's few threads for as long
    // as a batch is read.
    fn close_if_due(&self, lane: &Lane, now: Instant) -> Option<Left> {
        let linger = self.shared.packing.linger;
        let mut open = lane.try_lock()?;
        let Some(bucket) = open.as_mut() else { return Some(Left::Nothing) };
        let due = bucket.opened_at() + linger;
        if now < due {
            return Some(Left::Until(due));
        }
        let tail = bucket.cut_tail(&self.shared.packing);
        let left = tail.as_ref().map_or(Left::Nothing, |tail| Left::Until(tail.opened_at() + linger));
        if tail.is_some() {
            self.shared.cut_tails.inc();
        }
        if let Some(bucket) = std::mem::replace(&mut *open, tail) {
            self.shared.pace.note(bucket.len(), now - bucket.opened_at(), &self.shared.packing);
            lane.note_len(bucket.len());
            self.shared.put_out(lane, bucket, &self.shared.closed_for_linger);
        }
        drop(open);
        lane.hand_over(&*self.shared.sink);
        Some(left)
    }

    fn free_lane<'a>(&self, lanes: &'a [Lane], affinity: usize) -> (&'a Lane, Guard<'a>) {
        let (active, first) = self.shared.pace.next(affinity, &self.shared.packing);
        for offset in 0..active {
            let lane = &lanes[(first + offset) % active];
            if let Some(guard) = lane.try_lock() {
                return (lane, guard);
            }
        }
        let lane = &lanes[first % active];
        (lane, lane.lock())
    }
}

impl KeyedTable {
    fn follow(&self, shards: &[ShardRange]) -> Self {
        let lane_of = |shard: &ShardRange| {
            if let Some(same) = self.0.iter().find(|lane| lane.order.shard() == shard) {
                return Arc::clone(same);
            }
            let before = self.0.iter().filter(|lane| lane.order.shard().overlaps(shard));
            let (order, hold) = LaneOrder::new(shard.clone(), before.map(|lane| Arc::clone(&lane.order)).collect());
            Arc::new(KeyedLane { lane: Lane::new(Some(hold)), order })
        };
        let mut lanes: Vec<_> = shards.iter().map(lane_of).collect();
        lanes.sort_by_key(|lane| lane.order.shard().start);
        Self(lanes)
    }

    /// The lane of the shard that owns a hash key.
    pub(super) fn owner(&self, hash_key: u128) -> &Lane {
        let after = self.0.partition_point(|lane| lane.order.shard().start <= hash_key);
        &self.0[after.saturating_sub(1)].lane
    }
}

impl Shared {
    fn new(lanes: usize, parts: LanesParts, metrics: &Metrics) -> Self {
        let LanesParts { sink, packing, deadline, in_flight, clock } = parts;
        let closed = |cause| metrics.counter(Counter::BucketsClosed, &[cause]);
        Self {
            sink,
            deadline,
            in_flight,
            clock,
            pace: Pace::new(lanes, &packing),
            packing,
            opened: Notify::new(),
            closed_for_size: closed("size"),
            closed_for_linger: closed("linger"),
            closed_for_drain: closed("drain"),
            cut_tails: metrics.counter(Counter::TailsKept, &[]),
        }
    }

    pub(super) fn segment(&self) -> Segment {
        let (id, waiters, ticket) = self.in_flight.open();
        Segment::new(id, waiters, ticket, self.clock.now())
    }

    /// Never sends a bucket that may be broken.
    pub(super) fn give_up(&self, bucket: OpenBucket) {
        let reason = FailureReason::DestinationUnavailable;
        bucket.close(&self.packing, self.clock.now(), None).ticket.settle(&Outcome::Unknown { reason });
    }

    pub(super) fn close_for_size(&self, lane: &Lane, bucket: OpenBucket) {
        lane.note_len(bucket.len());
        self.closed_for_size.inc();
        let now = self.clock.now();
        self.pace.note(bucket.len(), now.saturating_duration_since(bucket.opened_at()), &self.packing);
        lane.put_out(bucket.close(&self.packing, now + self.deadline, lane.hold().cloned()));
    }

    /// Closes a bucket of a lane that is locked.
    fn put_out(&self, lane: &Lane, bucket: OpenBucket, cause: &CounterHandle) {
        let empty = bucket.is_empty();
        let closed = bucket.close(&self.packing, self.clock.now() + self.deadline, lane.hold().cloned());
        if empty {
            // Opened for an event that turned out to be a duplicate: nothing to deliver.
            closed.ticket.settle(&Outcome::Stored);
            return;
        }
        cause.inc();
        lane.put_out(closed);
    }
}
