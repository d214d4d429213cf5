//! `firehose.*`: delivery to a Firehose delivery stream.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// The delivery stream, how records are packed for it and what they cost.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirehoseSettings {
    /// The delivery stream's name or ARN; its source must be Direct PUT. Empty, the default: not configured.
    pub delivery_stream: String,
    /// The name or ARN of the delivery stream that rejected events go to, where `delivery.bad_rows` is `firehose`. Not
    /// the one that events go to. Empty, the default: not configured.
    pub bad_rows_stream: String,
    /// How long an event may wait for others to share its record. 1 ms to 10 s, default 1 s (the delivery stream itself
    /// buffers for minutes).
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// A record closes at this size. 5 KiB (a billing unit) to 1,024,000 B (the service's limit), default 500 KiB.
    pub target: Size,
    /// Events of a record at most; 0, the default: no limit. Set 500 where the delivery stream has dynamic partitioning
    /// with multi-record de-aggregation: it takes no more apart. 0 to 100,000.
    pub max_events_per_record: u32,
    /// Bytes of a call at most. 64 KiB to 4 MiB (the service's limit), default 2 MiB: a call takes 3 to 5 times its size
    /// in memory while it is in flight.
    pub max_call: Size,
    /// Calls in flight at most. 1 to 256, default 16.
    pub max_calls_in_flight: usize,
    /// How long one attempt of a call may take. 100 ms to 60 s, default 5 s.
    #[serde(with = "humantime_serde")]
    pub attempt_timeout: Duration,
    /// US dollars for a GB. 0 to 1,000, default 0.029 (us-east-1, first tier).
    pub price_gb: f64,
}

impl Default for FirehoseSettings {
    fn default() -> Self {
        Self {
            delivery_stream: String::new(),
            bad_rows_stream: String::new(),
            linger: Duration::from_secs(1),
            target: Size(512_000),
            max_events_per_record: 0,
            max_call: Size::mib(2),
            max_calls_in_flight: 16,
            attempt_timeout: Duration::from_secs(5),
            price_gb: 0.029,
        }
    }
}
