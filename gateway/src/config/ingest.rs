//! `ingest.*`: what an event and a batch may be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// Limits of events and batches, and the dedupe window.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestSettings {
    /// Events in one batch. 1 to 30,000 (a verdict for each has to fit into the 4 MiB that stock clients
    /// receive), default 10,000.
    pub max_batch: u32,
    /// Size of one event as stream record. 1 KiB to 1,000 KiB, default 900 KiB.
    pub max_event: Size,
    /// Length of `event_type`, `event_name`, `event_version` and `app_version`. 1 to 4 KiB, default 256 B.
    pub max_name: Size,
    /// How deep `event_data` may be nested. 1 to 512, default 64.
    pub max_depth: u32,
    /// Event ids remembered for dedupe, 64 bytes each; 0 turns dedupe off. At most 100,000,000, default 1,000,000. Of the
    /// ids within the window up to 1 in 200 may be forgotten early.
    pub dedupe_window: u32,
    /// How often the registry is asked for schemas and suppressed players; a change made anywhere holds here so long
    /// after, and deletions of players' data count on 5 s. 100 ms to 4 s, default 2 s.
    #[serde(with = "humantime_serde")]
    pub policy_refresh: Duration,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            max_batch: 10_000,
            max_event: Size::kib(900),
            max_name: Size(256),
            max_depth: 64,
            dedupe_window: 1_000_000,
            policy_refresh: Duration::from_secs(2),
        }
    }
}
