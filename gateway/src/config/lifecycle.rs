//! `lifecycle.*`: start and stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the gateway stops.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleSettings {
    /// From SIGTERM to the exit at most. 1 s to 10 min, default 25 s, which fits into Fargate's 30 s.
    #[serde(with = "humantime_serde")]
    pub drain_deadline: Duration,
    /// How long clients are given, after the notice to move, to end their streams themselves; part of `drain_deadline`.
    /// Default 2 s.
    #[serde(with = "humantime_serde")]
    pub drain_grace: Duration,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        Self { drain_deadline: Duration::from_secs(25), drain_grace: Duration::from_secs(2) }
    }
}
