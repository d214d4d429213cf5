//! How long to wait before trying again: exponential, capped, with full jitter, so that retries neither pound on what
//! is down nor come in step.

use std::time::Duration;

pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait: uniform between nothing and the ceiling, which doubles with every failure in a row.
    pub(super) fn next(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        // Without randomness half of the ceiling is as good a wait as any.
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        ceiling.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    fn ceiling(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_cap_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        for failures in 0..100_u32 {
            let ceiling = backoff.ceiling();
            assert_eq!(ceiling, Duration::from_millis(20 * 2_u64.pow(failures.min(10))).min(Duration::from_secs(1)));
            assert!(backoff.next() <= ceiling);
        }
        backoff.reset();
        assert_eq!(backoff.ceiling(), Duration::from_millis(20));
    }
}
