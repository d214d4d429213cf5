//! `admission.*`: keys, rates and budgets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// Who may come in, how fast, and how much at once.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Events a second of an application without a limit of its own. 1 to 4,294,967,295, default 100,000.
    pub events_per_second: u32,
    /// Events at once of an application without a limit of its own; a larger batch can never pass. Default 200,000.
    pub events_burst: u32,
    /// Bytes of messages a second of an application without a limit of its own. At least 1 KiB, default 64 MiB.
    pub bytes_per_second: Size,
    /// Bytes of messages at once of an application without a limit of its own. At least 1 KiB, default 128 MiB.
    pub bytes_burst: Size,
    /// What events on their way through the gateway may take of memory, at most; a message is charged about three times
    /// its bytes. Default 128 MiB. What the process takes beside it: docs/reliability.md, "Overload and neighbours".
    pub bytes_in_flight: Size,
    /// The part of `bytes_in_flight` that one application may hold. 0.01 to 1, default 0.5.
    pub app_share: f64,
    /// Keys held in the cache. Default 100,000.
    pub key_cache_entries: u64,
    /// Keys known to be unknown held in the cache. Default 100,000.
    pub unknown_key_entries: u64,
    /// How long an unknown key is remembered as such. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub unknown_key_ttl: Duration,
    /// How often keys in use are looked up again; bounds how long a disabled key goes on working. 100 ms to 4 s,
    /// default 2 s.
    #[serde(with = "humantime_serde")]
    pub key_refresh: Duration,
    /// How long a known key goes on working while the registry can't be reached. Default 30 min.
    #[serde(with = "humantime_serde")]
    pub key_stale_grace: Duration,
    /// How long one look-up in the registry may take. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub key_lookup_timeout: Duration,
    /// How long a key that nobody used stays in the cache. Default 10 min.
    #[serde(with = "humantime_serde")]
    pub key_idle: Duration,
    /// How often it is written into the registry when keys in use were used last: one write a key, that nothing waits
    /// for. 1 s to 24 h, or 0 for never; default 60 s.
    #[serde(with = "humantime_serde")]
    pub key_last_used_every: Duration,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            events_per_second: 100_000,
            events_burst: 200_000,
            bytes_per_second: Size::mib(64),
            bytes_burst: Size::mib(128),
            bytes_in_flight: Size::mib(128),
            app_share: 0.5,
            key_cache_entries: 100_000,
            unknown_key_entries: 100_000,
            unknown_key_ttl: Duration::from_secs(2),
            key_refresh: Duration::from_secs(2),
            key_stale_grace: Duration::from_secs(30 * 60),
            key_lookup_timeout: Duration::from_secs(2),
            key_idle: Duration::from_secs(10 * 60),
            key_last_used_every: Duration::from_secs(60),
        }
    }
}
