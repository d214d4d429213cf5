//! The spill's bound: bytes in its files and on their way there.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::GaugeHandle;

/// See the module.
pub(super) struct Space {
    bound: u64,
    used: AtomicU64,
    gauge: GaugeHandle,
}

impl Space {
    pub(super) fn new(bound: u64, gauge: GaugeHandle) -> Self {
        Self { bound, used: AtomicU64::new(0), gauge }
    }

    /// Takes `bytes`, if they are there.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.bound);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok();
        self.show();
        taken
    }

    /// Counts bytes that are there already.
    pub(super) fn count(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        self.show();
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        self.show();
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    fn show(&self) {
        self.gauge.set(i64::try_from(self.used.load(Ordering::Acquire)).unwrap_or(i64::MAX));
    }
}
