//! Latencies in a log-linear histogram: exact below 128 µs, then 64 buckets for each doubling, up to 10 minutes.
//!
//! A value read back is off by at most 1/128. The buckets are those of Goose 0.19 (`times_us` in its JSON reports), so
//! that both can be laid over one another. Merging adds counts, and so is exact, in any order.

use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SUB_BITS: u32 = 6;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
/// Values below are their own bucket.
const EXACT: u64 = SUB_BUCKETS << 1;
/// The longest latency that is told apart from longer ones: 10 minutes.
const LONGEST_US: u64 = 600_000_000;
const BUCKETS: usize = bucket_of(LONGEST_US) + 1;

/// The bucket of a value in microseconds.
#[must_use]
pub const fn bucket_of(us: u64) -> usize {
    if us < EXACT {
        return us as usize;
    }
    let shift = us.ilog2() - SUB_BITS;
    (EXACT + (shift as u64 - 1) * SUB_BUCKETS + ((us >> shift) - SUB_BUCKETS)) as usize
}

/// The smallest value of a bucket, in microseconds.
#[must_use]
pub const fn bucket_floor(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let shift = (bucket - EXACT) / SUB_BUCKETS + 1;
    ((bucket - EXACT) % SUB_BUCKETS + SUB_BUCKETS) << shift
}

/// A histogram of latencies.
#[derive(Clone, Default)]
pub struct Latencies {
    /// The buckets from `first` on, as far as they are in use or were made room for.
    buckets: Vec<u64>,
    first: usize,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

/// Percentiles of latencies; zero where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half were faster.
    pub p50: Duration,
    /// 90 % were faster.
    pub p90: Duration,
    /// 99 % were faster.
    pub p99: Duration,
    /// 99.9 % were faster.
    pub p999: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Latencies {
    /// Records the same latency for so many events; longer than 10 minutes counts as 10 minutes.
    #[inline]
    pub fn record(&mut self, latency: Duration, events: u64) {
        self.record_us(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), events);
    }

    /// The same, in microseconds.
    #[inline]
    pub fn record_us(&mut self, us: u64, events: u64) {
        let us = us.min(LONGEST_US);
        let bucket = bucket_of(us);
        match self.buckets.get_mut(bucket.wrapping_sub(self.first)) {
            Some(held) => *held += events,
            None => *self.grow(bucket, bucket) += events,
        }
        self.count += events;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(events));
        if events > 0 {
            self.max_us = self.max_us.max(us);
        }
    }

    /// One that records without making room: 13 KiB, for where latencies are recorded rather than kept.
    pub(crate) fn roomy() -> Self {
        Self { buckets: vec![0; BUCKETS], ..Self::default() }
    }

    /// Makes room for the buckets of this range, and hands out the first of them.
    #[cold]
    fn grow(&mut self, from: usize, to: usize) -> &mut u64 {
        if self.buckets.is_empty() {
            self.first = from;
        }
        let below = self.first.saturating_sub(from);
        self.buckets.splice(0..0, std::iter::repeat_n(0, below));
        self.first -= below;
        let most = self.buckets.len().max(to + 1 - self.first);
        self.buckets.resize(most, 0);
        &mut self.buckets[from - self.first]
    }

    /// Adds what another one holds.
    pub fn add(&mut self, other: &Self) {
        let Some((from, _)) = other.nonzero().next() else { return };
        let to = other.nonzero().last().map_or(from, |(bucket, _)| bucket);
        self.grow(from, to);
        for (bucket, events) in other.nonzero() {
            self.buckets[bucket - self.first] += events;
        }
        self.count += other.count;
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many latencies are recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together, in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The slowest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us)
    }

    /// The mean; zero where there is none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.sum_us.checked_div(self.count).unwrap_or(0))
    }

    /// The latency below which this share of all lies, 0 to 1: the middle of its bucket.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = ((share.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut below = 0;
        for (bucket, events) in self.nonzero() {
            below += events;
            if below >= rank {
                let (floor, next) = (bucket_floor(bucket), bucket_floor(bucket + 1));
                return Duration::from_micros(((floor + next) / 2).min(self.max_us));
            }
        }
        Duration::from_micros(self.max_us)
    }

    /// The usual percentiles.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.max(),
        }
    }

    /// The buckets that hold something, ascending, with their counts; see [`bucket_floor`].
    pub fn nonzero(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let held = self.buckets.iter().enumerate().filter(|(_, events)| **events > 0);
        held.map(|(place, events)| (self.first + place, *events))
    }

    /// How many are at most this long, bucket by bucket: a bucket counts if its middle is.
    #[must_use]
    pub fn at_most(&self, latency: Duration) -> u64 {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.nonzero()
            .take_while(|(bucket, _)| (bucket_floor(*bucket) + bucket_floor(bucket + 1)) / 2 <= us)
            .map(|(_, events)| events)
            .sum()
    }
}

