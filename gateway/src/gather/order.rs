//! Order between lanes. Records of one key stay in order because they share a lane and a lane's buckets are delivered one
//! after the other. When a stream's shards change, other lanes take over the keys: such a lane may be delivered from only
//! when the lanes that had its keys before have nothing on its way any more.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::shard_map::ShardRange;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A lane's place in the order.
pub struct LaneOrder {
    number: u64,
    shard: ShardRange,
    // One for the lane while it takes events, one for each bucket that is closed and not settled.
    holds: AtomicUsize,
    after: Mutex<Vec<Arc<LaneOrder>>>,
    // Buckets of it that are kept for later: everything after them waits.
    kept: AtomicUsize,
}

impl LaneOrder {
    /// A lane for a shard, which takes over keys from the lanes `after`; and its own hold.
    pub(super) fn new(shard: ShardRange, after: Vec<Arc<Self>>) -> (Arc<Self>, LaneHold) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let order = Arc::new(Self {
            number,
            shard,
            holds: AtomicUsize::new(1),
            after: Mutex::new(after),
            kept: AtomicUsize::new(0),
        });
        (Arc::clone(&order), LaneHold(order))
    }

    /// As [`LaneOrder::new`].
    #[cfg(test)]
    pub(crate) fn for_tests(shard: ShardRange, after: Vec<Arc<Self>>) -> (Arc<Self>, LaneHold) {
        Self::new(shard, after)
    }

    /// The lane's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The shard that the lane is for.
    #[must_use]
    pub fn shard(&self) -> &ShardRange {
        &self.shard
    }

    /// A bucket of it is kept for later: those after it wait until [`LaneOrder::unkeep`].
    pub fn keep(&self) {
        self.kept.fetch_add(1, Ordering::AcqRel);
    }

    /// A bucket that was kept is delivered, or given up.
    pub fn unkeep(&self) {
        self.kept.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether buckets of it are kept for later.
    #[must_use]
    pub fn has_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire) > 0
    }

    /// Whether a lane before it has buckets that are kept for later.
    #[must_use]
    pub fn waits_for_kept(&self) -> bool {
        let after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        after.iter().any(|lane| lane.has_kept() || lane.waits_for_kept())
    }

    /// Whether the lanes before it have nothing on its way any more.
    #[must_use]
    pub fn may_go(&self) -> bool {
        let mut after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        // One that holds nothing may still have to wait for others itself: then those are before this one, too.
        after.retain(|lane| lane.holds.load(Ordering::Acquire) > 0 || !lane.may_go());
        after.is_empty()
    }
}

/// Keeps the lanes that come after it waiting, until dropped.
pub struct LaneHold(Arc<LaneOrder>);

impl LaneHold {
    /// The lane's place in the order.
    #[must_use]
    pub fn order(&self) -> &Arc<LaneOrder> {
        &self.0
    }
}

impl Clone for LaneHold {
    fn clone(&self) -> Self {
        self.0.holds.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for LaneHold {
    fn drop(&mut self) {
        self.0.holds.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for LaneHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaneHold({} for {})", self.0.number, self.0.shard.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> ShardRange {
        ShardRange { id: "shardId-0".into(), start: 0, end: u128::MAX }
    }

    #[test]
    fn a_lane_waits_for_every_bucket_of_the_lanes_before_it() {
        let (first, first_open) = LaneOrder::new(shard(), Vec::new());
        let (second, _open) = LaneOrder::new(shard(), vec![Arc::clone(&first)]);
        assert!(first.may_go());
        let bucket = first_open.clone();
        drop(first_open);
        assert!(!second.may_go(), "a bucket of the first lane is on its way");
        drop(bucket);
        assert!(second.may_go());
    }

    #[test]
    fn a_lane_waits_for_those_before_one_that_never_held_anything() {
        let (first, first_open) = LaneOrder::new(shard(), Vec::new());
        let (second, second_open) = LaneOrder::new(shard(), vec![first]);
        let (third, _open) = LaneOrder::new(shard(), vec![second]);
        drop(second_open);
        assert!(!third.may_go(), "the first lane is still open");
        drop(first_open);
        assert!(third.may_go());
    }
}
