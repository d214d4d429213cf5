//! A shard's write limit: two token buckets, bytes and records, that hold one second's worth. A record larger than the
//! bucket passes when the bucket is full and leaves a debt, as Kinesis's burst allowance for large records does.

use tokio::time::Instant;

const BYTES_PER_SECOND: f64 = 1_048_576.0;
const RECORDS_PER_SECOND: f64 = 1_000.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Throttle {
    multiple: f64,
    bytes: f64,
    records: f64,
    refilled: Instant,
}

impl Throttle {
    pub(super) fn new(multiple: f64, now: Instant) -> Self {
        Self { multiple, bytes: BYTES_PER_SECOND * multiple, records: RECORDS_PER_SECOND * multiple, refilled: now }
    }

    /// Whether a record of this size is let through now.
    pub(super) fn admit(&mut self, bytes: usize, now: Instant) -> bool {
        let (most_bytes, most_records) = (BYTES_PER_SECOND * self.multiple, RECORDS_PER_SECOND * self.multiple);
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.bytes = (self.bytes + seconds * most_bytes).min(most_bytes);
        self.records = (self.records + seconds * most_records).min(most_records);
        self.refilled = now;
        let admitted = self.bytes >= (bytes as f64).min(most_bytes) && self.records >= 1.0;
        if admitted {
            self.bytes -= bytes as f64;
            self.records -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_shard_takes_a_thousand_records_and_a_mebibyte_a_second() {
        let start = Instant::now();
        let mut throttle = Throttle::new(1.0, start);
        assert_eq!((0..2_000).filter(|_| throttle.admit(100, start)).count(), 1_000);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..2_000).filter(|_| throttle.admit(100, later)).count(), 500);
        let mut throttle = Throttle::new(2.0, start);
        assert_eq!((0..100).filter(|_| throttle.admit(64 << 10, start)).count(), 32);
    }

    #[test]
    fn a_record_larger_than_the_bucket_passes_and_is_paid_for_afterwards() {
        let start = Instant::now();
        let mut throttle = Throttle::new(1.0, start);
        assert!(throttle.admit(3 << 20, start));
        assert!(!throttle.admit(1, start + Duration::from_secs(1)));
        assert!(throttle.admit(1 << 20, start + Duration::from_secs(3)));
    }
}
