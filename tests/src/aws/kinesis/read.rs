//! GetShardIterator and GetRecords: enough for a stock client to read everything back. An iterator names its place in
//! plain text and never expires.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::answer::Answer;
use super::super::call::Done;
use super::super::error::Refusal;
use super::super::state::State;
use super::admin::StreamRef;
use super::list::HashKeyRange;
use super::shard::{Shard, Stored, sequence_number, shard_id, shard_number};
use super::stream::Stream;

const RECORDS_MAX: usize = 10_000;
const BYTES_MAX: usize = 10 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetShardIterator {
    #[serde(flatten)]
    stream: StreamRef,
    shard_id: String,
    shard_iterator_type: String,
    starting_sequence_number: Option<String>,
    /// Seconds of Unix time.
    timestamp: Option<f64>,
}

pub(super) fn get_shard_iterator(state: &State, input: GetShardIterator) -> Result<Done, Refusal> {
    let stream = input.stream.find(state)?;
    let table = stream.table();
    let number = shard_number(&input.shard_id).unwrap_or(u32::MAX);
    let shard = table.shards.get(number as usize).ok_or_else(|| Refusal::not_found(&input.shard_id))?;
    let from = |starting: Option<String>| {
        let starting = starting.ok_or_else(|| Refusal::invalid("give StartingSequenceNumber"))?;
        Ok(shard.records.partition_point(|record| record.sequence_number() < starting))
    };
    let position = match input.shard_iterator_type.as_str() {
        "TRIM_HORIZON" => 0,
        "LATEST" => shard.records.len(),
        "AT_SEQUENCE_NUMBER" => from(input.starting_sequence_number)?,
        "AFTER_SEQUENCE_NUMBER" => {
            let exact = input.starting_sequence_number.clone();
            let position = from(input.starting_sequence_number)?;
            let there = shard.records.get(position).map(|record| record.sequence_number());
            position + usize::from(there.is_some() && there == exact)
        }
        "AT_TIMESTAMP" => {
            let earliest = input.timestamp.ok_or_else(|| Refusal::invalid("give Timestamp"))?;
            shard.records.partition_point(|record| seconds(arrival(&stream, record)) < earliest)
        }
        other => return Err(Refusal::invalid(format!("the stand-in has no iterator of type '{other}'"))),
    };
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        shard_iterator: String,
    }
    Ok(Answer::json(&Output { shard_iterator: iterator(&stream.name, number, position) }).into())
}

fn iterator(stream: &str, shard: u32, position: usize) -> String {
    format!("{stream}:{shard}:{position}")
}

fn parse_iterator(iterator: &str) -> Option<(&str, u32, usize)> {
    let mut parts = iterator.rsplitn(3, ':');
    let (position, shard, stream) = (parts.next()?, parts.next()?, parts.next()?);
    Some((stream, shard.parse().ok()?, position.parse().ok()?))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetRecords {
    shard_iterator: String,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    records: Vec<Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_shard_iterator: Option<String>,
    millis_behind_latest: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    child_shards: Vec<ChildShard>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    sequence_number: String,
    approximate_arrival_timestamp: f64,
    data: String,
    partition_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChildShard {
    shard_id: String,
    parent_shards: Vec<String>,
    hash_key_range: HashKeyRange,
}

pub(super) fn get_records(state: &State, input: &GetRecords) -> Result<Done, Refusal> {
    let bad_iterator = || Refusal::invalid("the shard iterator is none of this stand-in's");
    let (name, number, position) = parse_iterator(&input.shard_iterator).ok_or_else(bad_iterator)?;
    let stream = state.stream(name).ok_or_else(|| Refusal::not_found(name))?;
    let table = stream.table();
    let shard = table.shards.get(number as usize).ok_or_else(bad_iterator)?;
    let limit = input.limit.unwrap_or(RECORDS_MAX).clamp(1, RECORDS_MAX);
    let (records, end) = take(&stream, shard, position, limit);
    let drained = shard.closed_at.is_some() && end >= shard.records.len();
    let child = |(child, shard): (u32, &Shard)| {
        let parents: Vec<u32> = [shard.parent, shard.adjacent_parent].into_iter().flatten().collect();
        parents.contains(&number).then(|| ChildShard {
            shard_id: shard_id(child),
            parent_shards: parents.iter().map(|parent| shard_id(*parent)).collect(),
            hash_key_range: HashKeyRange::of(shard),
        })
    };
    Ok(Answer::json(&Output {
        records,
        next_shard_iterator: (!drained).then(|| iterator(name, number, end)),
        millis_behind_latest: u64::from(end < shard.records.len()),
        child_shards: if drained { (0..).zip(&table.shards).filter_map(child).collect() } else { Vec::new() },
    })
    .into())
}

/// When a record was stored, by the wall clock.
fn arrival(stream: &Stream, stored: &Stored) -> SystemTime {
    stream.created.1 + stored.arrived.saturating_duration_since(stream.created.0)
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Records from a position on, and the position after them.
fn take(stream: &Stream, shard: &Shard, position: usize, limit: usize) -> (Vec<Record>, usize) {
    let mut bytes = 0;
    let mut records = Vec::new();
    for stored in shard.records.iter().skip(position).take(limit) {
        bytes += stored.data.len();
        if bytes > BYTES_MAX && !records.is_empty() {
            break;
        }
        records.push(Record {
            sequence_number: sequence_number(stored.sequence),
            approximate_arrival_timestamp: seconds(arrival(stream, stored)),
            data: STANDARD.encode(&stored.data),
            partition_key: stored.partition_key().to_owned(),
        });
    }
    let end = position + records.len();
    (records, end)
}
