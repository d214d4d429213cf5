//! Adds up records as the services bill them.

use std::time::Duration;

use headgate::delivery::packing::{FIREHOSE_UNIT, ON_DEMAND_UNIT, PUT_UNIT};
use serde::Serialize;

/// Records that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Records.
    pub records: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes of the events' stream records.
    pub payload: u64,
    /// Bytes of the records: envelopes and keys, too.
    pub wire: u64,
    /// Units of provisioned streams, of on-demand streams, and of Firehose.
    units: [u64; 3],
    // What buckets stayed open, in all.
    open: Duration,
}

/// A service and its way to bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Kinesis by PUT payload units.
    Provisioned,
    /// Kinesis on demand.
    OnDemand,
    /// Firehose with direct PUT.
    Firehose,
}

/// Payload over what was billed, and where the rest went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Efficiency {
    /// The product of the other two.
    pub total: f64,
    /// Payload over wire.
    pub envelope: f64,
    /// Wire over billed.
    pub rounding: f64,
}

impl Service {
    const ALL: [Self; 3] = [Self::Provisioned, Self::OnDemand, Self::Firehose];

    /// What each record is rounded up to, bytes.
    #[must_use]
    pub fn unit(self) -> usize {
        match self {
            Self::Provisioned => PUT_UNIT,
            Self::OnDemand => ON_DEMAND_UNIT,
            Self::Firehose => FIREHOSE_UNIT,
        }
    }
}

impl Tally {
    /// A record of `wire` bytes, its key counted, that holds `events` events of `payload` bytes.
    pub fn add(&mut self, payload: usize, wire: usize, events: u32) {
        self.records += 1;
        self.events += u64::from(events);
        self.payload += payload as u64;
        self.wire += wire as u64;
        for (units, service) in self.units.iter_mut().zip(Service::ALL) {
            *units += wire.div_ceil(service.unit()) as u64;
        }
    }

    /// The record's bucket was open for so long.
    pub fn note_open(&mut self, open: Duration) {
        self.open += open;
    }

    /// How long a bucket was open, on average.
    #[must_use]
    pub fn mean_open(&self) -> Duration {
        self.open.checked_div(u32::try_from(self.records).unwrap_or(u32::MAX)).unwrap_or_default()
    }

    /// What a service would bill it for.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "below 2^52")]
    pub fn efficiency(&self, service: Service) -> Efficiency {
        let billed = self.units[service as usize] * service.unit() as u64;
        let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
        Efficiency {
            total: ratio(self.payload, billed),
            envelope: ratio(self.payload, self.wire),
            rounding: ratio(self.wire, billed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_rounded_up_by_itself() {
        let mut tally = Tally::default();
        tally.add(300, 301, 1);
        tally.add(25_000, 25_600, 80);
        let provisioned = tally.efficiency(Service::Provisioned);
        assert!((provisioned.total - 25_300.0 / 51_200.0).abs() < 1e-9);
        assert!((provisioned.envelope * provisioned.rounding - provisioned.total).abs() < 1e-9);
        let on_demand = tally.efficiency(Service::OnDemand).total;
        assert!((on_demand - 25_300.0 / (26.0 * 1_024.0)).abs() < 1e-9);
        let firehose = tally.efficiency(Service::Firehose).total;
        assert!((firehose - 25_300.0 / (6.0 * 5_120.0)).abs() < 1e-9);
    }
}
