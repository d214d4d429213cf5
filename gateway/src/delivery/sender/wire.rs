//! What a sender asks of the service that it sends to. Two services stand behind it, Kinesis Data Streams and Firehose
//! (`delivery::aws`); everything about packing, retries and limits lies on this side and needs no SDK.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use headgate_proto::aggregate::Envelope;

use crate::gather::ShardRange;

/// One record of a call, in pieces: they are put together in the call's body, and copied only there.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What stands around the payload, where that is an aggregate's user records.
    pub envelope: Option<Envelope>,
    /// The record, or what is in its envelope.
    pub payload: Bytes,
    /// The explicit hash key: where in a stream's hash space it goes. `None` where the service decides (Firehose, and
    /// streams with `RecordDistributionStrategy=AUTO`).
    pub hash_key: Option<u128>,
}

impl Entry {
    /// A record that has no envelope.
    #[must_use]
    pub fn plain(payload: impl Into<Bytes>, hash_key: Option<u128>) -> Self {
        Self { envelope: None, payload: payload.into(), hash_key }
    }

    /// The record's data, one piece behind the other.
    #[must_use]
    pub fn pieces(&self) -> [&[u8]; 3] {
        match &self.envelope {
            Some(envelope) => [envelope.before(), &self.payload, envelope.after()],
            None => [&[], &self.payload, &[]],
        }
    }

    /// Bytes of the record's data.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }
}

/// What became of one record of a call that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryResult {
    /// The service holds it.
    Stored {
        /// The shard that took it, where there are shards.
        shard: Option<Arc<str>>,
    },
    /// The service does not hold it: its shard, or the delivery stream, is at its limit.
    Throttled,
    /// The service does not hold it, for another reason.
    Failed {
        /// The service's error code, such as `InternalFailure`.
        code: Arc<str>,
    },
}

/// How a whole call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallFailure {
    /// Nothing was written: the service is at a limit.
    Throttled,
    /// Nothing was written: the service was never reached.
    Unreachable,
    /// Nobody knows what was written: no answer in time, a connection that broke, a 5xx, an answer that can't be read.
    Ambiguous,
    /// Nothing was written: there are no credentials, or they are expired. May pass.
    Credentials,
    /// Nothing was written, and trying again can't change that: no such stream, no permission, a key that can't be used.
    Permanent,
}

/// A call that failed as a whole.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallError {
    /// How.
    pub failure: CallFailure,
    /// The service's error code, or a name for what went wrong on the way (`timeout`, `connect`, …).
    pub code: Arc<str>,
    /// In words, for an operator; no key material.
    pub message: String,
}

/// Puts records.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Sends one call and waits at most `timeout` for its answer. Never retries. On success there is one result for each
    /// entry, in order.
    async fn put(&self, entries: Vec<Entry>, timeout: Duration) -> Result<Vec<EntryResult>, CallError>;
}

/// How a stream is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamMode {
    /// By shard-hour and PUT payload unit of 25 KB.
    Provisioned,
    /// By GB, each record rounded up to 1 KB.
    OnDemand,
}

/// A stream as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// How it is paid for.
    pub mode: StreamMode,
    /// Whether the service ignores keys and spreads records itself (`RecordDistributionStrategy=AUTO`). Consumers of
    /// such a stream drop aggregated records, so it must never be sent any.
    pub auto_distribution: bool,
    /// The largest record it takes, bytes, partition key included.
    pub max_record: usize,
    /// Its open shards, in order of their ranges.
    pub shards: Vec<ShardRange>,
}

/// Describes a stream.
#[async_trait]
pub trait Describe: Send + Sync {
    /// Asks for the stream's mode and its open shards.
    async fn describe(&self) -> Result<StreamDescription, CallError>;
}
