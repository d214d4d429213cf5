//! What a sender is made with.

use std::sync::Arc;
use std::time::Duration;

use super::cost::Billing;
use super::dispatch::Limits;
use super::shards::ShardLimits;
use super::wire::{Describe, StreamDescription, StreamMode, Wire};
use crate::clock::Clock;
use crate::gather::{ClosedBucket, Packing};
use crate::metrics::Metrics;
use crate::operate::tasks::Tasks;

/// What a sender is made with.
pub struct SenderParts {
    /// The service.
    pub wire: Arc<dyn Wire>,
    /// How buckets are packed for it.
    pub packing: Packing,
    /// Its limits.
    pub limits: SenderLimits,
    /// How it bills.
    pub billing: Billing,
    /// The time.
    pub clock: Clock,
    /// What runs its calls.
    pub tasks: Tasks,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

/// What a sender keeps to.
#[derive(Clone, Copy, Debug)]
pub struct SenderLimits {
    /// Bytes of a call, keys included.
    pub bytes_a_call: usize,
    /// Calls in flight.
    pub calls_in_flight: usize,
    /// Records in flight for a shard.
    pub records_in_flight_a_shard: usize,
    /// Bytes for one shard in a call.
    pub bytes_a_call_a_shard: usize,
    /// How long one attempt of a call may take.
    pub attempt_timeout: Duration,
}

/// What makes a Kinesis stream different from Firehose.
pub struct StreamParts {
    /// Asked for the stream's shards.
    pub describe: Arc<dyn Describe>,
    /// The stream as it is at the start.
    pub stream: StreamDescription,
    /// Whether records may be aggregated.
    pub aggregates: bool,
    /// Whether events of one key stay in order.
    pub keyed: bool,
    /// How often the shards are listed anew.
    pub refresh_interval: Duration,
    /// How it bills, by the stream's mode.
    pub billing_of: fn(StreamMode, &StreamPrices) -> Billing,
    /// US dollars.
    pub prices: StreamPrices,
}

/// What a stream costs, US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamPrices {
    /// A million PUT payload units of a provisioned stream.
    pub put_units_million: f64,
    /// A GB of an on-demand stream.
    pub on_demand_gb: f64,
}

/// Keeps buckets that could not be delivered in time, to deliver them later.
///
/// A bucket with a lane comes with one [`crate::gather::LaneOrder::keep`] done: buckets behind it wait until whoever keeps
/// it says [`crate::gather::LaneOrder::unkeep`], when it is delivered or given up.
pub trait Keeper: Send + Sync {
    /// Takes a bucket whose time is over and answers for it from now on. Does not block.
    ///
    /// # Errors
    /// The bucket, where it can't be kept.
    fn keep(&self, bucket: ClosedBucket) -> Result<(), Box<ClosedBucket>>;
}

impl SenderLimits {
    pub(super) fn for_dispatch(self, keyed: bool, lines_together: bool) -> Limits {
        Limits {
            records_a_call: RECORDS_A_CALL,
            bytes_a_call: self.bytes_a_call,
            calls_in_flight: self.calls_in_flight,
            shard: ShardLimits {
                records_in_flight: self.records_in_flight_a_shard,
                bytes_a_call: self.bytes_a_call_a_shard,
            },
            attempt_timeout: self.attempt_timeout,
            keyed,
            lines_together,
        }
    }
}

/// PutRecords and PutRecordBatch take 500 records at most.
const RECORDS_A_CALL: usize = 500;
