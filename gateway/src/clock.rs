//! The one clock. Everything that asks for the time asks here, so that a test can say what time it is.
//!
//! Durations and deadlines use the monotonic clock and survive a wall clock that jumps; only what is written for people
//! or consumers (receive times, partitions) uses the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the monotonic and the wall clock. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    wall_offset_ms: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The machine's clock with a wall time that a test moves: the returned handle holds the offset in milliseconds.
    #[must_use]
    pub fn shifted() -> (Self, Arc<AtomicI64>) {
        let offset = Arc::new(AtomicI64::new(0));
        (Self { wall_offset_ms: Some(Arc::clone(&offset)) }, offset)
    }

    /// Monotonic time, for deadlines and durations.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Wall time in milliseconds since 1970-01-01 UTC.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn wall_ms(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        let offset = self.wall_offset_ms.as_ref().map_or(0, |offset| offset.load(Ordering::Relaxed));
        now.saturating_add(offset)
    }
}
