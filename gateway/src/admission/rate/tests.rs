use std::time::Duration;

use super::*;

fn rates(events_per_second: u32, events_burst: u32) -> Rates {
    Rates { events_per_second, events_burst, bytes_per_second: 1 << 20, bytes_burst: 1 << 20 }
}

fn wait(refused: Result<(), Refusal>) -> Duration {
    match refused.expect_err("over the rate") {
        Refusal::OverRate { retry_after, .. } => retry_after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_over_the_rate_is_told_when_it_fits() {
    let limit = RateLimit::new(rates(100, 200));
    limit.charge(200, 10).expect("the bucket starts full");
    match limit.charge(50, 10).expect_err("the bucket is empty") {
        Refusal::OverRate { unit: RateUnit::Events, limit: 100, retry_after } => {
            assert!(retry_after > Duration::from_millis(300) && retry_after <= Duration::from_millis(500));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_that_comes_back_when_it_was_told_passes() {
    let start = Clock::system().now();
    for portion in [1.0, 0.37, 0.011] {
        let mut limit = Timed::new(rates(1_777, 300), Portion::of_both(portion), start);
        limit.charge(300, 1, start).expect("the bucket starts full");
        let wait = wait(limit.charge(123, 1, start));
        let early = start + wait.mul_f64(0.99);
        assert!(limit.charge(123, 1, early).is_err(), "not before its time, with {portion}");
        limit.charge(123, 1, start + wait).expect("at its time");
    }
}

#[test]
fn a_batch_over_the_burst_is_told_that_it_can_never_pass() {
    let limit = RateLimit::new(rates(100, 200));
    let refusal = limit.charge(201, 10).expect_err("never fits");
    assert_eq!(refusal, Refusal::OverBurst { unit: RateUnit::Events, amount: 201, burst: 200 });
    limit.charge(200, 10).expect("the refused batch cost nothing");
    let refusal = limit.charge(1, (1 << 20) + 1).expect_err("never fits");
    assert!(matches!(refusal, Refusal::OverBurst { unit: RateUnit::Bytes, .. }));
}

#[test]
fn bytes_are_held_to_their_rate_too() {
    let limit = RateLimit::new(rates(1_000_000, 1_000_000));
    limit.charge(1, 1 << 20).expect("the bucket starts full");
    let refusal = limit.charge(1, 100 << 10).expect_err("the bucket is empty");
    assert!(matches!(refusal, Refusal::OverRate { unit: RateUnit::Bytes, .. }));
}

#[test]
fn a_batch_refused_for_its_events_has_not_spent_its_bytes() {
    let start = Clock::system().now();
    let mut limit = Timed::new(rates(1, 10), Portion::WHOLE, start);
    limit.charge(10, 1, start).expect("the bucket starts full");
    for _ in 0..100 {
        assert!(limit.charge(10, 1 << 19, start).is_err());
    }
    let later = start + Duration::from_secs(1);
    limit.charge(1, 1 << 20, later).expect("all bytes are there");
}

/// A portion that changes a thousand times a second: if a change filled a bucket, everything would get through.
#[test]
fn changing_the_portion_adds_nothing() {
    let start = Clock::system().now();
    let mut limit = Timed::new(rates(1_000, 2_000), Portion::WHOLE, start);
    let mut accepted = 0;
    for millisecond in 0..10_000 {
        let now = start + Duration::from_millis(millisecond);
        limit.set_portion(Portion::of_both(if millisecond % 2 == 0 { 1.0 } else { 0.5 }), now);
        accepted += (0..10).filter(|_| limit.charge(1, 1, now).is_ok()).count();
    }
    // The first change halves the burst of 2,000; then three quarters of the rate, on average.
    assert!((7_500..=8_600).contains(&accepted), "{accepted}");
}

#[test]
fn a_batch_larger_than_the_portions_burst_passes_and_is_paid_back() {
    let start = Clock::system().now();
    let mut limit = Timed::new(rates(1_000, 2_000), Portion::of_both(0.05), start);
    let mut accepted = 0;
    for millisecond in 0..60_000 {
        let now = start + Duration::from_millis(millisecond);
        accepted += if limit.charge(500, 1, now).is_ok() { 500 } else { 0 };
    }
    // 50 a second for a minute, and the burst of 100 to start with; one batch more or less.
    assert!((2_600..=3_600).contains(&accepted), "{accepted}");
}

#[test]
fn a_raised_burst_adds_its_difference_and_a_lowered_one_keeps_nothing_beyond_it() {
    let limit = RateLimit::new(rates(1, 10));
    limit.charge(10, 1).expect("the bucket starts full");
    limit.set_rates(rates(1, 15));
    assert!(limit.charge(6, 1).is_err(), "what was used stays used");
    limit.charge(5, 1).expect("the difference is there");
    limit.set_rates(rates(1, 1_000));
    limit.set_rates(rates(1, 10));
    limit.charge(10, 1).expect("a bucket of ten");
    assert!(limit.charge(1, 1).is_err(), "holds ten");
}

#[test]
fn the_highest_rates_are_kept_exactly() {
    let start = Clock::system().now();
    let rates =
        Rates { events_per_second: u32::MAX, events_burst: u32::MAX, bytes_per_second: 1 << 40, bytes_burst: 1 << 40 };
    let mut limit = Timed::new(rates, Portion::WHOLE, start);
    limit.charge(u32::MAX, 1 << 40, start).expect("the bucket starts full");
    let mut accepted = 0_u64;
    // A batch of 10,000 every two microseconds is 5e9 a second.
    for step in 1..=500_000 {
        let now = start + Duration::from_micros(2) * step;
        accepted += if limit.charge(10_000, 1_000_000, now).is_ok() { 10_000 } else { 0 };
    }
    // Events bind before bytes do.
    let expected = u64::from(u32::MAX);
    assert!(accepted.abs_diff(expected) < expected / 10_000, "{accepted} of {expected}");
}

#[test]
fn a_clock_that_seems_to_stand_still_or_go_back_adds_nothing() {
    let start = Clock::system().now();
    let later = start + Duration::from_secs(1);
    let mut limit = Timed::new(rates(100, 100), Portion::WHOLE, start);
    limit.charge(100, 1, later).expect("the bucket starts full");
    assert!(limit.charge(1, 1, start).is_err());
    let second = wait(limit.charge(100, 1, later)).as_secs_f64();
    assert!((second - 1.0).abs() < 1e-6, "{second}");
}
