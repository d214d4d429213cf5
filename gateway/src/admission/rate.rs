//! An application's rates: events and bytes a second, as token buckets, charged once a batch.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::refusal::{RateUnit, Refusal};

/// What an application may send, with the gateway's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Events a second.
    pub events_per_second: u32,
    /// Events at once.
    pub events_burst: u32,
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes at once.
    pub bytes_burst: u64,
}

/// Two token buckets. Bytes are counted in KiB, rounded up: governor's cells have a nanosecond's grain, which a bucket
/// of single bytes would exceed at 1 GB/s.
#[derive(Debug)]
pub struct RateLimit {
    rates: Rates,
    events: DefaultDirectRateLimiter,
    kibibytes: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl RateLimit {
    /// Full buckets at these rates; a rate of 0 counts as 1.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let kib = |bytes: u64| at_least_one(u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX));
        let bucket =
            |rate: NonZeroU32, burst: NonZeroU32| RateLimiter::direct(Quota::per_second(rate).allow_burst(burst));
        Self {
            events: bucket(at_least_one(rates.events_per_second), at_least_one(rates.events_burst)),
            kibibytes: bucket(kib(rates.bytes_per_second), kib(rates.bytes_burst)),
            clock: DefaultClock::default(),
            rates,
        }
    }

    /// The rates it holds to.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// Charges a batch. Bytes are charged first; a batch refused for its events has spent its bytes, which errs on the
    /// side of a client that is over its rate anyway.
    ///
    /// # Errors
    /// [`Refusal::OverBurst`] for a batch that can never pass, [`Refusal::OverRate`] with the time until it can.
    pub fn charge(&self, events: u32, bytes: usize) -> Result<(), Refusal> {
        let Rates { events_per_second, events_burst, bytes_per_second, bytes_burst } = self.rates;
        let over_burst = |unit, amount, burst| Refusal::OverBurst { unit, amount, burst };
        // Both are looked at before either is charged: a batch that can never pass must cost nothing.
        if events > events_burst.max(1) {
            return Err(over_burst(RateUnit::Events, u64::from(events), u64::from(events_burst)));
        }
        let kib = at_least_one(u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX));
        self.take(&self.kibibytes, kib, RateUnit::Bytes, bytes_per_second)
            .unwrap_or_else(|| Err(over_burst(RateUnit::Bytes, bytes as u64, bytes_burst)))?;
        self.take(&self.events, at_least_one(events), RateUnit::Events, u64::from(events_per_second))
            .unwrap_or_else(|| Err(over_burst(RateUnit::Events, u64::from(events), u64::from(events_burst))))
    }

    // `None`: more than the bucket ever holds.
    fn take(
        &self,
        bucket: &DefaultDirectRateLimiter,
        cells: NonZeroU32,
        unit: RateUnit,
        limit: u64,
    ) -> Option<Result<(), Refusal>> {
        let decision = bucket.check_n(cells).ok()?;
        Some(decision.map_err(|not_until| {
            let retry_after = not_until.wait_time_from(self.clock.now()).max(Duration::from_millis(1));
            Refusal::OverRate { unit, limit, retry_after }
        }))
    }
}

fn at_least_one(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(events_per_second: u32, events_burst: u32) -> RateLimit {
        RateLimit::new(Rates { events_per_second, events_burst, bytes_per_second: 1 << 20, bytes_burst: 1 << 20 })
    }

    #[test]
    fn a_batch_over_the_rate_is_told_when_it_fits() {
        let limit = limit(100, 200);
        limit.charge(200, 10).expect("the bucket starts full");
        match limit.charge(50, 10).expect_err("the bucket is empty") {
            Refusal::OverRate { unit: RateUnit::Events, limit: 100, retry_after } => {
                assert!(retry_after > Duration::from_millis(300) && retry_after <= Duration::from_millis(500));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_over_the_burst_is_told_that_it_can_never_pass() {
        let limit = limit(100, 200);
        let refusal = limit.charge(201, 10).expect_err("never fits");
        assert_eq!(refusal, Refusal::OverBurst { unit: RateUnit::Events, amount: 201, burst: 200 });
        limit.charge(200, 10).expect("the refused batch cost nothing");
        let refusal = limit.charge(1, (1 << 20) + 1).expect_err("never fits");
        assert!(matches!(refusal, Refusal::OverBurst { unit: RateUnit::Bytes, .. }));
    }

    #[test]
    fn bytes_are_held_to_their_rate_too() {
        let limit = limit(1_000_000, 1_000_000);
        limit.charge(1, 1 << 20).expect("the bucket starts full");
        let refusal = limit.charge(1, 100 << 10).expect_err("the bucket is empty");
        assert!(matches!(refusal, Refusal::OverRate { unit: RateUnit::Bytes, .. }));
    }
}
