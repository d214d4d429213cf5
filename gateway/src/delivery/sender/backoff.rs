//! Pauses before another try, with full jitter: anywhere between nothing and an exponentially growing bound, so that many
//! senders that failed together do not come back together.

use std::time::Duration;

/// A pause before try `tries` + 1, of a bound that begins with `base` and doubles up to `cap`.
pub(in crate::delivery) fn full_jitter(base: Duration, tries: u32, cap: Duration) -> Duration {
    let bound = base.saturating_mul(1_u32 << tries.min(20)).min(cap);
    bound.mul_f64(random())
}

/// 0 to 1.
fn random() -> f64 {
    // No randomness to be had: the middle is as good a guess as any.
    getrandom::u64().map_or(0.5, |random| {
        #[allow(clippy::cast_precision_loss)]
        let fraction = (random >> 11) as f64 / (1_u64 << 53) as f64;
        fraction
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_cap_and_fill_the_range_below() {
        let (base, cap) = (Duration::from_millis(50), Duration::from_secs(5));
        let longest = |tries| (0..500).map(|_| full_jitter(base, tries, cap)).max().expect("some");
        assert!(longest(0) <= base && longest(0) > base / 2);
        assert!(longest(3) <= base * 8 && longest(3) > base * 4);
        assert!(longest(40) <= cap && longest(40) > cap / 2);
        assert!((0..500).any(|_| full_jitter(base, 5, cap) < base));
    }
}
