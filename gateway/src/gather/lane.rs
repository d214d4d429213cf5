//! Lanes: the open buckets that batches are written into.
//!
//! A batch takes one lane for the time it is read. There are about as many lanes as cores, so that cores rarely wait for
//! each other; a batch that finds its lane busy takes another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::bucket::{BucketId, BucketSink, ClosedBucket, Packing};
use super::in_flight::InFlight;
use super::ticket::{EventRange, Outcome, Ticket, Waiter, Waiters};
use crate::clock::Clock;
use crate::metrics::{Counter, CounterHandle, Metrics};

/// Every lane of a destination.
pub struct Lanes {
    lanes: Vec<Lane>,
    shared: Shared,
}

struct Shared {
    sink: Arc<dyn BucketSink>,
    packing: Packing,
    deadline: Duration,
    in_flight: Arc<InFlight>,
    clock: Clock,
    closed_for_size: CounterHandle,
    closed_for_linger: CounterHandle,
    closed_for_drain: CounterHandle,
}

struct Lane {
    open: Mutex<Option<OpenBucket>>,
    opened: Notify,
    // What the last bucket came to hold.
    last_len: AtomicUsize,
}

struct OpenBucket {
    id: BucketId,
    payload: Vec<u8>,
    events: u32,
    opened_at: Instant,
    waiters: Arc<Waiters>,
    ticket: Ticket,
}

/// What a lane's linger waits for.
enum Lingering {
    /// No bucket is open.
    None,
    /// The open bucket's linger.
    Until(Instant),
    /// A batch is being written into the lane.
    Busy,
}

/// How long a linger waits for a lane that is being written into.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// A new bucket has room for a quarter more than its predecessor came to hold, and for at least this much: buckets that
/// close for their linger are mostly far from their target.
const LEAST_ROOM: usize = 4 << 10;

/// A lane while a batch is written into it.
pub struct OpenLane<'a> {
    lane: &'a Lane,
    bucket: MutexGuard<'a, Option<OpenBucket>>,
    shared: &'a Shared,
    // Handed over once the lane is free again: a sink may take locks of its own.
    full: Vec<ClosedBucket>,
}

impl Lanes {
    /// `lanes` lanes for `sink`, whose buckets are due `deadline` after they close.
    #[must_use]
    pub fn new(
        lanes: usize,
        sink: Arc<dyn BucketSink>,
        packing: Packing,
        deadline: Duration,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let closed = |cause| metrics.counter(Counter::BucketsClosed, &[cause]);
        let shared = Shared {
            sink,
            packing,
            deadline,
            in_flight: InFlight::new(),
            clock: clock.clone(),
            closed_for_size: closed("size"),
            closed_for_linger: closed("linger"),
            closed_for_drain: closed("drain"),
        };
        let lane = || Lane { open: Mutex::new(None), opened: Notify::new(), last_len: AtomicUsize::new(0) };
        Arc::new(Self { lanes: (0..lanes.max(1)).map(|_| lane()).collect(), shared })
    }

    /// The buckets on their way.
    #[must_use]
    pub fn in_flight(&self) -> &Arc<InFlight> {
        &self.shared.in_flight
    }

