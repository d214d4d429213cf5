//! The event ids of a window, small enough to travel with its state.
//!
//! An id is remembered as 40 bits of a hash. Sorted, their distances are written in a Golomb-Rice code, which takes about 24
//! bits an id where there are 190,000 of them. Of 190,000 events, 0.02 are taken for one that they are not, on average:
//! n² / 2 / 2^40.

use std::collections::HashSet;

use md5::{Digest, Md5};

const HASH_BITS: u32 = 40;

/// Ids, as hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids(HashSet<u64>);

impl Ids {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        self.0.contains(&hash)
    }

    pub(super) fn insert(&mut self, hash: u64) {
        self.0.insert(hash);
    }

    /// An application's event id.
    pub(super) fn hash(application_id: &str, event_id: &str) -> u64 {
        let mut digest = Md5::new();
        digest.update(application_id);
        digest.update([0]);
        digest.update(event_id.to_ascii_lowercase());
        let [a, b, c, d, e, ..] = digest.finalize().0;
        u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut hashes: Vec<u64> = self.0.iter().copied().collect();
        hashes.sort_unstable();
        let low_bits = low_bits(hashes.len());
        let mut out = Bits::default();
        let mut before = 0;
        for hash in hashes {
            let distance = hash - before;
            for _ in 0..distance >> low_bits {
                out.push(true);
            }
            out.push(false);
            for place in (0..low_bits).rev() {
                out.push(distance >> place & 1 == 1);
            }
            before = hash;
        }
        out.bytes
    }

    /// `None` for bytes that [`encode`](Self::encode) did not write for so many ids.
    pub(super) fn decode(count: usize, bytes: &[u8]) -> Option<Self> {
        // Every id takes more than its low bits.
        let low_bits = low_bits(count);
        if count.checked_mul(low_bits as usize + 1)? > bytes.len().checked_mul(8)? {
            return None;
        }
        let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1 == 1));
        let (mut hashes, mut hash) = (HashSet::with_capacity(count), 0_u64);
        for _ in 0..count {
            let mut distance = 0_u64;
            while bits.next()? {
                distance += 1;
            }
            for _ in 0..low_bits {
                distance = distance << 1 | u64::from(bits.next()?);
            }
            hash = hash.checked_add(distance).filter(|hash| *hash < 1 << HASH_BITS)?;
            hashes.insert(hash);
        }
        Some(Self(hashes))
    }
}

/// The bits of a distance that are written as they are. What is above them is small, at most 1.6 on average: where distances
/// are distributed as those of random numbers are, this is the best choice, or within 0.1 bits of it.
fn low_bits(count: usize) -> u32 {
    let mean = (1_u64 << HASH_BITS) / (count.max(1) as u64);
    mean.checked_ilog2().unwrap_or(0)
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u8,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used);
        }
        self.used = (self.used + 1) % 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u32) -> Ids {
        let mut ids = Ids::default();
        for n in 0..count {
            ids.insert(Ids::hash("app", &n.to_string()));
        }
        ids
    }

    #[test]
    fn ids_come_back_and_take_three_bytes_each() {
        for count in [0, 1, 2, 3, 1_000, 20_000] {
            let ids = ids(count);
            let bytes = ids.encode();
            assert_eq!(Ids::decode(ids.len(), &bytes), Some(ids), "{count}");
        }
        let ids = ids(190_000);
        let bytes = ids.encode();
        assert!(ids.len() >= 189_995, "{} collided", 190_000 - ids.len());
        assert!(bytes.len() < 190_000 * 3, "{} bytes", bytes.len());
        assert_eq!(Ids::decode(ids.len(), &bytes), Some(ids));
    }

    #[test]
    fn the_smallest_and_the_largest_hash_are_kept() {
        let mut ids = Ids::default();
        for hash in [0, 1, (1 << HASH_BITS) - 1] {
            ids.insert(hash);
        }
        assert_eq!(Ids::decode(3, &ids.encode()), Some(ids));
    }

    #[test]
    fn an_id_is_its_applications_and_has_no_case() {
        assert_ne!(Ids::hash("a", "id"), Ids::hash("b", "id"));
        assert_ne!(Ids::hash("a", "bc"), Ids::hash("ab", "c"));
        assert_eq!(Ids::hash("a", "ABC"), Ids::hash("a", "abc"));
        assert!(Ids::hash("a", "id") < 1 << HASH_BITS);
    }

    #[test]
    fn other_bytes_are_no_ids() {
        let bytes = ids(100).encode();
        assert_eq!(Ids::decode(100, &bytes[..bytes.len() - 2]), None);
        assert_eq!(Ids::decode(usize::MAX, &bytes), None);
        assert_eq!(Ids::decode(100, &vec![0xff; bytes.len()]), None);
    }
}