impl PartialEq for Latencies {
    fn eq(&self, other: &Self) -> bool {
        let totals = |one: &Self| (one.count, one.sum_us, one.max_us);
        totals(self) == totals(other) && self.nonzero().eq(other.nonzero())
    }
}

impl Eq for Latencies {}

impl fmt::Debug for Latencies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} latencies, {:?}", self.count, self.percentiles())
    }
}

/// `{"sum_us", "max_us", "buckets": [gap, count, gap, count, …]}`: each gap is the distance to the bucket before.
#[derive(Serialize, Deserialize)]
struct Sparse {
    sum_us: u64,
    max_us: u64,
    buckets: Vec<u64>,
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut before = 0;
        let mut buckets = Vec::new();
        for (bucket, events) in self.nonzero() {
            buckets.extend([(bucket - before) as u64, events]);
            before = bucket;
        }
        Sparse { sum_us: self.sum_us, max_us: self.max_us, buckets }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sparse = Sparse::deserialize(deserializer)?;
        let mut latencies = Self { sum_us: sparse.sum_us, max_us: sparse.max_us, ..Self::default() };
        let mut bucket = 0_u64;
        let (pairs, rest) = sparse.buckets.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a histogram's buckets are pairs of a gap and a count"));
        }
        for [gap, events] in pairs {
            bucket = bucket.saturating_add(*gap);
            if bucket >= BUCKETS as u64 {
                return Err(D::Error::custom(format!("a histogram has {BUCKETS} buckets, not {bucket}")));
            }
            *latencies.grow(bucket as usize, bucket as usize) += events;
            latencies.count = latencies.count.saturating_add(*events);
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_and_are_at_most_a_64th_wide() {
        for bucket in 0..BUCKETS {
            let (floor, next) = (bucket_floor(bucket), bucket_floor(bucket + 1));
            assert_eq!((bucket_of(floor), bucket_of(next - 1)), (bucket, bucket));
            assert!(next > floor && (next - floor == 1 || (next - floor) * SUB_BUCKETS <= floor));
        }
    }

    #[test]
    fn percentiles_are_within_a_128th() {
        let mut one = Latencies::default();
        let mut other = Latencies::default();
        for millis in 1..=1_000 {
            let half = if millis % 2 == 0 { &mut one } else { &mut other };
            half.record(Duration::from_millis(millis), 10);
        }
        one.add(&other);
        assert_eq!(one.count(), 10_000);
        let percentiles = one.percentiles();
        for (found, expected) in [(percentiles.p50, 500), (percentiles.p99, 990), (percentiles.max, 1_000)] {
            let ratio = found.as_secs_f64() * 1e3 / f64::from(expected);
            assert!((0.992..1.008).contains(&ratio), "{found:?} for {expected} ms");
        }
        assert_eq!(one.mean(), Duration::from_micros(500_500));
        one.record(Duration::from_secs(86_400), 1);
        assert_eq!(one.percentiles().max.as_secs(), 600);
        one.clear();
        assert_eq!(one.percentiles(), Percentiles::default());
    }

    // Where latencies are kept, only the buckets in use take memory; where they are recorded, all have room.
    #[test]
    fn what_is_kept_is_small_and_the_same() {
        let mut recorded = Latencies::roomy();
        let mut kept = Latencies::default();
        for us in [900, 70_000, 1_000, 128, 5] {
            recorded.record_us(us, 2);
            kept.record_us(us, 2);
        }
        assert_eq!(recorded, kept);
        let mut sum = Latencies::default();
        sum.add(&recorded);
        assert_eq!(sum, kept);
        assert!(sum.buckets.len() < BUCKETS / 2, "{} buckets", sum.buckets.len());
    }

    // For `cargo test --release -- --ignored what_a_record_costs --nocapture`; time decides no test.
    #[test]
    #[ignore = "a measurement"]
    fn what_a_record_costs() {
        const RECORDS: u64 = 100_000_000;
        let mut latencies = Latencies::roomy();
        let begun = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let mut us = 1_u64;
        for _ in 0..RECORDS {
            us = us.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            latencies.record_us(us >> 44, 1);
        }
        let ended = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let ns = (ended.tv_sec - begun.tv_sec) * 1_000_000_000 + (ended.tv_nsec - begun.tv_nsec);
        println!("{:.2} ns for a record, draw included", ns as f64 / RECORDS as f64);
        assert_eq!(latencies.count(), RECORDS);
    }

    #[test]
    fn json_keeps_every_count() {
        let mut latencies = Latencies::default();
        for us in [0, 1, 127, 128, 40_000, 40_001, 7_000_000] {
            latencies.record_us(us, 3);
        }
        let text = serde_json::to_string(&latencies).expect("serialises");
        assert_eq!(serde_json::from_str::<Latencies>(&text).expect("parses"), latencies);
        for bad in [r#"{"sum_us":0,"max_us":0,"buckets":[1]}"#, r#"{"sum_us":0,"max_us":0,"buckets":[99999,1]}"#] {
            assert!(serde_json::from_str::<Latencies>(bad).is_err());
        }
    }
}
