//! What delivery costs, as ratios, so that a loss has a name.
//!
//! Efficiency is payload / billed: bytes of stream records that the service took, over billed units times their size. 1 is
//! the limit that nobody reaches. It is the product of *envelope* (payload / wire: framing and keys), *rounding* (wire /
//! billed: units begun and not filled) and *duplication* (records that were stored for sure, over those that may have been
//! stored in all, those of ambiguous calls counted).

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::metrics::{Counter, CounterHandle, Metrics, Ratio, RatioHandle};

/// How a service bills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Billing {
    /// Each record is rounded up to a multiple of this, bytes: Kinesis 25,600 (provisioned) or 1,024 (on demand), Firehose
    /// 5,120.
    pub unit: usize,
    /// US dollars a unit.
    pub price: f64,
}

impl Billing {
    /// How many units a record takes.
    #[must_use]
    pub fn units(&self, wire: usize) -> u64 {
        wire.div_ceil(self.unit.max(1)).max(1) as u64
    }
}

#[derive(Clone, Copy, Default)]
struct Sums {
    payload: u64,
    wire: u64,
    units: u64,
    billed: u64,
    events: u64,
    stored: u64,
    ambiguous: u64,
}

/// Adds up what was stored.
pub(super) struct Cost {
    sums: Mutex<Sums>,
    payload: CounterHandle,
    wire: CounterHandle,
    units: CounterHandle,
    efficiency: [RatioHandle; 4],
    dollars: RatioHandle,
}

impl Cost {
    pub(super) fn new(destination: &str, metrics: &Metrics) -> Self {
        let counter = |counter| metrics.counter(counter, &[destination]);
        let part = |part| metrics.ratio(Ratio::DeliveryEfficiency, &[destination, part]);
        Self {
            sums: Mutex::default(),
            payload: counter(Counter::DeliveryPayloadBytes),
            wire: counter(Counter::DeliveryWireBytes),
            units: counter(Counter::DeliveryBilledUnits),
            efficiency: [part("total"), part("envelope"), part("rounding"), part("duplication")],
            dollars: metrics.ratio(Ratio::DeliveryDollars, &[destination]),
        }
    }

    /// A record was stored.
    pub(super) fn stored(&self, billing: &Billing, payload: usize, wire: usize, events: u32) {
        let units = billing.units(wire);
        self.payload.inc_by(payload as u64);
        self.wire.inc_by(wire as u64);
        self.units.inc_by(units);
        let mut sums = self.lock();
        sums.payload += payload as u64;
        sums.wire += wire as u64;
        sums.units += units;
        sums.billed += units * billing.unit as u64;
        sums.events += u64::from(events);
        sums.stored += 1;
    }

    /// A record may have been stored, and is sent once more.
    pub(super) fn ambiguous(&self) {
        self.lock().ambiguous += 1;
    }

    /// Brings the ratios up to date.
    pub(super) fn show(&self, billing: &Billing) {
        let sums = *self.lock();
        if sums.stored == 0 {
            return;
        }
        #[allow(clippy::cast_precision_loss)]
        let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
        let envelope = ratio(sums.payload, sums.wire);
        let rounding = ratio(sums.wire, sums.billed);
        let duplication = ratio(sums.stored, sums.stored + sums.ambiguous);
        let [total, by_envelope, by_rounding, by_duplication] = &self.efficiency;
        total.set(envelope * rounding * duplication);
        by_envelope.set(envelope);
        by_rounding.set(rounding);
        by_duplication.set(duplication);
        #[allow(clippy::cast_precision_loss)]
        self.dollars.set(sums.units as f64 / duplication * billing.price / sums.events as f64 * 1e6);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_has_a_name() {
        let metrics = Metrics::new();
        let cost = Cost::new("kinesis", &metrics);
        let billing = Billing { unit: 25_600, price: 0.014 / 1e6 };
        cost.stored(&billing, 24_000, 25_000, 80);
        cost.stored(&billing, 24_000, 25_000, 80);
        cost.ambiguous();
        cost.show(&billing);
        let part = |part| metrics.ratio(Ratio::DeliveryEfficiency, &["kinesis", part]).get();
        assert!((part("envelope") - 0.96).abs() < 1e-9);
        assert!((part("rounding") - 25_000.0 / 25_600.0).abs() < 1e-9);
        assert!((part("duplication") - 2.0 / 3.0).abs() < 1e-9);
        assert!((part("total") - 48_000.0 / 51_200.0 * 2.0 / 3.0).abs() < 1e-9);
        let dollars = metrics.ratio(Ratio::DeliveryDollars, &["kinesis"]).get();
        assert!((dollars - 3.0 * 0.014 / 160.0).abs() < 1e-9, "{dollars}");
    }
}
