//! The dedupe window: which bucket each recent event id went into.
//!
//! The key is (application, event_id). The window says only where an id was seen; whether that makes a resend a
//! duplicate is for the bucket's fate to say ([`crate::gather::InFlight`]), so that delivering a bucket costs nothing
//! here, and an id whose bucket failed is new again. The window is this process's own; across processes and restarts
//! delivery is at least once.
//!
//! What it costs is cache misses: a window of a million ids fits into no cache. So everything about an id lies in one
//! set of one cache line, and a batch touches the sets of its next events before it needs them. A set keeps its last
//! five ids; there are as many sets as ids in the window, so that of the ids within the window fewer than 1 in 200
//! leave early (five or more of Poisson(1) arrivals).
//!
//! Of a bucket's number a set keeps 32 bits: which one is meant is told by the nearest number that is in use. What
//! lies too far back for that is forgotten ([`Dedupe::age`]).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use uuid::Uuid;

use crate::gather::BucketId;
use crate::prefetch;

/// Ids in a set: with the lock, the place of the oldest and their buckets they fill a cache line.
const WAYS: usize = 5;
const LOCKED: u32 = 1 << 31;
/// Buckets after which an id is forgotten: a quarter of what 32 bits tell apart around the current one.
const OLD: u64 = 1 << 29;

/// Recent event ids.
pub struct Dedupe {
    sets: Vec<Set>,
    // Keyed by a secret of this process: nobody can craft ids that collide with another application's.
    secret: u128,
    // The bucket of the latest look at all ages.
    aged: AtomicU64,
}

#[repr(align(64))]
struct Set {
    // The lock in the highest bit; below it how many ids were put down, less whole rounds through full places, which
    // tells how many there are and the oldest's place.
    state: AtomicU32,
    // The low halves of their numbers.
    buckets: [AtomicU32; WAYS],
    ids: [AtomicU64; WAYS],
}

/// An (application, event_id) pair, hashed.
///
/// Half of it chooses the set, the other half is kept there. Ids that differ are taken for one another with a probability
/// of 5 / 2^64 an event: once in 3.7 billion billion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u128);

