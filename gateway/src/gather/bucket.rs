//! A bucket: stream records on their way to one destination, one line each.

use std::time::{Duration, Instant};

use super::ticket::Ticket;

/// A bucket's number, rising in the order of opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub u64);

/// How a destination wants its buckets.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// A bucket closes when the next record would take it past this many bytes. A single larger record travels alone.
    pub target_bytes: usize,
    /// A bucket closes at the latest this long after its first record.
    pub linger: Duration,
}

/// A bucket that takes no more events. It must be settled through its ticket.
pub struct ClosedBucket {
    /// Its number.
    pub id: BucketId,
    /// Stream records, each ended by a newline.
    pub payload: Vec<u8>,
    /// How many records.
    pub events: u32,
    /// When its verdict is due.
    pub deadline: Instant,
    /// The way back.
    pub ticket: Ticket,
}

/// Takes closed buckets; implemented by what delivers them.
pub trait BucketSink: Send + Sync {
    /// Takes the bucket. Does not block and can't refuse: a sink that can't deliver settles the ticket so.
    fn submit(&self, bucket: ClosedBucket);
}
