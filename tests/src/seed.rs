//! Seeds: everything that a run leaves to chance follows from one number, which the run prints. Set
//! `HEADGATE_TEST_SEED` to that number to have the same faults at the same places again.

const VARIABLE: &str = "HEADGATE_TEST_SEED";

/// A run's seed, new or from the environment; printed, so that a failure can be had again.
///
/// # Panics
/// If the environment holds no number.
#[must_use]
pub fn seed(test: &str) -> u64 {
    seed_or(test, || getrandom::u64().expect("the system has randomness"))
}

/// As [`seed`], but another one only where the environment has one.
///
/// # Panics
/// As [`seed`].
#[must_use]
pub fn seed_or(test: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.trim().parse().unwrap_or_else(|_| panic!("{VARIABLE}={text} is no number from 0 to 2^64 - 1")),
        Err(_) => otherwise(),
    };
    println!("{test}: {VARIABLE}={seed}");
    seed
}

/// A sequence of numbers that follows from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The sequence of this seed and purpose.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed) ^ mix(purpose.wrapping_add(1)))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A place in something of this length; 0 where it is empty.
    pub fn below(&mut self, len: usize) -> usize {
        usize::try_from(self.any() % (len.max(1) as u64)).expect("below a length")
    }

    /// A number in a range, ends included.
    pub fn within(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        range.start() + self.any() % (range.end() - range.start() + 1)
    }
}

/// A bijection of 64 bits in which every input bit reaches every output bit (SplitMix64's finalizer).
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_sequence_again_and_another_seed_another() {
        let draws = |seed, purpose| {
            let mut draw = Draw::new(seed, purpose);
            std::iter::repeat_with(move || draw.within(10..=1_000_000)).take(50).collect::<Vec<_>>()
        };
        assert_eq!(draws(7, 1), draws(7, 1));
        assert_ne!(draws(7, 1), draws(8, 1));
        assert_ne!(draws(7, 1), draws(7, 2));
        assert!(draws(7, 1).iter().all(|drawn| (10..=1_000_000).contains(drawn)));
    }
}