impl Dedupe {
    /// A window of about `window` ids; 0 remembers none. `secret` is random.
    #[must_use]
    pub fn new(window: u32, secret: u128) -> Self {
        Self { sets: (0..window).map(|_| Set::new()).collect(), secret, aged: AtomicU64::new(0) }
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
            Some(place) => Some(set.bucket(place, bucket)),
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
            Some(place) if set.bucket(place, bucket) != failed => return Some(set.bucket(place, bucket)),
            Some(place) => set.set_bucket(place, bucket),
        }
        None
    }

    /// The oldest bucket that any id in the window was seen in; `None` while it is empty. Looks at all of them. `now` is
    /// any bucket that is open, or the next.
    #[must_use]
    pub fn oldest(&self, now: BucketId) -> Option<BucketId> {
        let oldest_of = |set: &Set| {
            let set = set.lock();
            (0..set.len()).map(|place| set.bucket(place, now)).min()
        };
        self.sets.iter().filter_map(oldest_of).min()
    }

    /// Forgets ids that were seen in buckets long past, which could be taken for the latest ones: to be called at least
    /// every half a billion buckets. Looks at all ids, once in half a billion buckets; `now` as for [`Dedupe::oldest`].
    pub fn age(&self, now: BucketId) {
        let aged = self.aged.load(Ordering::Relaxed);
        let due = now.0.saturating_sub(aged) >= OLD;
        if !due || self.aged.compare_exchange(aged, now.0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        for set in &self.sets {
            let mut set = set.lock();
            for place in 0..set.len() {
                if now.0.saturating_sub(set.bucket(place, now).0) >= OLD {
                    set.forget(place, now);
                }
            }
        }
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
    // The half that the set is not chosen by. 0 stands for no id: which places are taken is counted.
    #[allow(clippy::cast_possible_truncation)]
    fn id(self) -> u64 {
        self.0 as u64
    }
}

impl Set {
    fn new() -> Self {
        Self { state: AtomicU32::new(0), buckets: Default::default(), ids: Default::default() }
    }

    /// Two threads want the same one of a million sets about never, and neither keeps it for longer than a few dozen
    /// instructions: spinning is right.
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
    count: u32,
}

impl LockedSet<'_> {
    #[inline]
    fn len(&self) -> usize {
        (self.count as usize).min(WAYS)
    }

    #[inline]
    fn find(&self, id: u64) -> Option<usize> {
        (0..self.len()).find(|place| self.set.ids[*place].load(Ordering::Relaxed) == id)
    }

    /// The number that is nearest to that of a bucket in use, among those with the half that is kept.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "it is meant to wrap")]
    fn bucket(&self, place: usize, now: BucketId) -> BucketId {
        let kept = self.set.buckets[place].load(Ordering::Relaxed);
        let after = kept.wrapping_sub(now.0 as u32) as i32;
        BucketId(now.0.wrapping_add_signed(after.into()))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the low half is what is kept")]
    fn set_bucket(&mut self, place: usize, bucket: BucketId) {
        self.set.buckets[place].store(bucket.0 as u32, Ordering::Relaxed);
    }

    /// In the place of the oldest, where all are taken.
    #[inline]
    fn put(&mut self, id: u64, bucket: BucketId) {
        const FULL: u32 = WAYS as u32;
        let place = self.count % FULL;
        self.set.ids[place as usize].store(id, Ordering::Relaxed);
        self.set_bucket(place as usize, bucket);
        // FULL to twice FULL, once it is full.
        self.count = if self.count + 1 == 2 * FULL { FULL } else { self.count + 1 };
    }

    /// Leaves an id in its place that hardly any event has: no sooner than two that differ are taken for one another.
    fn forget(&mut self, place: usize, now: BucketId) {
        self.set.ids[place].store(0, Ordering::Relaxed);
        self.set_bucket(place, now);
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
    fn a_set_is_a_cache_line() {
        assert_eq!(size_of::<Set>(), 64);
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
        let oldest = dedupe.oldest(BucketId(2_000));
        assert_eq!(oldest, Some(BucketId(1)), "one id still says that it was in the first bucket");
    }

    #[test]
    fn buckets_are_told_apart_beyond_what_is_kept_of_their_numbers() {
        let dedupe = Dedupe::new(1_000, 42);
        let edge = 7 << 32;
        let buckets = [edge - 3, edge - 1, edge, edge + 2];
        for (event, bucket) in (0..).zip(buckets) {
            assert_eq!(dedupe.claim(key(&dedupe, 1, event), BucketId(bucket)), None);
        }
        // Another lane's open bucket may be older than the one that an id was seen in.
        for now in [edge - 5, edge + 5, edge + u64::from(u32::MAX >> 2)] {
            for (event, bucket) in (0..).zip(buckets) {
                assert_eq!(dedupe.claim(key(&dedupe, 1, event), BucketId(now)), Some(BucketId(bucket)));
            }
            assert_eq!(dedupe.oldest(BucketId(now)), Some(BucketId(edge - 3)));
        }
    }

    #[test]
    fn what_was_seen_too_many_buckets_ago_is_forgotten_and_nothing_else() {
        let dedupe = Dedupe::new(1_000, 42);
        let seen = |event: u128, bucket| dedupe.claim(key(&dedupe, 1, event), BucketId(bucket));
        assert_eq!((seen(1, 10), seen(2, OLD), seen(3, OLD + 20)), (None, None, None));
        dedupe.age(BucketId(OLD - 1));
        assert_eq!(seen(1, OLD), Some(BucketId(10)), "it is too early to look");
        dedupe.age(BucketId(OLD + 10));
        assert_eq!(seen(2, OLD + 20), Some(BucketId(OLD)));
        assert_eq!(seen(3, OLD + 20), Some(BucketId(OLD + 20)));
        assert_eq!(seen(1, OLD + 20), None, "it is new");
    }

    #[test]
    fn a_window_of_none_remembers_nothing() {
        let dedupe = Dedupe::new(0, 42);
        dedupe.touch(key(&dedupe, 1, 7));
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(3)), None);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(4)), None);
        assert_eq!(dedupe.oldest(BucketId(5)), None);
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
