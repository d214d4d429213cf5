//! PutRecords and PutRecord. Everything that needs no shard (limits, base64, hashing) happens before the stream is
//! locked; a call is stored under one lock, so a reshard falls between calls, never into one.

use bytes::Bytes;
use tokio::time::Instant;

use super::super::answer::Answer;
use super::super::call::Done;
use super::super::error::{CallError, RecordError, Refusal, Service};
use super::super::hash::{self, NotAHashKey};
use super::super::parse::{self, Body, Entry, PutRecord, PutRecords};
use super::super::state::State;
use super::super::tally::{Doubt, Put};
use super::shard::{Stored, sequence_number, shard_id};
use super::stream::Stream;

const RECORDS_MAX: usize = 500;
const CALL_BYTES_MAX: usize = 10 << 20;
const DATA_BYTES_MAX: usize = 10 << 20;
const KEY_CHARS_MAX: usize = 256;

/// A record that keeps to the limits.
struct Checked {
    data: usize,
    key: usize,
    explicit: Option<u128>,
    /// None where Kinesis distributes the records itself.
    hash_key: Option<u128>,
}

/// What became of a record.
#[derive(Clone, Copy)]
enum Outcome {
    Stored { shard: u32, sequence: u64 },
    Failed(RecordError),
}

pub(super) fn put_records(state: &State, body: &Body, withheld: usize) -> Result<Done, Refusal> {
    let (outcomes, doubt) = put(state, "PutRecords", &body.read()?, body.bytes.len())?;
    Ok(Done { answer: render(&outcomes, withheld), doubt })
}

