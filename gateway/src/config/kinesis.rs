//! `kinesis.*`: delivery to a Kinesis data stream.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::units::Size;

/// The stream, how records are packed for it and what they cost.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KinesisSettings {
    /// The stream's name or ARN. Empty, the default: not configured.
    pub stream: String,
    /// How events share a record. Default `kpl`. A stream with `RecordDistributionStrategy=AUTO` gets `none` whatever
    /// is set here: its consumers drop aggregated records.
    pub aggregation: Aggregation,
    /// How records find their shard. Default `sticky`.
    pub routing: Routing,
    /// How long an event may wait for others to share its record. 1 ms to 10 s, default 100 ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Billing units (25 KiB) of a record at most. One is the target; more are used only where events arrive fast
    /// enough to fill them in half the linger. 1 to 8. Not set: 3, so that a full call (`kinesis.max_call`) to eight shards
    /// or more has 32 records, whose MD5s are computed side by side; with keyed routing 8, since one record of a shard is
    /// on its way at a time.
    pub max_units: Option<u32>,
    /// How calls are encoded. Default `auto`.
    pub encoding: Encoding,
    /// Bytes of a call at most, keys included. 64 KiB to 10 MiB (the service's limit), default 2,400 KiB: a call takes 2
    /// to 4 times its size in memory while it is in flight.
    pub max_call: Size,
    /// Bytes for one shard in a call at most. 25 KiB to 1 MiB, default 300 KiB.
    pub max_call_per_shard: Size,
    /// Calls in flight at most. 1 to 256, default 16.
    pub max_calls_in_flight: usize,
    /// Records in flight for a shard at most, with sticky routing; keyed routing has one, or order would be lost. 1 to
    /// 64, default 8.
    pub max_records_in_flight_per_shard: usize,
    /// How long one attempt of a call may take. 100 ms to 60 s, default 5 s.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// How often the stream's shards are listed anew; give or take a fifth. 1 s to 1 h, default 60 s.
    #[serde(with = "humantime_serde")]
    pub refresh_interval: Duration,
    /// US dollars for a million PUT payload units (provisioned streams). 0 to 1,000, default 0.014 (us-east-1).
    pub price_put_unit_per_million: f64,
    /// US dollars for a shard-hour (provisioned streams). 0 to 1,000, default 0.015 (us-east-1).
    pub price_shard_hour: f64,
    /// US dollars for a GB written (on-demand streams). 0 to 1,000, default 0.08 (us-east-1).
    pub price_on_demand_gb: f64,
}

/// How events share a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// KPL's aggregated records, which KCL, Firehose and AWS's de-aggregation libraries take apart.
    Kpl,
    /// One event, one record: for consumers that can't take records apart. Costs many times as much for small events.
    None,
}

/// How records find their shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// The fullest records: any shard takes any event, and there is no order between events.
    Sticky,
    /// By the event's partition key: events of one key keep their order.
    Keyed,
}

/// How calls are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// CBOR to endpoints of AWS, JSON to any other: emulators don't all read CBOR.
    Auto,
    /// CBOR, as AWS's SDK for Java has it: a record's data as it is.
    Cbor,
    /// JSON: a record's data in base64, which is a third more to sign and send.
    Json,
}

impl KinesisSettings {
    /// `max_units`, as set or by the routing.
    #[must_use]
    pub fn most_units(&self) -> u32 {
        self.max_units.unwrap_or(match self.routing {
            Routing::Sticky => 3,
            Routing::Keyed => 8,
        })
    }
}

impl Default for KinesisSettings {
    fn default() -> Self {
        Self {
            stream: String::new(),
            aggregation: Aggregation::Kpl,
            routing: Routing::Sticky,
            linger: Duration::from_millis(100),
            max_units: None,
            encoding: Encoding::Auto,
            max_call: Size::kib(2_400),
            max_call_per_shard: Size::kib(300),
            max_calls_in_flight: 16,
            max_records_in_flight_per_shard: 8,
            attempt_timeout: Duration::from_secs(5),
            refresh_interval: Duration::from_secs(60),
            price_put_unit_per_million: 0.014,
            price_shard_hour: 0.015,
            price_on_demand_gb: 0.08,
        }
    }
}
