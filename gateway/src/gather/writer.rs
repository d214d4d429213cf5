//! A batch's way into lanes.

use std::sync::Arc;

use headgate_proto::aggregate;

use super::bucket::{BucketId, OpenBucket};
use super::lane::{Guard, Lane};
use super::lanes::{KeyedTable, Shared};
use super::packing::Format;
use super::ticket::{EventRange, Waiter, Witness};

/// Lanes while a batch is written into them: one at a time.
pub struct LaneWriter<'a> {
    shared: &'a Shared,
    keyed: Option<&'a KeyedTable>,
    lane: &'a Lane,
    // Always there, but while it is changed for another: never two at once, or two batches could wait for each other.
    guard: Option<Guard<'a>>,
    // Whether a bucket of the current lane was closed and is to be handed over once the lane is free.
    closed: bool,
}

impl<'a> LaneWriter<'a> {
    pub(super) fn new(shared: &'a Shared, keyed: Option<&'a KeyedTable>, lane: &'a Lane, guard: Guard<'a>) -> Self {
        Self { shared, keyed, lane, guard: Some(guard), closed: false }
    }

    fn leave(&mut self) {
        self.guard = None;
        if std::mem::take(&mut self.closed) {
            self.lane.hand_over(&*self.shared.sink);
        }
    }

    /// How records stand in the buckets.
    #[inline]
    #[must_use]
    pub fn format(&self) -> Format {
        self.shared.packing.format
    }

    /// Whether events with a partition key have to be written into their key's lane.
    #[inline]
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.keyed.is_some()
    }

    /// Whether a hash key belongs to another lane than the current one.
    #[must_use]
    pub fn must_move_to(&self, hash_key: u128) -> bool {
        self.keyed.is_some_and(|keyed| !std::ptr::eq(keyed.owner(hash_key), self.lane))
    }

    /// Moves to the lane that owns a hash key. Whoever wrote into the current one has attached to it before.
    pub fn move_to(&mut self, hash_key: u128) {
        let Some(keyed) = self.keyed else { return };
        let lane = keyed.owner(hash_key);
        if std::ptr::eq(lane, self.lane) {
            return;
        }
        self.leave();
        self.lane = lane;
        self.guard = Some(lane.lock());
    }

    /// Whether the open bucket has no room for a record of `len` bytes, so that [`LaneWriter::turn`] has to come first.
    #[inline]
    #[must_use]
    pub fn must_turn_for(&self, len: usize) -> bool {
        let packing = &self.shared.packing;
        let open = self.guard.as_ref().and_then(|guard| guard.as_ref());
        open.is_some_and(|bucket| !bucket.fits(packing.framed_len(len), packing))
    }

    /// Makes room for a record of `len` bytes: lets the bucket grow by a unit, or closes it. Whoever wrote into it has
    /// attached to it before.
    pub fn turn(&mut self, len: usize) {
        let packing = &self.shared.packing;
        let framed = packing.framed_len(len);
        let Some(open) = self.guard.as_deref_mut() else { return };
        let Some(mut bucket) = open.take() else { return };
        if bucket.may_grow(framed, self.shared.pace.max_units(packing), packing) {
            bucket.grow(self.shared.segment(), framed, packing);
            *open = Some(bucket);
        } else {
            self.shared.close_for_size(self.lane, bucket);
            self.closed = true;
        }
    }

    /// The number that the next record's segment has.
    #[inline]
    #[must_use]
    pub fn bucket_id(&mut self) -> BucketId {
        self.open().last().id
    }

    /// Where to append one record of exactly `len` bytes.
    #[inline]
    #[must_use]
    pub fn append(&mut self, len: usize) -> &mut Vec<u8> {
        let packing = &self.shared.packing;
        let payload = self.roomy().append(packing.framed_len(len), packing);
        if packing.format == Format::Aggregate {
            aggregate::begin_user_record(payload, len);
        }
        payload
    }

    /// Where to append what the next records share; their first one follows at once.
    pub fn append_shared(&mut self) -> &mut Vec<u8> {
        self.roomy().shared()
    }

    /// Has `waiter` told what becomes of the events at `range`, which were appended to the open segment.
    pub fn attach(&mut self, waiter: &Arc<dyn Waiter>, range: EventRange) {
        self.open().last().waiters.attach(Arc::clone(waiter), range);
    }

    /// Has `witness` told of the open segment's outcome, which it knows as `part`.
    pub fn witness(&mut self, witness: Arc<dyn Witness>, part: u32) {
        self.open().last().waiters.witness(witness, part);
    }

    /// The open bucket, with room for what it may come to hold.
    #[inline]
    fn roomy(&mut self) -> &mut OpenBucket {
        let (shared, lane) = (self.shared, self.lane);
        let packing = &shared.packing;
        let bucket = self.open();
        bucket.begin_with(|| lane.room(packing.room(shared.pace.max_units(packing))));
        bucket
    }

    fn open(&mut self) -> &mut OpenBucket {
        let (shared, lane) = (self.shared, self.lane);
        self.guard.get_or_insert_with(|| lane.lock()).get_or_insert_with(|| {
            shared.opened.notify_one();
            OpenBucket::new(shared.segment(), &shared.packing)
        })
    }
}

impl Drop for LaneWriter<'_> {
    fn drop(&mut self) {
        // A batch whose reading panicked may have left half a record, or an id put down for a record that is not there: the
        // bucket is given up, and everyone in it is told that nobody knows.
        let bucket = if std::thread::panicking() { self.guard.as_deref_mut().and_then(Option::take) } else { None };
        self.leave();
        if let Some(bucket) = bucket {
            self.shared.give_up(bucket);
        }
    }
}
