//! `delivery.*`: where events go.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The destination and its deadline.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverySettings {
    /// Where events go. Default `lake`.
    pub destination: DestinationKind,
    /// How long a destination may take before an event's verdict is `unknown` or `retry`. 100 ms to 10 min, default
    /// 15 s (below the drain deadline).
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
}

/// The destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationKind {
    /// A log and Parquet files in the data folder.
    Lake,
    /// Nowhere: events are acknowledged and dropped. For measuring.
    Discard,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self { destination: DestinationKind::Lake, deadline: Duration::from_secs(15) }
    }
}
