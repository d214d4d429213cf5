//! `lake.*`: the local lake.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// The log and the Parquet files.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LakeSettings {
    /// A log segment is closed and turned into Parquet at this size; an event takes its values and 27 bytes. 1 MiB to 1 GiB, default 64 MiB.
    pub segment: Size,
    /// A log segment is closed and turned into Parquet at this age. 1 s to 1 h, default 60 s.
    #[serde(with = "humantime_serde")]
    pub segment_age: Duration,
    /// Bytes written between two fsyncs at most. 64 KiB to 256 MiB, default 8 MiB.
    pub sync_batch: Size,
    /// Oldest event time that gets a partition of its own; older events are partitioned by receive time. Default 400 d.
    #[serde(with = "humantime_serde")]
    pub event_time_past: Duration,
    /// Latest event time, from now, that gets a partition of its own. Default 1 d.
    #[serde(with = "humantime_serde")]
    pub event_time_future: Duration,
    /// Free space that must be left on the disk; below it events are refused. Default 256 MiB.
    pub min_free: Size,
    /// Bad rows waiting to be written at most; further ones are dropped and counted. Default 16 MiB.
    pub bad_rows_queue: Size,
    /// Bad rows kept on disk; the oldest files go first. Default 1 GiB.
    pub bad_rows_keep: Size,
}

impl Default for LakeSettings {
    fn default() -> Self {
        Self {
            segment: Size::mib(64),
            segment_age: Duration::from_secs(60),
            sync_batch: Size::mib(8),
            event_time_past: Duration::from_secs(400 * 86_400),
            event_time_future: Duration::from_secs(86_400),
            min_free: Size::mib(256),
            bad_rows_queue: Size::mib(16),
            bad_rows_keep: Size::mib(1024),
        }
    }
}