pub(super) fn put_record(state: &State, body: &Body) -> Result<Done, Refusal> {
    let input = PutRecords::from(body.read::<PutRecord<'_>>()?);
    let (outcomes, doubt) = put(state, "PutRecord", &input, body.bytes.len())?;
    match outcomes[0] {
        Outcome::Stored { shard, sequence } => {
            let (shard, sequence) = (shard_id(shard), sequence_number(sequence));
            let body = format!(r#"{{"ShardId":"{shard}","SequenceNumber":"{sequence}"}}"#);
            Ok(Done { answer: Answer::bytes(body.into_bytes()), doubt })
        }
        Outcome::Failed(RecordError::Throttled) => Err(CallError::Throttled.refusal(Service::Kinesis)),
        Outcome::Failed(RecordError::InternalFailure) => Err(CallError::InternalFailure.refusal(Service::Kinesis)),
    }
}

fn put(
    state: &State,
    operation: &str,
    input: &PutRecords<'_>,
    body_bytes: usize,
) -> Result<(Vec<Outcome>, Option<Doubt>), Refusal> {
    let name = parse::stream_name(input.stream_name.as_ref(), input.stream_arn.as_ref())
        .ok_or_else(|| Refusal::invalid("give StreamName or StreamARN"))?;
    let stream = state.stream(name).ok_or_else(|| Refusal::not_found(name))?;
    let records = check(&stream, &input.records)?;
    if input.dry_run == Some(true) {
        return Err(Refusal::dry_run());
    }
    let arena = if stream.keep { decode(&input.records, &records)? } else { Bytes::new() };
    let mut counts = Put { records: records.len() as u64, ..Put::default() };
    let mut kept = Vec::new();
    let outcomes = store(state, operation, &stream, &records, &arena, &mut counts, &mut kept);
    state.books.put(Service::Kinesis, body_bytes, &counts);
    Ok((outcomes, Doubt::about(&state.books, Service::Kinesis, counts.stored, kept)))
}

fn check(stream: &Stream, entries: &[Entry<'_>]) -> Result<Vec<Checked>, Refusal> {
    if !(1..=RECORDS_MAX).contains(&entries.len()) {
        return Err(Refusal::validation(format!("a call holds 1 to {RECORDS_MAX} records")));
    }
    let (auto, record_max) = {
        let table = stream.table();
        (table.auto, table.max_record_kib as usize * 1_024)
    };
    let records = entries.iter().map(|entry| check_entry(entry, auto)).collect::<Result<Vec<_>, _>>()?;
    if let Some(record) = records.iter().find(|record| record.data + record.key > record_max) {
        let size = record.data + record.key;
        return Err(Refusal::invalid(format!("a record of {size} bytes exceeds the stream's limit of {record_max}")));
    }
    if records.iter().map(|record| record.data + record.key).sum::<usize>() > CALL_BYTES_MAX {
        return Err(Refusal::invalid("Records size exceeds 10 MB limit"));
    }
    Ok(records)
}

fn check_entry(entry: &Entry<'_>, auto: bool) -> Result<Checked, Refusal> {
    let data = entry.data.decoded_len().ok_or_else(|| Refusal::validation("a record's data is no base64"))?;
    if data > DATA_BYTES_MAX {
        return Err(Refusal::validation(format!("a record's data holds at most {DATA_BYTES_MAX} bytes")));
    }
    let key = entry.partition_key.as_ref().map(|key| &*key.0);
    match key {
        Some("") => return Err(Refusal::validation("a partition key holds at least 1 character")),
        Some(key) if key.len() > KEY_CHARS_MAX && key.chars().count() > KEY_CHARS_MAX => {
            return Err(Refusal::validation(format!("a partition key holds at most {KEY_CHARS_MAX} characters")));
        }
        None if !auto => return Err(Refusal::validation("a record needs a partition key")),
        _ => {}
    }
    let explicit = match &entry.explicit_hash_key {
        None => None,
        Some(text) => Some(hash::parse(&text.0).map_err(|why| match why {
            NotAHashKey::Malformed => Refusal::validation("an explicit hash key matches 0|([1-9]\\d{0,38})"),
            NotAHashKey::OutOfRange => Refusal::invalid("an explicit hash key is at most 2^128 - 1"),
        })?),
    };
    let key = key.unwrap_or_default().as_bytes();
    let hash_key = (!auto).then(|| explicit.unwrap_or_else(|| hash::of_partition_key(key)));
    Ok(Checked { data, key: key.len(), explicit, hash_key })
}

/// Data and key of every record, one after the other, in one buffer.
fn decode(entries: &[Entry<'_>], records: &[Checked]) -> Result<Bytes, Refusal> {
    let mut arena = Vec::with_capacity(records.iter().map(|record| record.data + record.key).sum());
    for entry in entries {
        entry.data.decode_into(&mut arena)?;
        if let Some(key) = &entry.partition_key {
            arena.extend_from_slice(key.0.as_bytes());
        }
    }
    Ok(arena.into())
}

fn store(
    state: &State,
    operation: &str,
    stream: &Stream,
    records: &[Checked],
    arena: &Bytes,
    counts: &mut Put,
    kept: &mut Vec<Bytes>,
) -> Vec<Outcome> {
    let mut table = stream.table();
    let now = Instant::now();
    let shards: Vec<u32> = records
        .iter()
        .map(|record| match record.hash_key {
            Some(hash_key) if !table.auto => table.route(hash_key),
            _ => table.next_in_turn(),
        })
        .collect();
    let errors = state.faults.for_records(Service::Kinesis, operation, &stream.name, &shards);
    let mut start = 0;
    let mut outcomes = Vec::with_capacity(records.len());
    for (place, (record, number)) in records.iter().zip(shards).enumerate() {
        let (data, key) = (start, start + record.data);
        start = key + record.key;
        let mut error = errors.as_ref().and_then(|errors| errors[place]);
        let sequence = table.next_sequence + 1;
        let shard = &mut table.shards[number as usize];
        let size = record.data + record.key;
        if error.is_none() && shard.throttle.as_mut().is_some_and(|throttle| !throttle.admit(size, now)) {
            shard.throttled_records += 1;
            error = Some(RecordError::Throttled);
        }
        if let Some(error) = error {
            counts.failed(error);
            outcomes.push(Outcome::Failed(error));
            continue;
        }
        shard.stored_records += 1;
        shard.stored_bytes += size as u64;
        if stream.keep {
            kept.push(arena.slice(data..key));
            shard.records.push(Stored {
                data: arena.slice(data..key),
                partition_key: arena.slice(key..start),
                explicit_hash_key: record.explicit,
                sequence,
                shard: number,
                arrived: now,
            });
        }
        table.next_sequence = sequence;
        counts.stored_in_kinesis(record.data, record.key, record.explicit.is_some());
        outcomes.push(Outcome::Stored { shard: number, sequence });
    }
    outcomes
}

/// The answer, written by hand: formatting 56 digits for each record is what would cost the most.
fn render(outcomes: &[Outcome], withheld: usize) -> Answer {
    let failed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count();
    let mut body = Vec::with_capacity(64 + 128 * outcomes.len());
    body.extend_from_slice(format!(r#"{{"FailedRecordCount":{failed},"Records":["#).as_bytes());
    for (place, outcome) in outcomes.iter().take(outcomes.len().saturating_sub(withheld)).enumerate() {
        if place > 0 {
            body.push(b',');
        }
        match outcome {
            Outcome::Stored { shard, sequence } => {
                body.extend_from_slice(br#"{"ShardId":"shardId-"#);
                push_digits::<12>(&mut body, u64::from(*shard));
                body.extend_from_slice(br#"","SequenceNumber":"49"#);
                push_digits::<54>(&mut body, *sequence);
                body.extend_from_slice(br#""}"#);
            }
            Outcome::Failed(error) => {
                let (code, message) = (error.code(Service::Kinesis), error.message());
                body.extend_from_slice(format!(r#"{{"ErrorCode":"{code}","ErrorMessage":"{message}"}}"#).as_bytes());
            }
        }
    }
    body.extend_from_slice(b"]}");
    Answer::bytes(body)
}

fn push_digits<const WIDTH: usize>(body: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        if number == 0 {
            break;
        }
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    body.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_other_operations_write_them() {
        for number in [0, 7, 1_234_567, u64::MAX] {
            let mut body = b"49".to_vec();
            push_digits::<54>(&mut body, number);
            assert_eq!(body, sequence_number(number).into_bytes());
        }
        let mut body = b"shardId-".to_vec();
        push_digits::<12>(&mut body, 1_003);
        assert_eq!(body, shard_id(1_003).into_bytes());
    }
}
