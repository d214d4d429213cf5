//! Counts and logs refusals. A destination that is down refuses every batch: of one kind, at most one line a second is
//! logged, with how many were not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admission::refusal::{LogLevel, Refusal};
use crate::clock::Clock;
use crate::metrics::{Counter, CounterHandle, Metrics};

const LOG_EVERY: Duration = Duration::from_secs(1);

/// Every kind of refusal.
pub(super) struct Refusals(HashMap<&'static str, Kind>);

struct Kind {
    counter: CounterHandle,
    logged: Mutex<Logged>,
}

#[derive(Default)]
struct Logged {
    last: Option<Instant>,
    since: u64,
}

impl Refusals {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let kind = |refusal: Refusal| {
            let label = refusal.row().label;
            (label, Kind { counter: metrics.counter(Counter::Refusals, &[label]), logged: Mutex::default() })
        };
        Self(Refusal::examples().into_iter().map(kind).collect())
    }

    pub(super) fn refused(&self, refusal: &Refusal, clock: &Clock) {
        let row = refusal.row();
        let Some(kind) = self.0.get(row.label) else { return };
        kind.counter.inc();
        if row.log == LogLevel::Debug {
            tracing::debug!(refusal = row.label, "{refusal}");
            return;
        }
        let Some(not_logged) = kind.may_log(clock) else { return };
        match row.log {
            LogLevel::Error => tracing::error!(refusal = row.label, not_logged, "{refusal}"),
            LogLevel::Warn | LogLevel::Debug => tracing::warn!(refusal = row.label, not_logged, "{refusal}"),
        }
    }
}

impl Kind {
    /// Whether it is time for a line, and how many refusals went without one since the last.
    fn may_log(&self, clock: &Clock) -> Option<u64> {
        let now = clock.now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.last.is_some_and(|last| now.saturating_duration_since(last) < LOG_EVERY) {
            logged.since += 1;
            return None;
        }
        logged.last = Some(now);
        Some(std::mem::take(&mut logged.since))
    }
}
