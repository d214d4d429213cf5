//! How many lanes have an open bucket, and of how many units, follows from how fast they fill. Each open bucket costs a
//! part of a unit when its linger is over; larger buckets cost less envelope, but only while the linger does not close
//! them first. So there are as many as fill in half the linger.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::packing::{Packing, Spread};

/// The pace of a destination's lanes.
pub(super) struct Pace {
    lanes: usize,
    active: AtomicUsize,
    turn: AtomicUsize,
    // How many units fill in half the linger, in all active lanes.
    fillable: AtomicUsize,
}

impl Pace {
    pub(super) fn new(lanes: usize, packing: &Packing) -> Self {
        let active = match packing.spread {
            Spread::Every => lanes,
            Spread::AsFilled => 1,
        };
        Self { lanes, active: AtomicUsize::new(active), turn: AtomicUsize::new(0), fillable: AtomicUsize::new(1) }
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
    pub(super) fn max_units(&self, packing: &Packing) -> usize {
        if packing.max_units == 1 {
            return 1;
        }
        let each = self.fillable.load(Ordering::Relaxed) / self.active.load(Ordering::Relaxed).max(1);
        each.clamp(1, packing.max_units as usize)
    }

    /// A bucket of `payload` bytes closed `took` after it was opened.
    pub(super) fn note(&self, payload: usize, took: Duration, packing: &Packing) {
        if packing.max_units == 1 && packing.spread == Spread::Every {
            return;
        }
        let active = self.active.load(Ordering::Relaxed);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let fillable = {
            let units = (payload + packing.overhead) as f64 / packing.unit.max(1) as f64;
            let lingers = took.as_secs_f64().max(1e-6) / packing.linger.as_secs_f64();
            // Up to a factor of two of the last: one burst, or one bucket that lingered, says little.
            let fillable = (active as f64 * units / lingers / 2.0).min(1e6) as usize;
            let last = self.fillable.load(Ordering::Relaxed);
            fillable.clamp(last / 2, last * 2).max(1)
        };
        self.fillable.store(fillable, Ordering::Relaxed);
        if packing.spread == Spread::AsFilled {
            self.active.store(fillable.clamp(1, self.lanes), Ordering::Relaxed);
        }
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
        for _ in 0..20 {
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
    fn between_them_each_lane_fills_a_unit_in_half_the_linger() {
        let (active, units) = after(&Pace::new(8, &packing()), 1_500_000.0);
        assert_eq!((active, units), (2, 1));
    }
}
