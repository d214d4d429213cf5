//! A strict reader in the manner of the Kinesis Client Library: parents fully before their children, aggregates taken
//! apart, and of an aggregate of which one record belongs to another shard nothing delivered. It is written from the
//! record format's description alone and shares no code with the gateway, so that it can judge what the gateway writes.

#[cfg(test)]
pub(super) mod layouts;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

use super::hash;
use super::kinesis::{ShardView, Stored};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST: usize = 16;

/// The message inside an aggregate. Fields that the format requires are optional here, so that their absence shows.
#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint64, optional, tag = "1")]
    partition_key_index: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    data: Option<Bytes>,
}

/// A record as a consumer's code gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// The partition key: its own, from inside the aggregate.
    pub partition_key: String,
    /// The explicit hash key, if it has one.
    pub explicit_hash_key: Option<u128>,
    /// The data.
    pub data: Bytes,
    /// The sequence number of the Kinesis record it came in.
    pub sequence_number: String,
    /// Its place in the aggregate; none if it came by itself.
    pub place: Option<usize>,
}

/// What a consumer of one shard gets.
#[derive(Clone, Debug, Default)]
pub struct ShardReading {
    /// The shard's number.
    pub shard: u32,
    /// Its records, in order.
    pub records: Vec<UserRecord>,
}

/// What the consumers of a stream get.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// By shard, in an order in which each comes after its parents.
    pub shards: Vec<ShardReading>,
    /// Aggregates seen, discarded ones too.
    pub aggregates: u64,
    /// Aggregates discarded because a record of theirs belongs to another shard.
    pub discarded_aggregates: u64,
    /// The records in those.
    pub discarded_records: u64,
    /// Aggregates with a record that points outside of the tables: KCL fails on them, here nothing is delivered.
    pub broken_aggregates: u64,
}

impl Reading {
    /// All records, in an order that keeps each shard's and puts children after their parents.
    pub fn records(&self) -> impl Iterator<Item = &UserRecord> {
        self.shards.iter().flat_map(|shard| &shard.records)
    }
}

/// Reads a stream's shards.
///
/// # Panics
/// If a shard's parents are missing: that would be no whole stream.
#[must_use]
pub fn read(shards: &[ShardView]) -> Reading {
    let mut reading = Reading::default();
    let mut waiting: Vec<&ShardView> = shards.iter().collect();
    let mut read: Vec<u32> = Vec::new();
    while !waiting.is_empty() {
        let ready = |shard: &&ShardView| shard.parents.iter().all(|parent| read.contains(parent));
        let (now, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(ready);
        assert!(!now.is_empty(), "give all of a stream's shards: parents are missing");
        for shard in &now {
            read.push(shard.number);
            let records = shard.records.iter().flat_map(|stored| reading.take_apart(shard, stored)).collect();
            reading.shards.push(ShardReading { shard: shard.number, records });
        }
        waiting = later;
    }
    reading
}

impl Reading {
    fn take_apart(&mut self, shard: &ShardView, stored: &Stored) -> Vec<UserRecord> {
        let Some(aggregate) = parse(&stored.data) else {
            return vec![UserRecord {
                partition_key: stored.partition_key().to_owned(),
                explicit_hash_key: stored.explicit_hash_key,
                data: stored.data.clone(),
                sequence_number: stored.sequence_number(),
                place: None,
            }];
        };
        self.aggregates += 1;
        let mut records = Vec::with_capacity(aggregate.records.len());
        for (place, record) in aggregate.records.iter().enumerate() {
            let Some((partition_key, explicit_hash_key)) = keys(&aggregate, record) else {
                self.broken_aggregates += 1;
                return Vec::new();
            };
            let hash_key = explicit_hash_key.unwrap_or_else(|| hash::of_partition_key(partition_key.as_bytes()));
            if hash_key < shard.first || hash_key > shard.last {
                self.discarded_aggregates += 1;
                self.discarded_records += aggregate.records.len() as u64;
                return Vec::new();
            }
            records.push(UserRecord {
                partition_key: partition_key.to_owned(),
                explicit_hash_key,
                data: record.data.clone().unwrap_or_default(),
                sequence_number: stored.sequence_number(),
                place: Some(place),
            });
        }
        records
    }
}

/// The data that a record carries: that of each record in it if it is an aggregate, else its own. Whether a consumer would
/// get it is not looked at.
#[must_use]
pub fn data_of(data: &Bytes) -> Vec<Bytes> {
    match parse(data) {
        Some(aggregate) => aggregate.records.into_iter().filter_map(|record| record.data).collect(),
        None => vec![data.clone()],
    }
}

/// The message, if the data is an aggregate: magic and MD5 right, all required fields there. Otherwise KCL passes the
/// data on as it is.
fn parse(data: &Bytes) -> Option<AggregatedRecord> {
    let message: Range<usize> = MAGIC.len()..data.len().checked_sub(DIGEST)?;
    if message.is_empty() || data[..MAGIC.len()] != MAGIC {
        return None;
    }
    if Md5::digest(&data[message.clone()]).as_slice() != &data[message.end..] {
        return None;
    }
    let aggregate = AggregatedRecord::decode(data.slice(message)).ok()?;
    let complete = |record: &Record| record.partition_key_index.is_some() && record.data.is_some();
    aggregate.records.iter().all(complete).then_some(aggregate)
}

/// A record's partition key and explicit hash key, from the tables.
fn keys<'a>(aggregate: &'a AggregatedRecord, record: &Record) -> Option<(&'a str, Option<u128>)> {
    let partition_key = aggregate.partition_key_table.get(usize::try_from(record.partition_key_index?).ok()?)?;
    let explicit = match record.explicit_hash_key_index {
        None => None,
        Some(index) => {
            let text = aggregate.explicit_hash_key_table.get(usize::try_from(index).ok()?)?;
            Some(hash::parse(text).ok()?)
        }
    };
    Some((partition_key, explicit))
}
