//! `live.*`: what is shown of the events that pass, and the metrics of each minute.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::Size;

/// Bounds of what is remembered to be shown. Everything beyond a bound is counted under `(other)`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveSettings {
    /// How long after its end a minute of event time takes events that are in time; later ones are counted as late, too.
    /// At most `windows_kept`, default 2 min.
    #[serde(with = "humantime_serde")]
    pub window_grace: Duration,
    /// How long the metrics of a minute are kept. Later events are only counted, as dropped. 1 min to 7 d, default 24 h.
    #[serde(with = "humantime_serde")]
    pub windows_kept: Duration,
    /// Memory for the metrics of all minutes and applications. Once it is used up, versions, spells and currencies that
    /// are new in their minute are counted under `(other)`. 1 MiB to 16 GiB, default 64 MiB.
    pub window_memory: Size,
    /// Accepted events a second of each application that the tail shows. 0 to 1,000, default 5.
    pub tail_accepted: u32,
    /// Rejected events and refused batches a second of each application that the tail shows. 0 to 1,000, default 20.
    pub tail_rejected: u32,
    /// Applications that are told apart, each up to 0.6 MiB beside its minutes. 1 to 10,000, default 256.
    pub max_applications: u32,
    /// Event types of an application that are told apart within an hour. 1 to 1,000, default 128.
    pub max_event_types: u32,
    /// Values of `app_version` of an application that are told apart within `windows_kept`. 1 to 1,000, default 32.
    pub max_app_versions: u32,
    /// Values of `spell_id`, and of `currency_type`, of an application that are told apart within `windows_kept`. 1 to
    /// 1,000, default 64.
    pub max_dimension_values: u32,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            window_grace: Duration::from_secs(120),
            windows_kept: Duration::from_secs(86_400),
            window_memory: Size::mib(64),
            tail_accepted: 5,
            tail_rejected: 20,
            max_applications: 256,
            max_event_types: 128,
            max_app_versions: 32,
            max_dimension_values: 64,
        }
    }
}
