//! Whether the lake takes events. The writer and its watch say what is wrong; the door asks for every batch, which costs
//! one load while all is well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, info};

use crate::delivery::Health;
use crate::metrics::{Gauge, GaugeHandle, Metrics};

/// When to try again. The lake looks at the disk twice as often.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What can be wrong, independently of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    /// A write or an fsync failed, and none has succeeded since.
    Writing,
    /// The disk has less free space than must be left.
    Space,
    /// The disk does not answer.
    Stalled,
}

pub(super) struct LakeHealth {
    down: AtomicBool,
    problems: Mutex<[Option<String>; 3]>,
    up: GaugeHandle,
}

impl LakeHealth {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let up = metrics.gauge(Gauge::DestinationUp, &["lake"]);
        up.set(1);
        Self { down: AtomicBool::new(false), problems: Mutex::default(), up }
    }

    /// Says what is wrong, or that nothing is.
    pub(super) fn set(&self, concern: Concern, problem: Option<String>) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let was_down = problems.iter().any(Option::is_some);
        problems[concern as usize] = problem;
        let first = problems.iter().flatten().next();
        self.down.store(first.is_some(), Ordering::Release);
        self.up.set(i64::from(first.is_none()));
        match first {
            Some(problem) if !was_down => error!(problem, "the lake takes no events"),
            None if was_down => info!("the lake takes events again"),
            _ => {}
        }
    }

    /// Whether this is wrong.
    pub(super) fn is_wrong(&self, concern: Concern) -> bool {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)[concern as usize].is_some()
    }

    pub(super) fn get(&self) -> Health {
        if !self.down.load(Ordering::Acquire) {
            return Health::Up;
        }
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problems.iter().flatten().next() {
            Some(problem) => Health::Down { reason: problem.clone(), retry_after: RETRY_AFTER },
            None => Health::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lake_is_up_only_when_nothing_is_wrong() {
        let metrics = Metrics::new();
        let health = LakeHealth::new(&metrics);
        assert_eq!(health.get(), Health::Up);
        health.set(Concern::Space, Some("full".to_owned()));
        health.set(Concern::Writing, Some("broken".to_owned()));
        health.set(Concern::Space, None);
        assert_eq!(health.get(), Health::Down { reason: "broken".to_owned(), retry_after: RETRY_AFTER });
        assert_eq!(metrics.gauge(Gauge::DestinationUp, &["lake"]).get(), 0);
        health.set(Concern::Writing, None);
        assert_eq!(health.get(), Health::Up);
        assert_eq!(metrics.gauge(Gauge::DestinationUp, &["lake"]).get(), 1);
    }
}
