//! The open shards of a stream and the ranges of its hash space that they own.

use std::sync::Arc;

use md5::{Digest, Md5};

/// An open shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShardRange {
    /// Its id.
    pub id: Arc<str>,
    /// The first hash key that it owns.
    pub start: u128,
    /// The last hash key that it owns.
    pub end: u128,
}

impl ShardRange {
    /// One of `of` evenly spaced hash keys within the range; never its last one, at which an emulator and some consumers
    /// are off by one. `of` is 1 or more, `point` counts from 0.
    #[must_use]
    pub fn point(&self, point: u32, of: u32) -> u128 {
        let of = u128::from(of.max(1));
        let width = self.end - self.start;
        // In the middle of the point's part of the range; divided first, since the range may be all of 128 bits.
        let part = width / of;
        self.start + part * (u128::from(point) % of) + part / 2
    }

    /// Whether it owns a hash key.
    #[must_use]
    pub fn owns(&self, hash_key: u128) -> bool {
        (self.start..=self.end).contains(&hash_key)
    }

    /// Whether both own a hash key.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// Where a partition key lies in the hash space (Kinesis: the MD5 of its UTF-8, as a big-endian number).
#[must_use]
pub fn hash_key(partition_key: &[u8]) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_within_the_range_and_never_at_its_end() {
        for (start, end) in [(0, u128::MAX), (0, 1), (5, 5), (u128::MAX / 2 + 1, u128::MAX), (100, 140)] {
            let range = ShardRange { id: "shardId-0".into(), start, end };
            for point in 0..40 {
                let point = range.point(point, 16);
                assert!(point >= start && (point < end || start == end), "{point} of {start}..={end}");
            }
        }
        let whole = ShardRange { id: "shardId-0".into(), start: 0, end: u128::MAX };
        let points: std::collections::BTreeSet<u128> = (0..16).map(|point| whole.point(point, 16)).collect();
        assert_eq!(points.len(), 16);
    }

    #[test]
    fn a_partition_key_lies_at_its_md5() {
        // RFC 1321, A.5.
        assert_eq!(hash_key(b"abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
    }
}
