//! The dedupe window: which bucket each recent event id went into.
//!
//! The key is (application, event_id). The window says only where an id was seen; whether that makes a resend a
//! duplicate is for the bucket's fate to say ([`crate::gather::InFlight`]), so that delivering a bucket costs nothing
//! here, and an id whose bucket failed is new again. The window is this process's own; across processes and restarts
//! delivery is at least once.
//!
//! What it costs is cache misses: a window of a million ids fits into no cache. So everything about an id lies in one
//! set of two adjacent cache lines, and a batch touches the sets of its next events before it needs them. A set keeps
//! its last seven ids; there are twice as many sets as a quarter of the window, so that of the ids within the window
//! fewer than 1 in 200 leave early (seven or more of Poisson(2) arrivals).

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::gather::BucketId;
use crate::prefetch;

/// Ids in a set: with the lock and the place of the oldest they fill two cache lines.
const WAYS: usize = 7;
/// Ids of the window for each set.
const IDS_PER_SET: usize = 2;
const LOCKED: u64 = 1 << 63;

/// Recent event ids.
pub struct Dedupe {
    sets: Vec<Set>,
    // Keyed by a secret of this process: nobody can craft ids that collide with another application's.
    secret: u128,
}

#[repr(align(128))]
struct Set {
    // The lock in the highest bit; below it how many ids were put down, which tells the oldest's place.
    state: AtomicU64,
    ids: [AtomicU64; WAYS],
    buckets: [AtomicU64; WAYS],
}

/// An (application, event_id) pair, hashed.
///
/// Half of it chooses the set, the other half is kept there. Ids that differ are taken for one another with a probability
/// of 7 / 2^64 an event: once in 2.6 billion billion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u128);

impl Dedupe {
    /// A window of about `window` ids; 0 remembers none. `secret` is random.
    #[must_use]
    pub fn new(window: u32, secret: u128) -> Self {
        let sets = (window as usize).div_ceil(IDS_PER_SET);
        Self { sets: (0..sets).map(|_| Set::new()).collect(), secret }
    }

    /// What to mix into the ids of an application; once a batch.
    #[must_use]
    pub fn salt(&self, application: Uuid) -> u128 {
        mix(application.as_u128() ^ self.secret)
    }

    /// The key of an event id.
    #[must_use]
    #[inline]
    pub fn key(salt: u128, event_id: Uuid) -> Key {
        Key(mix(event_id.as_u128() ^ salt))
    }

    /// Begins to bring a key's set into the cache. Whoever does so for several keys before claiming the first of them
    /// waits for memory once and not for each.
    #[inline]
    pub fn touch(&self, key: Key) {
        if let Some(set) = self.set(key) {
            prefetch::value(set);
        }
    }

    /// Puts an id down for `bucket` unless it was seen; then says for which bucket it was.
    #[inline]
    pub fn claim(&self, key: Key, bucket: BucketId) -> Option<BucketId> {
        let mut set = self.set(key)?.lock();
        let id = key.id();
        match set.find(id) {
            Some(place) => Some(set.bucket(place)),
            None => {
                set.put(id, bucket);
                None
            }
        }
    }

    /// Puts an id down for another bucket, the one it was seen in having failed; unless someone else did so before, and
    /// then says for which bucket.
    pub fn reclaim(&self, key: Key, failed: BucketId, bucket: BucketId) -> Option<BucketId> {
        let mut set = self.set(key)?.lock();
        let id = key.id();
        match set.find(id) {
            // It left the window in between: it is new in every sense.
            None => set.put(id, bucket),
            Some(place) if set.bucket(place) != failed => return Some(set.bucket(place)),
            Some(place) => set.set_bucket(place, bucket),
        }
        None
    }

    /// The oldest bucket that any id in the window was seen in; `None` while it is empty. Looks at all of them.
    #[must_use]
    pub fn oldest(&self) -> Option<BucketId> {
        let oldest_of = |set: &Set| {
            let set = set.lock();
            (0..set.len()).map(|place| set.bucket(place)).min()
        };
        self.sets.iter().filter_map(oldest_of).min()
    }

    #[inline]
    fn set(&self, key: Key) -> Option<&Set> {
        // The high half, spread over the sets without a division.
        #[allow(clippy::cast_possible_truncation, reason = "less than the number of sets")]
        let index = (((key.0 >> 64) * self.sets.len() as u128) >> 64) as usize;
        self.sets.get(index)
    }
}

impl Key {
    // The half that the set is not chosen by. 0 stands for no id in no place, since places are counted.
    #[allow(clippy::cast_possible_truncation)]
    fn id(self) -> u64 {
        self.0 as u64
    }
}

impl Set {
    fn new() -> Self {
        Self { state: AtomicU64::new(0), ids: Default::default(), buckets: Default::default() }
    }

    /// Two threads want the same one of half a million sets about never, and neither keeps it for longer than a few
    /// dozen instructions: spinning is right.
    #[inline]
    fn lock(&self) -> LockedSet<'_> {
        loop {
            let state = self.state.load(Ordering::Relaxed) & !LOCKED;
            let taken =
                self.state.compare_exchange_weak(state, state | LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok();
            if taken {
                return LockedSet { set: self, count: state };
            }
            std::hint::spin_loop();
        }
    }
}

