//! A shard: its range of hash keys, its parents, and the records it stored, in the order of their sequence numbers.

use bytes::Bytes;
use tokio::time::Instant;

use super::super::throttle::Throttle;

/// A record that was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The data, decoded.
    pub data: Bytes,
    pub(in crate::aws) partition_key: Bytes,
    /// The explicit hash key, if the client gave one.
    pub explicit_hash_key: Option<u128>,
    pub(in crate::aws) sequence: u64,
    /// The number of the shard.
    pub shard: u32,
    /// When it was stored.
    pub arrived: Instant,
}

impl Stored {
    /// The partition key; empty if the stream does not need one and none was given.
    #[must_use]
    pub fn partition_key(&self) -> &str {
        std::str::from_utf8(&self.partition_key).expect("it came in as a string")
    }

    /// The sequence number, as Kinesis writes it: its order within a shard is that of the numbers.
    #[must_use]
    pub fn sequence_number(&self) -> String {
        sequence_number(self.sequence)
    }
}

/// 56 digits, as in real streams.
pub(super) fn sequence_number(sequence: u64) -> String {
    format!("49{sequence:054}")
}

pub(super) fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// The number in a shard's id.
pub(super) fn shard_number(id: &str) -> Option<u32> {
    id.strip_prefix("shardId-")?.parse().ok()
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) parent: Option<u32>,
    pub(super) adjacent_parent: Option<u32>,
    pub(super) opened_at: u64,
    pub(super) closed_at: Option<u64>,
    pub(super) records: Vec<Stored>,
    pub(super) stored_records: u64,
    pub(super) stored_bytes: u64,
    pub(super) throttled_records: u64,
    pub(super) throttle: Option<Throttle>,
}

impl Shard {
    pub(super) fn new(range: (u128, u128), parents: [Option<u32>; 2], opened_at: u64, throttle: Option<f64>) -> Self {
        Self {
            first: range.0,
            last: range.1,
            parent: parents[0],
            adjacent_parent: parents[1],
            opened_at,
            closed_at: None,
            records: Vec::new(),
            stored_records: 0,
            stored_bytes: 0,
            throttled_records: 0,
            throttle: throttle.map(|multiple| Throttle::new(multiple, Instant::now())),
        }
    }

    pub(super) fn view(&self, number: u32) -> ShardView {
        ShardView {
            number,
            first: self.first,
            last: self.last,
            parents: [self.parent, self.adjacent_parent].into_iter().flatten().collect(),
            closed: self.closed_at.is_some(),
            records: self.records.clone(),
            stored_records: self.stored_records,
            stored_bytes: self.stored_bytes,
            throttled_records: self.throttled_records,
        }
    }
}

/// What a shard holds at one moment.
#[derive(Clone, Debug)]
pub struct ShardView {
    /// Its number, in the order in which the stream's shards came to be.
    pub number: u32,
    /// Its first hash key.
    pub first: u128,
    /// Its last hash key, which belongs to it.
    pub last: u128,
    /// The shards it came from: one after a split, two after a merge.
    pub parents: Vec<u32>,
    /// Whether it has been split or merged away.
    pub closed: bool,
    /// Its records in order; none where the stand-in only counts.
    pub records: Vec<Stored>,
    /// How many records it has stored.
    pub stored_records: u64,
    /// Their data and partition keys, in bytes.
    pub stored_bytes: u64,
    /// Records refused because the shard was at its write limit; not those that a fault made look so.
    pub throttled_records: u64,
}

impl ShardView {
    /// Its id, as in the API.
    #[must_use]
    pub fn id(&self) -> String {
        shard_id(self.number)
    }
}
