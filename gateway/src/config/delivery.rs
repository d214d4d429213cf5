//! `delivery.*`: where events go.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::units::Size;

/// The destination and its deadline.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverySettings {
    /// Where events of applications without a route of their own go. Default `lake`.
    pub destination: DestinationKind,
    /// How long a destination may take before an event's verdict is `unknown` or `retry`. 100 ms to 10 min, default
    /// 15 s (below the drain deadline).
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// What Kinesis or Firehose did not take before its deadline is kept in the data folder up to this size, each apart,
    /// and delivered later; the verdict is `unknown`. 0 (off) to 1 TiB; default 256 MiB, on Fargate 0: a task's disk dies
    /// with the task.
    pub spill: Size,
    /// Where rejected events are kept, to be repaired and sent again. Default `local`.
    pub bad_rows: BadRowsKind,
}

/// Where rejected events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BadRowsKind {
    /// Files in the data folder.
    Local,
    /// The Firehose delivery stream of `firehose.bad_rows_stream`.
    Firehose,
}

/// The destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationKind {
    /// A log and Parquet files in the data folder.
    Lake,
    /// The Kinesis data stream of `kinesis.stream`.
    Kinesis,
    /// The Firehose delivery stream of `firehose.delivery_stream`.
    Firehose,
    /// The Kinesis data stream, and the Firehose delivery stream while Kinesis does not take events.
    KinesisWithFirehoseFallback,
    /// Both; an event is acknowledged when both have it.
    KinesisAndFirehose,
    /// Nowhere: events are acknowledged and dropped. For measuring.
    Discard,
}

impl DestinationKind {
    /// Whether it needs a Kinesis data stream.
    #[must_use]
    pub fn needs_kinesis(self) -> bool {
        matches!(self, Self::Kinesis | Self::KinesisWithFirehoseFallback | Self::KinesisAndFirehose)
    }

    /// Whether it needs a Firehose delivery stream.
    #[must_use]
    pub fn needs_firehose(self) -> bool {
        matches!(self, Self::Firehose | Self::KinesisWithFirehoseFallback | Self::KinesisAndFirehose)
    }
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            destination: DestinationKind::Lake,
            deadline: Duration::from_secs(15),
            spill: Size::mib(256),
            bad_rows: BadRowsKind::Local,
        }
    }
}
