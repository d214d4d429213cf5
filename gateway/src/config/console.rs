//! `console.*`: the pages on the operators' listener.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The console.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleSettings {
    /// Whether the operators' listener has pages under `/console`. Default true.
    pub enabled: bool,
    /// How long a sign-in lasts. 1 min to 30 days, default 12 h.
    #[serde(with = "humantime_serde")]
    pub session_lifetime: Duration,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self { enabled: true, session_lifetime: Duration::from_secs(12 * 3_600) }
    }
}