/// A set that nobody else looks at.
struct LockedSet<'a> {
    set: &'a Set,
    count: u64,
}

impl LockedSet<'_> {
    #[inline]
    fn len(&self) -> usize {
        usize::try_from(self.count).map_or(WAYS, |count| count.min(WAYS))
    }

    #[inline]
    fn find(&self, id: u64) -> Option<usize> {
        (0..self.len()).find(|place| self.set.ids[*place].load(Ordering::Relaxed) == id)
    }

    #[inline]
    fn bucket(&self, place: usize) -> BucketId {
        BucketId(self.set.buckets[place].load(Ordering::Relaxed))
    }

    #[inline]
    fn set_bucket(&mut self, place: usize, bucket: BucketId) {
        self.set.buckets[place].store(bucket.0, Ordering::Relaxed);
    }

    /// In the place of the oldest, where all are taken.
    #[inline]
    fn put(&mut self, id: u64, bucket: BucketId) {
        #[allow(clippy::cast_possible_truncation, reason = "below seven")]
        let place = (self.count % WAYS as u64) as usize;
        self.set.ids[place].store(id, Ordering::Relaxed);
        self.set_bucket(place, bucket);
        self.count = (self.count + 1) & !LOCKED;
    }
}

impl Drop for LockedSet<'_> {
    #[inline]
    fn drop(&mut self) {
        self.set.state.store(self.count, Ordering::Release);
    }
}

/// A bijection of 128 bits in which every input bit reaches every output bit: two rounds of multiply and fold, as in
/// the finalizers of well-known hash functions.
#[inline]
fn mix(value: u128) -> u128 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let value = (value ^ (value >> 67)).wrapping_mul(ODD);
    let value = (value ^ (value >> 61)).wrapping_mul(ODD);
    value ^ (value >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dedupe: &Dedupe, application: u128, event: u128) -> Key {
        Dedupe::key(dedupe.salt(Uuid::from_u128(application)), Uuid::from_u128(event))
    }

    #[test]
    fn a_set_is_two_cache_lines() {
        assert_eq!(size_of::<Set>(), 128);
    }

    #[test]
    fn an_id_is_seen_once_in_its_application() {
        let dedupe = Dedupe::new(1_000, 42);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(3)), None);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(4)), Some(BucketId(3)));
        assert_eq!(dedupe.claim(key(&dedupe, 2, 7), BucketId(4)), None, "another application's id is another id");
        assert_eq!(dedupe.reclaim(key(&dedupe, 1, 7), BucketId(3), BucketId(9)), None);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(10)), Some(BucketId(9)));
        let second = dedupe.reclaim(key(&dedupe, 1, 7), BucketId(3), BucketId(11));
        assert_eq!(second, Some(BucketId(9)), "of two resends of a failed event only one is new");
    }

    #[test]
    fn all_but_a_few_ids_within_the_window_are_remembered_and_old_ones_are_not() {
        const WINDOW: u128 = 20_000;
        const SENT: u128 = 12 * WINDOW;
        let dedupe = Dedupe::new(WINDOW as u32, 42);
        let mut known_too_early = 0;
        for event in 0..SENT {
            known_too_early += u32::from(dedupe.claim(key(&dedupe, 1, event), BucketId(event as u64)).is_some());
        }
        assert_eq!(known_too_early, 0, "every id is another one");
        let remembered = |event: u128| {
            let set = dedupe.set(key(&dedupe, 1, event)).expect("a set").lock();
            set.find(key(&dedupe, 1, event).id()).is_some()
        };
        let forgotten = (SENT - WINDOW..SENT).filter(|event| !remembered(*event)).count();
        assert!(forgotten < WINDOW as usize / 200, "{forgotten} of {WINDOW} left early");
        assert!((0..1_000).filter(|event| remembered(*event)).count() < 20, "the window is bounded");
    }

    #[test]
    fn the_oldest_bucket_is_found_behind_younger_ones() {
        let dedupe = Dedupe::new(10_000, 42);
        for event in 0..3_000 {
            let _ = dedupe.claim(key(&dedupe, 1, event), BucketId(1));
        }
        for event in 0..2_999 {
            assert_eq!(dedupe.reclaim(key(&dedupe, 1, event), BucketId(1), BucketId(1_000)), None);
        }
        assert_eq!(dedupe.oldest(), Some(BucketId(1)), "one id still says that it was in the first bucket");
    }

    #[test]
    fn a_window_of_none_remembers_nothing() {
        let dedupe = Dedupe::new(0, 42);
        dedupe.touch(key(&dedupe, 1, 7));
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(3)), None);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(4)), None);
        assert_eq!(dedupe.oldest(), None);
    }

    #[test]
    fn of_many_threads_that_claim_one_id_one_is_first() {
        let dedupe = Dedupe::new(1_000, 42);
        let first: usize = std::thread::scope(|scope| {
            let claim = |thread: u64| {
                let dedupe = &dedupe;
                scope.spawn(move || {
                    (0..10_000)
                        .filter(|event| dedupe.claim(key(dedupe, 1, event % 100), BucketId(thread)).is_none())
                        .count()
                })
            };
            let threads: Vec<_> = (0..4).map(claim).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(first, 100);
    }
}
