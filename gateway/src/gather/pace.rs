//! How many lanes have an open bucket, and of how many units, follows from how fast they fill. Each open bucket costs a
//! part of a unit when its linger is over; larger buckets cost less envelope and fewer records, but only while the linger
//! does not close them first. So a bucket has as many units as fill in half the linger, and another lane is opened only
//! when all of them can have the largest buckets.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::packing::{Packing, Spread};

/// What the last bucket says counts for this part; one says little of a rate.
const SMOOTHING: f64 = 0.25;
/// Lanes are given up only when this much of one is too much: each that is leaves a bucket behind that is not full.
const RELUCTANCE: f64 = 0.5;

/// The pace of a destination's lanes.
pub(super) struct Pace {
    lanes: usize,
    active: AtomicUsize,
    turn: AtomicUsize,
    // How many units fill in half the linger, in all active lanes; the bits of a float.
    fillable: AtomicU64,
}

impl Pace {
    pub(super) fn new(lanes: usize, packing: &Packing) -> Self {
        let active = match packing.spread {
            Spread::Every => lanes,
            Spread::AsFilled => 1,
        };
        let fillable = AtomicU64::new(1.0_f64.to_bits());
        Self { lanes, active: AtomicUsize::new(active), turn: AtomicUsize::new(0), fillable }
    }

    /// How many lanes have open buckets, and which of them is to be taken next.
    pub(super) fn next(&self, affinity: usize, packing: &Packing) -> (usize, usize) {
        let active = self.active.load(Ordering::Relaxed);
        match packing.spread {
            Spread::Every => (active, affinity),
            // Not by affinity: of a few senders two may share a lane while another lane has none.
            Spread::AsFilled if active == 1 => (1, 0),
            Spread::AsFilled => (active, self.turn.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// How many units a bucket may grow to.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn max_units(&self, packing: &Packing) -> usize {
        if packing.max_units == 1 {
            return 1;
        }
        let each = self.fillable() / self.active.load(Ordering::Relaxed).max(1) as f64;
        (each as usize).clamp(1, packing.max_units as usize)
    }

    /// A bucket of `payload` bytes closed `took` after it was opened.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn note(&self, payload: usize, took: Duration, packing: &Packing) {
        if packing.max_units == 1 && packing.spread == Spread::Every {
            return;
        }
        let active = self.active.load(Ordering::Relaxed);
        let units = (payload + packing.overhead) as f64 / packing.unit.max(1) as f64;
        let lingers = took.as_secs_f64().max(1e-6) / packing.linger.as_secs_f64();
        let last = self.fillable();
        // Two threads that note at once lose one of two samples.
        let fillable = last + SMOOTHING * ((active as f64 * units / lingers / 2.0).min(1e6) - last);
        self.fillable.store(fillable.to_bits(), Ordering::Relaxed);
        if packing.spread == Spread::AsFilled {
            let wanted = fillable / f64::from(packing.max_units.max(1));
            if wanted >= active as f64 + 1.0 || wanted < active as f64 - RELUCTANCE {
                self.active.store((wanted as usize).clamp(1, self.lanes), Ordering::Relaxed);
            }
        }
    }

    fn fillable(&self) -> f64 {
        f64::from_bits(self.fillable.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::Format;

    const LINGER: Duration = Duration::from_millis(100);

    fn packing() -> Packing {
        Packing {
            format: Format::Aggregate,
            unit: 25_600,
            overhead: 0,
            max_units: 8,
            max_events: u32::MAX,
            linger: LINGER,
            spread: Spread::AsFilled,
        }
    }

    fn after(pace: &Pace, bytes_per_second: f64) -> (usize, usize) {
        let packing = packing();
        for _ in 0..60 {
            let (active, _) = pace.next(0, &packing);
            let payload = 25_600 * pace.max_units(&packing);
            let took = payload as f64 / (bytes_per_second / active as f64);
            pace.note(payload, Duration::from_secs_f64(took).min(LINGER), &packing);
        }
        (pace.next(0, &packing).0, pace.max_units(&packing))
    }

    #[test]
    fn a_trickle_has_one_lane_and_small_buckets() {
        assert_eq!(after(&Pace::new(8, &packing()), 300_000.0), (1, 1));
    }

    #[test]
    fn a_flood_has_every_lane_and_large_buckets_and_ebbs() {
        let pace = Pace::new(4, &packing());
        assert_eq!(after(&pace, 100_000_000.0), (4, 8));
        assert_eq!(after(&pace, 300_000.0), (1, 1));
    }

    #[test]
    fn between_them_buckets_grow_before_lanes_are_opened() {
        let (active, units) = after(&Pace::new(8, &packing()), 1_600_000.0);
        assert_eq!((active, units), (1, 3));
        let (active, units) = after(&Pace::new(8, &packing()), 4_500_000.0);
        assert_eq!((active, units), (1, 8));
        let (active, units) = after(&Pace::new(8, &packing()), 9_000_000.0);
        assert_eq!((active, units), (2, 8));
    }
}
