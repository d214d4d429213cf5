//! `gather.*`: how events are gathered into buckets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// Lanes and buckets.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatherSettings {
    /// Open buckets; 0, the default: one for each core.
    pub lanes: u32,
    /// A bucket closes at this size. Unset, the destination's own: 256 KiB for the lake.
    pub target: Option<Size>,
    /// A bucket closes at the latest this long after its first event. Unset, the destination's own: 2 ms for the lake.
    #[serde(with = "humantime_serde::option")]
    pub linger: Option<Duration>,
}
