//! What is done about keys in use again and again: they are looked up anew, and it is written down when they were used.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission::key_cache::KeyCache;
use crate::config::AdmissionSettings;
use crate::operate::tasks::Tasks;

/// How long a stop may take to write down when keys were used last.
const LAST_USES_PATIENCE: Duration = Duration::from_secs(1);

/// Starts both tasks.
pub(super) fn start(keys: &Arc<KeyCache>, settings: &AdmissionSettings, background: &Tasks, stop: &CancellationToken) {
    let (refreshed, every) = (Arc::clone(keys), settings.key_refresh);
    background.supervise("key refresh", stop, move || refresh(Arc::clone(&refreshed), every));
    if !settings.key_last_used_every.is_zero() {
        let (used, every) = (Arc::clone(keys), settings.key_last_used_every);
        background.supervise("key uses", stop, move || note_uses(Arc::clone(&used), every));
    }
}

/// Writes down what was used since the last time; a stop does not wait long for it.
pub(super) async fn finish(keys: &KeyCache, settings: &AdmissionSettings) {
    if !settings.key_last_used_every.is_zero() {
        let _ = timeout(LAST_USES_PATIENCE, keys.note_uses()).await;
    }
}

async fn refresh(keys: Arc<KeyCache>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        keys.refresh().await;
    }
}

async fn note_uses(keys: Arc<KeyCache>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is now, when nobody has come in yet.
    loop {
        ticks.tick().await;
        keys.note_uses().await;
    }
}
