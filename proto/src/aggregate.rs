//! The aggregated record of the Kinesis Producer Library: many user records in one stream record.
//!
//! Four magic bytes, a protobuf message, and the MD5 of that message. The message holds a table of partition keys, a table
//! of explicit hash keys, and the user records, each of which names its keys by their places in the tables. Consumers
//! (the Kinesis Client Library, Firehose, the aggregation modules for Lambda) take apart what has the right magic and MD5
//! and pass on everything else as it is.
//!
//! Here every user record shares one partition key and one explicit hash key, the record's own. Consumers that check
//! hash keys against their shard's range drop a whole aggregate when one user record lies outside of it; with a shared
//! key all of them lie where the record itself went, whatever splits and merges happen on the way. It is the smallest
//! envelope, too: 10 bytes for a user record of 300 bytes.

use crate::md5::{Digest, Message, digest, digests};

/// What an aggregated record begins with.
pub const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// The partition key of every record, as the Kinesis Producer Library has it. The explicit hash key decides where a record
/// goes; the service asks for a partition key all the same.
pub const PARTITION_KEY: &str = "a";

/// The most that an envelope takes beside the user records: magic, both tables with a hash key of 39 digits, MD5.
pub const ENVELOPE_MAX: usize = BEFORE_MAX + MD5_LEN;

const BEFORE_MAX: usize = MAGIC.len() + 3 + 2 + MAX_DIGITS;

const MD5_LEN: usize = size_of::<Digest>();
// 2^128 - 1 has 39 digits.
const MAX_DIGITS: usize = 39;

// Tags: field number << 3 | wire type 2 (length-delimited), or 0 (varint).
const PARTITION_KEY_TABLE: u8 = 1 << 3 | 2;
const HASH_KEY_TABLE: u8 = 2 << 3 | 2;
const RECORDS: u8 = 3 << 3 | 2;
const PARTITION_KEY_INDEX: u8 = 1 << 3;
const HASH_KEY_INDEX: u8 = 2 << 3;
const DATA: u8 = 3 << 3 | 2;
const INDICES: [u8; 4] = [PARTITION_KEY_INDEX, 0, HASH_KEY_INDEX, 0];

/// Data of which nearly all is: its length, and that of what stands around it, take two bytes each.
const USUAL: std::ops::Range<usize> = 1 << 7..(1 << 14) - USUAL_INNER;
/// What stands before such data and is counted with it.
const USUAL_INNER: usize = INDICES.len() + 1 + 2;

/// How many bytes a user record of `data` bytes takes in an aggregated record.
#[must_use]
#[inline]
pub fn user_record_len(data: usize) -> usize {
    if USUAL.contains(&data) {
        return 1 + 2 + USUAL_INNER + data;
    }
    let inner = INDICES.len() + 1 + varint_len(data) + data;
    1 + varint_len(inner) + inner
}

/// Appends what stands before a user record's data; the data, exactly `data` bytes, is to be appended after it.
#[inline]
pub fn begin_user_record(out: &mut Vec<u8>, data: usize) {
    if USUAL.contains(&data) {
        let ([inner_low, inner_high], [low, high]) = (varint_of_two(USUAL_INNER + data), varint_of_two(data));
        let [key, key_at, hash_key, hash_key_at] = INDICES;
        out.extend_from_slice(&[RECORDS, inner_low, inner_high, key, key_at, hash_key, hash_key_at, DATA, low, high]);
    } else {
        begin_any_user_record(out, data);
    }
}

fn begin_any_user_record(out: &mut Vec<u8>, data: usize) {
    out.push(RECORDS);
    push_varint(out, INDICES.len() + 1 + varint_len(data) + data);
    out.extend_from_slice(&INDICES);
    out.push(DATA);
    push_varint(out, data);
}

/// What stands around user records that [`begin_user_record`] has framed, in the record that they are sent as.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    before: [u8; BEFORE_MAX],
    before_len: usize,
    after: Digest,
}

impl Envelope {
    /// Without its MD5.
    fn open(hash_key: u128) -> Self {
        let mut this = Self { before: [0; BEFORE_MAX], before_len: 0, after: [0; MD5_LEN] };
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(hash_key);
        this.push(&MAGIC);
        // Both are far shorter than what a varint of one byte can say.
        this.push(&[PARTITION_KEY_TABLE, PARTITION_KEY.len() as u8]);
        this.push(PARTITION_KEY.as_bytes());
        this.push(&[HASH_KEY_TABLE, digits.len() as u8]);
        this.push(digits.as_bytes());
        this
    }

    fn push(&mut self, bytes: &[u8]) {
        self.before[self.before_len..][..bytes.len()].copy_from_slice(bytes);
        self.before_len += bytes.len();
    }

    fn message<'a>(&'a self, user_records: &'a [u8]) -> Message<'a> {
        (&self.before()[MAGIC.len()..], user_records)
    }

    /// What stands before the user records.
    #[must_use]
    pub fn before(&self) -> &[u8] {
        &self.before[..self.before_len]
    }

    /// What stands behind them.
    #[must_use]
    pub fn after(&self) -> &[u8] {
        &self.after
    }

    /// The record.
    #[must_use]
    pub fn around(&self, user_records: &[u8]) -> Vec<u8> {
        [self.before(), user_records, self.after()].concat()
    }
}

