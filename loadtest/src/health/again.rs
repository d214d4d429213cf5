//! Looks at a second's lag again at the end of a run.
//!
//! While it goes on, a second is judged when it is over, and batches that leave more than a second late are not in its
//! lag yet: the later the load tester, the less would be seen of it.

use std::time::Duration;

use super::self_limit::{LAG_OK, LAG_OK_OF_LINGER, LAG_SATURATED_OF_LINGER};
use crate::result::{HealthState, Interval};

/// Judges the lag of everything that was to leave in this interval; a judgement only gets worse.
pub(crate) fn look_again(interval: &mut Interval, linger: Duration) {
    let lag = interval.lag.quantile(0.99);
    let fine = LAG_OK.max(linger.mul_f64(LAG_OK_OF_LINGER));
    let state = match lag > fine {
        true if lag > linger.mul_f64(LAG_SATURATED_OF_LINGER) => HealthState::Saturated,
        true => HealthState::Late,
        false => HealthState::Ok,
    };
    let health = &mut interval.health;
    health.lag_p99_us = health.lag_p99_us.max(lag.as_micros() as u64);
    health.state = health.state.max(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_left_after_the_look_make_their_second_saturated() {
        let linger = Duration::from_millis(100);
        let judged = |lag_ms: u64| {
            let mut interval = Interval::default();
            interval.lag.record(Duration::from_millis(1), 90);
            interval.lag.record(Duration::from_millis(lag_ms), 10);
            look_again(&mut interval, linger);
            interval.health.state
        };
        assert_eq!(judged(2), HealthState::Ok);
        assert_eq!(judged(15), HealthState::Late);
        assert_eq!(judged(1_500), HealthState::Saturated);
    }

    #[test]
    fn a_saturated_second_stays_saturated() {
        let mut interval = Interval::default();
        interval.health.state = HealthState::Saturated;
        look_again(&mut interval, Duration::from_millis(100));
        assert_eq!(interval.health.state, HealthState::Saturated);
    }
}
