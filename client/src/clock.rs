//! The one clock: the machine's. Durations and deadlines use monotonic time and survive a wall clock that jumps; wall time
//! is what events are stamped with.

use std::time::{Duration, Instant, SystemTime};

/// A deadline further away is none.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Monotonic time.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The instant that lies so far ahead.
pub(crate) fn deadline(within: Duration) -> Instant {
    now() + within.min(FAR)
}
