//! Slows down whoever guesses: after a few wrong tokens from an address, each further one costs twice the wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Wrong tokens that cost nothing: people mistype.
const FREE: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without a wrong token an address is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// Past so many addresses all of them wait as one: a crowd of addresses must not be a way around.
const MAX_ADDRESSES: usize = 1_024;

/// Counts wrong tokens by address.
pub(super) struct SlowDown {
    failures: Mutex<HashMap<Option<IpAddr>, Failures>>,
    clock: Clock,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None | Some(0) => Duration::ZERO,
            Some(more) => LONGEST_WAIT.min(FIRST_WAIT * 2_u32.saturating_pow(more - 1)),
        }
    }
}

impl SlowDown {
    pub(super) fn new(clock: &Clock) -> Self {
        Self { failures: Mutex::default(), clock: clock.clone() }
    }

    /// How long this address has to wait before a token of its is looked at; zero: not at all.
    pub(super) fn wait(&self, address: IpAddr) -> Duration {
        let now = self.clock.now();
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |known: &Failures| known.wait().saturating_sub(now.saturating_duration_since(known.last));
        let known = failures.get(&Some(address)).or_else(|| failures.get(&None));
        known.map_or(Duration::ZERO, left)
    }

    /// A token was wrong.
    pub(super) fn failed(&self, address: IpAddr) {
        let now = self.clock.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, known| now.saturating_duration_since(known.last) < FORGOTTEN);
        let full = failures.len() >= MAX_ADDRESSES && !failures.contains_key(&Some(address));
        let known = failures.entry((!full).then_some(address)).or_insert(Failures { count: 0, last: now });
        known.count = known.count.saturating_add(1);
        known.last = now;
    }

    /// A token was right.
    pub(super) fn succeeded(&self, address: IpAddr) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&Some(address));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn other(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))
    }

    #[test]
    fn a_few_mistakes_are_free_and_then_each_costs_more_up_to_a_minute() {
        let slow_down = SlowDown::new(&Clock::system());
        let mut waits = Vec::new();
        for _ in 0..15 {
            slow_down.failed(ADDRESS);
            waits.push(slow_down.wait(ADDRESS).as_millis().div_ceil(1_000));
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]);
        assert_eq!(slow_down.wait(other(0)), Duration::ZERO, "others do not pay for it");
        slow_down.succeeded(ADDRESS);
        assert_eq!(slow_down.wait(ADDRESS), Duration::ZERO);
    }

    #[test]
    fn a_crowd_of_addresses_waits_as_one() {
        let slow_down = SlowDown::new(&Clock::system());
        let many = u32::try_from(MAX_ADDRESSES).expect("fits") + 10;
        (0..many).for_each(|n| slow_down.failed(other(n)));
        assert!(slow_down.wait(other(many + 1)) > Duration::ZERO);
        let kept = slow_down.failures.lock().expect("not poisoned").len();
        assert_eq!(kept, MAX_ADDRESSES + 1);
    }
}
