//! Kinesis's hash keys: 128-bit numbers that the shards divide among themselves. A record's is the MD5 of its partition
//! key, or the explicit one it names in decimal.

use md5::{Digest, Md5};

/// The hash key of a partition key: its MD5, read as a big-endian number.
#[must_use]
pub fn of_partition_key(key: &[u8]) -> u128 {
    u128::from_be_bytes(Md5::digest(key).into())
}

/// Why a text is no hash key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAHashKey {
    /// Not of the form `0|([1-9]\d{0,38})`.
    Malformed,
    /// Above 2^128 - 1.
    OutOfRange,
}

/// The number that an explicit hash key's text stands for.
///
/// # Errors
/// If it is no decimal number without leading zeros, or above 2^128 - 1.
pub fn parse(text: &str) -> Result<u128, NotAHashKey> {
    let well_formed = text == "0"
        || ((1..=39).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if !well_formed {
        return Err(NotAHashKey::Malformed);
    }
    text.parse().map_err(|_| NotAHashKey::OutOfRange)
}

/// The first and the last hash key of one of `shards` equal shards.
#[must_use]
pub fn equal_range(shard: u32, shards: u32) -> (u128, u128) {
    let end = if shard + 1 == shards { u128::MAX } else { equal_start(shard + 1, shards) - 1 };
    (equal_start(shard, shards), end)
}

/// Rounded down i * 2^128 / n, where 2^128 itself does not fit: it is n * quotient + remainder.
fn equal_start(shard: u32, shards: u32) -> u128 {
    let (shard, shards) = (u128::from(shard), u128::from(shards));
    let (quotient, remainder) = (u128::MAX / shards, u128::MAX % shards + 1);
    shard * quotient + shard * remainder / shards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shards_cover_every_hash_key_once() {
        for shards in [1, 2, 3, 4, 7, 1_000] {
            let ranges: Vec<_> = (0..shards).map(|shard| equal_range(shard, shards)).collect();
            assert_eq!(ranges[0].0, 0);
            assert_eq!(ranges.last().expect("there is one").1, u128::MAX);
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0 && pair[0].0 < pair[0].1));
        }
        assert_eq!(equal_range(1, 2).0, 1 << 127);
    }

    #[test]
    fn explicit_hash_keys_are_decimal_without_leading_zeros_and_end_at_128_bits() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse(&u128::MAX.to_string()), Ok(u128::MAX));
        assert_eq!(parse("340282366920938463463374607431768211456"), Err(NotAHashKey::OutOfRange));
        for text in ["", "00", "01", "-1", "+1", "1 ", "a", "1234567890123456789012345678901234567890"] {
            assert_eq!(parse(text), Err(NotAHashKey::Malformed), "{text}");
        }
    }

    #[test]
    fn a_partition_key_hashes_to_its_md5() {
        assert_eq!(of_partition_key(b"a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
    }
}
