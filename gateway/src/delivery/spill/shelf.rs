//! Buckets that are on the disk, and which of them may be sent now: oldest first, one of a lane at a time and in its
//! order, and no more at once than a few MiB, since they are in memory while they are on their way.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::promise::{KeptLane, Promise};
use super::store::Stored;
use crate::delivery::sender::backoff::full_jitter;
use crate::gather::{BucketSink, LaneHold};
use crate::metrics::GaugeHandle;

/// Bytes on their way at once, unless a single bucket is larger.
const WINDOW: u64 = 4 << 20;
/// A bucket that was not stored rests, for at most twice as long after each try.
const FIRST_REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// A bucket on the disk.
pub(super) struct Kept {
    pub(super) stored: Stored,
    pub(super) promise: Promise,
    pub(super) lane: Option<KeptLane>,
    pub(super) overflow: Option<Arc<dyn BucketSink>>,
}

/// A bucket to be sent now.
pub(super) struct Sending {
    pub(super) number: u64,
    pub(super) stored: Stored,
    pub(super) lane: Option<LaneHold>,
    pub(super) overflow: Option<Arc<dyn BucketSink>>,
}

/// What there is to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Something.
    Ready,
    /// Nothing before then, or before something changes.
    Nothing(Option<Instant>),
}

struct OnShelf {
    kept: Kept,
    out: bool,
    tries: u32,
}

#[derive(Default)]
struct FileUse {
    bytes: u64,
    left: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    kept: BTreeMap<u64, OnShelf>,
    ready: BTreeSet<u64>,
    resting: BTreeSet<(Instant, u64)>,
    // The first one of each is ready, rests or is out.
    lanes: HashMap<u64, VecDeque<u64>>,
    out_bytes: u64,
    files: BTreeMap<u64, FileUse>,
}

/// See the module.
pub(super) struct Shelf {
    state: Mutex<State>,
    changed: Notify,
    buckets: GaugeHandle,
}

impl Shelf {
    pub(super) fn new(buckets: GaugeHandle) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), buckets }
    }

    /// A file has grown by so many bytes.
    pub(super) fn grew(&self, file: u64, bytes: u64) {
        self.lock().files.entry(file).or_default().bytes += bytes;
    }

    /// Takes a bucket; those of a lane come in its order.
    pub(super) fn put(&self, kept: Kept) {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.files.entry(kept.stored.place.file).or_default().left += 1;
        let first = match &kept.lane {
            None => true,
            Some(lane) => {
                let queue = state.lanes.entry(lane.hold().order().number()).or_default();
                queue.push_back(number);
                queue.len() == 1
            }
        };
        if first {
            state.ready.insert(number);
        }
        state.kept.insert(number, OnShelf { kept, out: false, tries: 0 });
        self.show(&state);
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for a change, at most until `until`.
    pub(super) async fn changed(&self, until: Option<Instant>) {
        let changed = self.changed.notified();
        match until {
            Some(at) => drop(tokio::time::timeout_at(at.into(), changed).await),
            None => changed.await,
        }
    }

    /// Whether there is anything to send.
    pub(super) fn look(&self, now: Instant) -> Look {
        let mut state = self.lock();
        match state.first_ready(now) {
            Some(_) => Look::Ready,
            None => Look::Nothing(state.resting.first().map(|(at, _)| *at)),
        }
    }

    /// The next one to send. It is out until [`Shelf::delivered`], [`Shelf::failed`] or [`Shelf::lost`].
    pub(super) fn send(&self, now: Instant) -> Option<Sending> {
        let mut state = self.lock();
        let number = state.first_ready(now)?;
        state.ready.remove(&number);
        let bucket = state.kept.get_mut(&number)?;
        bucket.out = true;
        let Kept { stored, lane, overflow, .. } = &bucket.kept;
        let lane = lane.as_ref().map(|lane| lane.hold().clone());
        let sending = Sending { number, stored: *stored, lane, overflow: overflow.clone() };
        state.out_bytes += u64::from(sending.stored.head.len);
        Some(sending)
    }

    /// It was not stored, or nobody knows: it will be sent again.
    pub(super) fn failed(&self, number: u64, now: Instant) {
        let mut state = self.lock();
        let Some(bucket) = state.kept.get_mut(&number).filter(|bucket| bucket.out) else { return };
        let rest = full_jitter(FIRST_REST, bucket.tries, LONGEST_REST);
        bucket.out = false;
        bucket.tries += 1;
        let len = u64::from(bucket.kept.stored.head.len);
        state.out_bytes -= len;
        state.resting.insert((now + rest, number));
        drop(state);
        self.changed.notify_one();
    }

    /// It is delivered, or can't ever be: takes it off.
    pub(super) fn take(&self, number: u64) -> Option<Kept> {
        let mut state = self.lock();
        let OnShelf { kept, out, .. } = state.kept.remove(&number)?;
        if out {
            state.out_bytes -= u64::from(kept.stored.head.len);
        }
        if let Some(file) = state.files.get_mut(&kept.stored.place.file) {
            file.left -= 1;
        }
        if let Some(lane) = &kept.lane {
            state.advance(lane.hold().order().number());
        }
        self.show(&state);
        drop(state);
        self.changed.notify_one();
        Some(kept)
    }

    /// Files of which nothing is left, with their sizes. Only the writer puts buckets in, so only it may ask.
    pub(super) fn empty_files(&self) -> Vec<(u64, u64)> {
        let state = self.lock();
        state.files.iter().filter(|(_, file)| file.left == 0).map(|(number, file)| (*number, file.bytes)).collect()
    }

    /// A file is gone.
    pub(super) fn forget(&self, file: u64) {
        self.lock().files.remove(&file);
    }

    fn show(&self, state: &State) {
        self.buckets.set(i64::try_from(state.kept.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn first_ready(&mut self, now: Instant) -> Option<u64> {
        while let Some((at, number)) = self.resting.first().copied()
            && at <= now
        {
            self.resting.pop_first();
            self.ready.insert(number);
        }
        let number = *self.ready.first()?;
        let len = u64::from(self.kept.get(&number)?.kept.stored.head.len);
        (self.out_bytes == 0 || self.out_bytes + len <= WINDOW).then_some(number)
    }

    /// The first one of a lane is gone: the next one may be sent.
    fn advance(&mut self, lane: u64) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        queue.pop_front();
        match queue.front() {
            Some(next) => {
                self.ready.insert(*next);
            }
            None => {
                self.lanes.remove(&lane);
            }
        }
    }
}
