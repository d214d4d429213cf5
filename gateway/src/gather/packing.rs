//! How a destination wants its buckets.

use std::time::Duration;

use headgate_proto::aggregate;

/// How records stand in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line each, ended by a newline.
    Lines,
    /// Framed as the user records of an aggregated record ([`aggregate::begin_user_record`]), still without its envelope.
    /// The data of each is a line with its newline, so that Firehose, which puts nothing between records, writes lines
    /// from a stream, too.
    Aggregate,
    /// Packed ([`RecordTail::pack`](headgate_proto::record::RecordTail::pack)): for a destination that reads them itself.
    Packed,
}

/// How many lanes have an open bucket at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// All of them: cores don't wait for each other.
    Every,
    /// As many as fill their buckets in half the linger: each open bucket costs a part of a unit when its linger is over.
    AsFilled,
}

/// How a destination wants its buckets.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// How records stand in a bucket.
    pub format: Format,
    /// What the destination counts in, bytes: a bucket closes before it begins another unit, and one of several units can
    /// be cut after a whole one.
    pub unit: usize,
    /// What a bucket takes beside its payload (envelope, keys), bytes.
    pub overhead: usize,
    /// A bucket holds at most this many units; more than one only while they fill fast. A single record that is larger
    /// opens a bucket of as many units as it takes.
    pub max_units: u32,
    /// A bucket holds at most this many records.
    pub max_events: u32,
    /// A bucket closes at the latest this long after its first record.
    pub linger: Duration,
    /// How many lanes have an open bucket at once.
    pub spread: Spread,
}

impl Packing {
    /// Buckets of up to `target_bytes`, on every lane.
    #[must_use]
    pub fn buckets(format: Format, target_bytes: usize, linger: Duration) -> Self {
        Self {
            format,
            unit: target_bytes,
            overhead: 0,
            max_units: 1,
            max_events: u32::MAX,
            linger,
            spread: Spread::Every,
        }
    }

    /// What a record of `len` bytes takes in a bucket.
    #[inline]
    #[must_use]
    pub fn framed_len(&self, len: usize) -> usize {
        match self.format {
            Format::Lines | Format::Packed => len,
            Format::Aggregate => aggregate::user_record_len(len),
        }
    }

    /// How many units a bucket with this payload takes.
    #[must_use]
    pub fn units(&self, payload: usize) -> usize {
        (payload + self.overhead).div_ceil(self.unit.max(1)).max(1)
    }

    /// How long a payload can be that takes `units` units.
    #[must_use]
    pub(super) fn room(&self, units: usize) -> usize {
        (units * self.unit).saturating_sub(self.overhead)
    }
}
