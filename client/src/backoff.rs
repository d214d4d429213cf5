//! How long to wait before something is tried again: exponential, with full jitter, bounded, and never less than a hint.
//!
//! Full jitter, anything from nothing to twice as much as the time before, so that many clients that lost their gateway at
//! once do not come back at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// Those who got the same hint come back within a fifth of it more.
const HINT_SPREAD: f64 = 0.2;
/// A hint beyond this is taken for it: it would be no hint but an end.
const HINT_MAX: Duration = Duration::from_secs(5 * 60);

/// Draws waits.
pub(crate) struct Backoff {
    longest: Duration,
    random: u64,
}

impl Backoff {
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn new(longest: Duration) -> Result<Self, getrandom::Error> {
        Ok(Self { longest, random: getrandom::u64()? })
    }

    /// The wait after so many failures in a row, counted from 0.
    pub(crate) fn wait(&mut self, failures: u32, hint: Option<Duration>) -> Duration {
        let most = FIRST.saturating_mul(1 << failures.min(16)).min(self.longest);
        let jittered = most.mul_f64(self.unit());
        match hint {
            Some(hint) => {
                let hint = hint.min(HINT_MAX).mul_f64(1.0 + HINT_SPREAD * self.unit());
                // What comes back again and again waits longer than it is told.
                if failures == 0 { hint } else { hint.max(jittered) }
            }
            None => jittered,
        }
    }

    /// 0 to 1, by splitmix64: it has to differ between clients, not to be secret.
    fn unit(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(failures: u32, hint: Option<Duration>) -> (Duration, Duration) {
        let mut backoff = Backoff::new(Duration::from_secs(10)).expect("random numbers");
        let waits: Vec<Duration> = (0..2_000).map(|_| backoff.wait(failures, hint)).collect();
        (*waits.iter().min().expect("many"), *waits.iter().max().expect("many"))
    }

    #[test]
    fn waits_grow_to_their_bound_and_are_spread_over_all_of_it() {
        for (failures, most_ms) in [(0, 100), (1, 200), (3, 800), (7, 10_000), (u32::MAX, 10_000)] {
            let (least, most) = waits(failures, None);
            let bound = Duration::from_millis(most_ms);
            assert!(most <= bound && most > bound.mul_f64(0.9), "{failures}: {most:?}");
            assert!(least < bound.mul_f64(0.1), "{failures}: {least:?}");
        }
    }

    #[test]
    fn nothing_comes_back_before_its_hint_and_not_all_at_once() {
        let hint = Duration::from_secs(2);
        for failures in [0, 2, 20] {
            let (least, most) = waits(failures, Some(hint));
            assert!(least >= hint, "{failures}: {least:?}");
            assert!(most > hint.mul_f64(1.1), "{failures}: {most:?}");
        }
        assert!(waits(0, Some(hint)).1 <= hint.mul_f64(1.2));
        assert!(waits(20, Some(hint)).1 <= Duration::from_secs(10));
        assert!(waits(0, Some(Duration::MAX)).1 <= HINT_MAX.mul_f64(1.2));
    }
}