/// Makes a record of user records that [`begin_user_record`] has framed, for the place `hash_key` in the stream's hash
/// space.
#[must_use]
pub fn seal(user_records: &[u8], hash_key: u128) -> Vec<u8> {
    let mut envelope = Envelope::open(hash_key);
    envelope.after = digest(envelope.message(user_records));
    envelope.around(user_records)
}

/// The envelopes of several records, in their order. Nearly all of it is MD5, and of several records at once that costs a
/// fraction. Nothing is copied.
#[must_use]
pub fn envelopes(records: &[(&[u8], u128)]) -> Vec<Envelope> {
    let mut envelopes: Vec<Envelope> = records.iter().map(|(_, hash_key)| Envelope::open(*hash_key)).collect();
    let digests = {
        let messages: Vec<Message<'_>> =
            envelopes.iter().zip(records).map(|(envelope, (user_records, _))| envelope.message(user_records)).collect();
        digests(&messages)
    };
    for (envelope, digest) in envelopes.iter_mut().zip(digests) {
        envelope.after = digest;
    }
    envelopes
}

/// What the envelope of a record for this hash key takes.
#[must_use]
pub fn envelope_len(hash_key: u128) -> usize {
    let digits = hash_key.checked_ilog10().map_or(1, |power| power as usize + 1);
    ENVELOPE_MAX - MAX_DIGITS + digits
}

/// The data of user records that [`begin_user_record`] has framed, in order. Ends at the first byte that was not framed
/// so.
pub fn framed_data(mut user_records: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut rest = Reader(user_records);
        let inner = (rest.byte()? == RECORDS).then(|| rest.bytes())??;
        let mut inner = Reader(inner.strip_prefix(&INDICES)?);
        let data = (inner.byte()? == DATA).then(|| inner.bytes())??;
        user_records = rest.0;
        Some(data)
    })
}

/// A user record of an aggregated record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// Its partition key.
    pub partition_key: &'a str,
    /// Its explicit hash key, a decimal number; `None`: the MD5 of its partition key is its hash key.
    pub explicit_hash_key: Option<&'a str>,
    /// What was put.
    pub data: &'a [u8],
}

/// Takes an aggregated record apart; `None` for anything that consumers pass on as it is: no magic, another MD5, a message
/// that is not one, or a key that is not in its table.
#[must_use]
pub fn read_aggregate(record: &[u8]) -> Option<Vec<UserRecord<'_>>> {
    let rest = record.strip_prefix(&MAGIC)?;
    let (message, expected) = rest.split_last_chunk()?;
    if digest((&[], message)) != *expected {
        return None;
    }
    let (mut partition_keys, mut hash_keys, mut records) = (Vec::new(), Vec::new(), Vec::new());
    let mut fields = Reader(message);
    while !fields.0.is_empty() {
        match fields.field()? {
            (1, Value::Bytes(key)) => partition_keys.push(std::str::from_utf8(key).ok()?),
            (2, Value::Bytes(key)) => hash_keys.push(std::str::from_utf8(key).ok()?),
            (3, Value::Bytes(record)) => records.push(IndexedRecord::read(record)?),
            (1..=3, _) => return None,
            _ => {}
        }
    }
    // The tables may stand behind the records that refer to them.
    records
        .into_iter()
        .map(|record| {
            let explicit_hash_key = match record.hash_key {
                Some(index) => Some(*hash_keys.get(index)?),
                None => None,
            };
            let partition_key = partition_keys.get(record.partition_key).copied()?;
            Some(UserRecord { partition_key, explicit_hash_key, data: record.data })
        })
        .collect()
}

struct IndexedRecord<'a> {
    partition_key: usize,
    hash_key: Option<usize>,
    data: &'a [u8],
}

impl<'a> IndexedRecord<'a> {
    fn read(record: &'a [u8]) -> Option<Self> {
        let (mut partition_key, mut hash_key, mut data) = (None, None, None);
        let mut fields = Reader(record);
        while !fields.0.is_empty() {
            match fields.field()? {
                (1, Value::Number(index)) => partition_key = Some(usize::try_from(index).ok()?),
                (2, Value::Number(index)) => hash_key = Some(usize::try_from(index).ok()?),
                (3, Value::Bytes(bytes)) => data = Some(bytes),
                (1..=3, _) => return None,
                _ => {}
            }
        }
        Some(Self { partition_key: partition_key?, hash_key, data: data? })
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Reads protobuf's wire format.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        // Protobuf's field numbers have 29 bits: a tag is a number of 32.
        let tag = u32::try_from(self.varint()?).ok()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => Value::Bytes(self.bytes()?),
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        (tag >> 3 > 0).then_some((tag >> 3, value))
    }
}

#[inline]
fn varint_len(number: usize) -> usize {
    // Seven bits a byte.
    ((usize::BITS - (number | 1).leading_zeros()).div_ceil(7)) as usize
}

/// The varint of a number of 8 to 14 bits.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "seven bits each")]
fn varint_of_two(number: usize) -> [u8; 2] {
    [number as u8 | 0x80, (number >> 7) as u8]
}

#[inline]
fn push_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the lowest seven bits")]
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 128")]
    out.push(number as u8);
}

#[cfg(test)]
mod tests;