    /// How many lanes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Whether there are none; there is always one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Writes into a lane, the one that `affinity` names if it is free.
    pub fn with_lane(&self, affinity: usize, write: impl FnOnce(&mut OpenLane<'_>)) {
        let (lane, bucket) = self.free_lane(affinity);
        let mut open = OpenLane { lane, bucket, shared: &self.shared, full: Vec::new() };
        write(&mut open);
        let OpenLane { bucket, full, .. } = open;
        drop(bucket);
        for bucket in full {
            self.shared.sink.submit(bucket);
        }
    }

    /// Closes and submits every open bucket, lingering or not.
    pub fn close_all(&self) {
        for lane in &self.lanes {
            let open = lock(&lane.open).take();
            if let Some(bucket) = open {
                self.shared.submit(bucket, &self.shared.closed_for_drain);
            }
        }
    }

    /// Closes the buckets of one lane whose linger is over. To be run as a task, one a lane.
    pub async fn linger(self: Arc<Self>, lane: usize) {
        let Some(lane) = self.lanes.get(lane) else { return };
        loop {
            match self.close_if_due(lane) {
                Lingering::None => lane.opened.notified().await,
                Lingering::Until(due) => tokio::time::sleep_until(due.into()).await,
                Lingering::Busy => tokio::time::sleep(BUSY_PAUSE).await,
            }
        }
    }

    fn close_if_due(&self, lane: &Lane) -> Lingering {
        let due = {
            // Waiting here would stop one of the runtime's few threads for as long as a batch is read.
            let mut open = match lane.open.try_lock() {
                Ok(open) => open,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Lingering::Busy,
            };
            let Some(bucket) = open.as_ref() else { return Lingering::None };
            let due = bucket.opened_at + self.shared.packing.linger;
            if self.shared.clock.now() < due {
                return Lingering::Until(due);
            }
            open.take()
        };
        if let Some(bucket) = due {
            lane.last_len.store(bucket.payload.len(), Ordering::Relaxed);
            self.shared.submit(bucket, &self.shared.closed_for_linger);
        }
        Lingering::None
    }

    fn free_lane(&self, affinity: usize) -> (&Lane, MutexGuard<'_, Option<OpenBucket>>) {
        let count = self.lanes.len();
        for offset in 0..count {
            let lane = &self.lanes[(affinity + offset) % count];
            match lane.open.try_lock() {
                Ok(bucket) => return (lane, bucket),
                Err(TryLockError::Poisoned(poisoned)) => return (lane, poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let lane = &self.lanes[affinity % count];
        (lane, lock(&lane.open))
    }
}

impl OpenLane<'_> {
    /// Whether the open bucket has to close before a record of `len` bytes.
    #[inline]
    #[must_use]
    pub fn must_close_for(&self, len: usize) -> bool {
        self.bucket
            .as_ref()
            .is_some_and(|bucket| bucket.events > 0 && bucket.payload.len() + len > self.shared.packing.target_bytes)
    }

    /// Closes the open bucket. Whoever wrote into it has attached to it before.
    pub fn close_full(&mut self) {
        if let Some(bucket) = self.bucket.take() {
            self.lane.last_len.store(bucket.payload.len(), Ordering::Relaxed);
            self.shared.closed_for_size.inc();
            let closed = self.shared.close(bucket);
            self.full.push(closed);
        }
    }

    /// The number of the bucket that [`OpenLane::append`] appends to.
    #[inline]
    #[must_use]
    pub fn bucket_id(&mut self) -> BucketId {
        self.open().id
    }

    /// Where to append one record.
    #[inline]
    #[must_use]
    pub fn append(&mut self) -> &mut Vec<u8> {
        let (target, lane) = (self.shared.packing.target_bytes, self.lane);
        let bucket = self.open();
        if bucket.events == 0 {
            let last = lane.last_len.load(Ordering::Relaxed);
            bucket.payload.reserve((last + last / 4).clamp(LEAST_ROOM.min(target), target));
        }
        bucket.events += 1;
        &mut bucket.payload
    }

    /// Has `waiter` told what becomes of the events at `range`, which were appended to the open bucket.
    pub fn attach(&mut self, waiter: &Arc<dyn Waiter>, range: EventRange) {
        self.open().waiters.attach(Arc::clone(waiter), range);
    }

    fn open(&mut self) -> &mut OpenBucket {
        let (shared, lane) = (self.shared, self.lane);
        self.bucket.get_or_insert_with(|| {
            let (id, waiters, ticket) = shared.in_flight.open();
            lane.opened.notify_one();
            OpenBucket { id, payload: Vec::new(), events: 0, opened_at: shared.clock.now(), waiters, ticket }
        })
    }
}

impl Shared {
    fn submit(&self, bucket: OpenBucket, cause: &CounterHandle) {
        if bucket.events == 0 {
            // Opened for an event that turned out to be a duplicate: nothing to deliver.
            bucket.ticket.settle(&Outcome::Stored);
            return;
        }
        cause.inc();
        self.sink.submit(self.close(bucket));
    }

    fn close(&self, bucket: OpenBucket) -> ClosedBucket {
        let OpenBucket { id, payload, events, ticket, .. } = bucket;
        ClosedBucket { id, payload, events, deadline: self.clock.now() + self.deadline, ticket }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
