//! The dedupe window: which bucket each recent event id went into.
//!
//! The key is (application, event_id). The window says only where an id was seen; whether that makes a resend a
//! duplicate is for the bucket's fate to say ([`crate::gather::InFlight`]), so that delivering a bucket costs nothing
//! here, and an id whose bucket failed is new again. Bounded: the oldest id leaves when a new one needs its place. The
//! window is this process's own; across processes and restarts delivery is at least once.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashTable;
use uuid::Uuid;

use crate::gather::BucketId;

/// Few enough to keep each shard's window close to first-in, first-out over all, enough that cores rarely meet.
const SHARDS: usize = 64;

/// Recent event ids.
pub struct Dedupe {
    shards: Vec<Mutex<Shard>>,
    // Keyed by a secret of this process: nobody can craft ids that collide with another application's.
    secret: u128,
}

struct Shard {
    capacity: usize,
    // A ring in the order of arrival; the table holds positions in it.
    ring: Vec<Seen>,
    next: usize,
    table: HashTable<u32>,
}

#[derive(Clone, Copy)]
struct Seen {
    key: u128,
    bucket: BucketId,
}

/// An (application, event_id) pair, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u128);

impl Dedupe {
    /// A window of about `window` ids; 0 remembers none. `secret` is random.
    #[must_use]
    pub fn new(window: u32, secret: u128) -> Self {
        let capacity = (window as usize).div_ceil(SHARDS);
        let shard = || Shard { capacity, ring: Vec::new(), next: 0, table: HashTable::new() };
        Self { shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(), secret }
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
        // A bijection of the id for each application: two ids of one application never share a key.
        Key(mix(event_id.as_u128() ^ salt))
    }

    /// Puts an id down for `bucket` unless it was seen; then says for which bucket it was.
    #[inline]
    pub fn claim(&self, key: Key, bucket: BucketId) -> Option<BucketId> {
        self.shard(key).claim(key, bucket)
    }

    /// Puts an id down for another bucket, the one it was seen in having failed; unless someone else did so before, and
    /// then says for which bucket.
    pub fn reclaim(&self, key: Key, failed: BucketId, bucket: BucketId) -> Option<BucketId> {
        self.shard(key).reclaim(key, failed, bucket)
    }

    /// The oldest bucket that any id in the window was seen in; `None` while it is empty. Looks at all of them.
    #[must_use]
    pub fn oldest(&self) -> Option<BucketId> {
        let oldest_of = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.ring.iter().map(|seen| seen.bucket).min()
        };
        self.shards.iter().filter_map(oldest_of).min()
    }

    #[inline]
    fn shard(&self, key: Key) -> std::sync::MutexGuard<'_, Shard> {
        // The high bits choose the shard, the low ones the place in its table.
        let index = (key.0 >> 122) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    #[inline]
    fn claim(&mut self, key: Key, bucket: BucketId) -> Option<BucketId> {
        if self.capacity == 0 {
            return None;
        }
        let ring = &self.ring;
        if let Some(position) = self.table.find(hash(key.0), |position| ring[*position as usize].key == key.0) {
            return Some(self.ring[*position as usize].bucket);
        }
        let seen = Seen { key: key.0, bucket };
        let position = if self.ring.len() < self.capacity {
            self.ring.push(seen);
            self.ring.len() - 1
        } else {
            let position = self.next;
            self.forget(position);
            self.ring[position] = seen;
            self.next = (position + 1) % self.capacity;
            position
        };
        let ring = &self.ring;
        #[allow(clippy::cast_possible_truncation, reason = "the window is a u32")]
        self.table.insert_unique(hash(key.0), position as u32, |position| hash(ring[*position as usize].key));
        None
    }

    fn reclaim(&mut self, key: Key, failed: BucketId, bucket: BucketId) -> Option<BucketId> {
        // It may have left the window in between: then it is new in every sense.
        let seen_in = self.claim(key, bucket)?;
        if seen_in != failed {
            return Some(seen_in);
        }
        let ring = &self.ring;
        if let Some(position) = self.table.find(hash(key.0), |position| ring[*position as usize].key == key.0) {
            self.ring[*position as usize].bucket = bucket;
        }
        None
    }

    fn forget(&mut self, position: usize) {
        let key = self.ring[position].key;
        if let Ok(entry) = self.table.find_entry(hash(key), |other| *other as usize == position) {
            entry.remove();
        }
    }
}

// The key is mixed well already: its low half serves as its hash.
#[allow(clippy::cast_possible_truncation)]
fn hash(key: u128) -> u64 {
    key as u64
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
    fn the_window_is_bounded_and_forgets_the_oldest() {
        let dedupe = Dedupe::new(64 * 100, 42);
        for event in 0..100_000_u128 {
            assert_eq!(dedupe.claim(key(&dedupe, 1, event), BucketId(event as u64)), None);
        }
        let held: usize = dedupe.shards.iter().map(|shard| shard.lock().expect("unpoisoned").table.len()).sum();
        assert_eq!(held, 64 * 100);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 99_999), BucketId(0)), Some(BucketId(99_999)));
        assert_eq!(dedupe.claim(key(&dedupe, 1, 0), BucketId(0)), None, "long gone");
    }

    #[test]
    fn the_oldest_bucket_is_found_behind_younger_ones() {
        let dedupe = Dedupe::new(64 * 100, 42);
        for event in 0..64 * 50 {
            let _ = dedupe.claim(key(&dedupe, 1, event), BucketId(1));
        }
        for event in 0..64 * 50 - 1 {
            assert_eq!(dedupe.reclaim(key(&dedupe, 1, event), BucketId(1), BucketId(1_000)), None);
        }
        assert_eq!(dedupe.oldest(), Some(BucketId(1)), "one id still says that it was in the first bucket");
    }

    #[test]
    fn a_window_of_none_remembers_nothing() {
        let dedupe = Dedupe::new(0, 42);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(3)), None);
        assert_eq!(dedupe.claim(key(&dedupe, 1, 7), BucketId(4)), None);
        assert_eq!(dedupe.oldest(), None);
    }

    #[test]
    fn consecutive_ids_spread_over_the_shards() {
        let dedupe = Dedupe::new(64_000, 42);
        for event in 0..64_000_u128 {
            let _ = dedupe.claim(key(&dedupe, 1, event), BucketId(0));
        }
        for shard in &dedupe.shards {
            let held = shard.lock().expect("unpoisoned").table.len();
            assert!(held > 850, "a shard of 1,000 places holds only {held} of 64,000 consecutive ids");
        }
    }
}
