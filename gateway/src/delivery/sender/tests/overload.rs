//! More arrives than a shard takes.

use super::*;

/// Of a shard, a second (`throttle`).
const SHARD_BYTES: f64 = 1_048_576.0;
const PERIOD: Duration = Duration::from_millis(50);

/// Twice as much as the shard takes, for several deadlines, with a service that needs a while to answer. What is sent is
/// answered in time, so the shard's rate is spent on events that are acknowledged; the rest is told to be sent again, and
/// nothing is in doubt.
#[test]
fn what_is_sent_can_be_answered_and_the_rest_is_surely_not_stored() {
    let mut house = House::new(1, false);
    let start = house.now;
    let (mut waiting, mut out): (Vec<Arc<Verdict>>, Vec<(Instant, Call)>) = (Vec::new(), Vec::new());
    let (mut stored_bytes, mut refused) = (0, 0);
    while house.now < start + DEADLINE * 3 {
        // 2,500 events are about 55 kB.
        waiting.extend((0..2).map(|_| house.submit(2_500)));
        let (due, later) = std::mem::take(&mut out).into_iter().partition(|(at, _)| *at <= house.now);
        out = later;
        let due: Vec<(Instant, Call)> = due;
        for (_, call) in due {
            stored_bytes += call.records.iter().map(|record| record.payload.len()).sum::<usize>();
            house.answer(&call, vec![stored(); call.records.len()]);
        }
        for call in house.step() {
            assert!(call.timeout >= DEADLINE / 8, "an answer has time to come: {:?}", call.timeout);
            out.push((house.now + Duration::from_millis(200), call));
        }
        house.now += PERIOD;
        waiting.retain(|verdict| match verdict.now() {
            None => true,
            Some(Outcome::Stored) => false,
            Some(Outcome::NotStored { .. }) => {
                refused += 1;
                false
            }
            Some(outcome) => panic!("{outcome:?}"),
        });
    }
    assert!(refused > 100, "it was overloaded: {refused} buckets");
    let rate = stored_bytes as f64 / (house.now - start).as_secs_f64();
    assert!(rate > SHARD_BYTES * 0.9, "{rate} bytes a second were stored and acknowledged");
}

#[test]
fn no_call_is_waited_for_beyond_the_deadlines_of_its_records() {
    let mut house = House::new(1, false);
    let verdict = house.submit(1);
    let (deadline, mut calls) = (house.now + DEADLINE, 0);
    while verdict.now().is_none() {
        for call in house.calls_within(DEADLINE) {
            assert!(house.now + call.timeout <= deadline, "{:?} at {:?}", call.timeout, deadline - house.now);
            calls += 1;
            house.fail(&call, CallFailure::Throttled);
        }
    }
    assert!(calls > 3, "{calls}");
}

#[test]
fn when_every_shard_throttles_and_buckets_wait_long_new_batches_are_refused() {
    let mut house = House::new(2, false);
    assert_eq!(house.books.not_now(house.now), None);
    let start = house.now;
    while house.books.not_now(house.now).is_none() {
        assert!(house.now < start + DEADLINE, "it goes on taking what it can't deliver in time");
        let _ = house.submit(2);
        for call in house.step() {
            house.answer(&call, vec![EntryResult::Throttled; call.records.len()]);
        }
        house.now += Duration::from_millis(20);
    }
    assert!(house.now > start + DEADLINE / 4);
    let NotNow { reason, overload, .. } = house.books.not_now(house.now).expect("down");
    assert!(overload);
    assert!(reason.contains("throttled"), "{reason}");
}

#[test]
fn when_answers_are_slow_and_buckets_wait_long_new_batches_are_refused() {
    let mut house = House::new(1, false);
    let (start, mut out) = (house.now, Vec::new());
    while house.books.not_now(house.now).is_none() {
        assert!(house.now < start + DEADLINE, "it goes on taking what it can't deliver in time");
        let _ = house.submit(2);
        out.extend(house.step());
        house.now += Duration::from_millis(200);
    }
    assert!(house.now > start + DEADLINE / 4);
    let NotNow { reason, overload, .. } = house.books.not_now(house.now).expect("down");
    assert!(overload);
    assert!(reason.contains("keep up"), "{reason}");
    // The queue gets shorter, and batches are taken again.
    while let Some(call) = out.pop() {
        house.answer(&call, vec![stored(); call.records.len()]);
        out.extend(house.step());
    }
    assert_eq!(house.books.not_now(house.now), None);
}

/// A shard's rate is kept to, so that it never throttles.
#[test]
fn when_the_rate_of_every_shard_is_spent_and_buckets_wait_long_new_batches_are_refused() {
    let mut house = House::new(2, false);
    let start = house.now;
    while house.books.not_now(house.now).is_none() {
        assert!(house.now < start + DEADLINE, "it goes on taking what it can't deliver in time");
        // About four times what the two shards take.
        (0..8).for_each(|_| drop(house.submit(2_500)));
        for call in house.step() {
            house.answer(&call, vec![stored(); call.records.len()]);
        }
        house.now += PERIOD;
    }
    assert!(house.now > start + DEADLINE / 4);
    let NotNow { reason, retry_after, overload } = house.books.not_now(house.now).expect("down");
    assert!(overload);
    assert!(reason.contains("keep up") && retry_after > Duration::ZERO, "{reason}");
}

/// All that still waits is old, and refusing until it is gone would leave the shards with nothing to do.
#[test]
fn batches_are_taken_again_while_the_shards_have_something_to_do() {
    let mut house = House::new(2, false);
    let start = house.now;
    // Whether batches are refused once as much is sent as may be.
    let after = |house: &mut House, buckets: u32| {
        (0..buckets).for_each(|_| drop(house.submit(2_500)));
        for call in house.step() {
            house.answer(&call, vec![stored(); call.records.len()]);
        }
        let refused = house.books.not_now(house.now).is_some();
        house.now += PERIOD;
        refused
    };
    while !after(&mut house, 5) {
        assert!(house.now < start + DEADLINE, "it goes on taking what it can't deliver in time");
    }
    while after(&mut house, 0) {}
    let left = house.books.queued_bytes() as f64 / (2.0 * SHARD_BYTES);
    assert!((2.0..4.5).contains(&left), "what waits takes {left} s, of a quarter of the time: 3.75 s");
}

/// Of records that fail by chance a few have no luck again and again; that is no reason to refuse everything.
#[test]
fn where_records_are_throttled_by_chance_batches_are_taken() {
    let mut house = House::new(4, false);
    let start = house.now;
    let (mut coin, mut refused, mut oldest) = (0x9e37_79b9_7f4a_7c15_u64, 0, Duration::ZERO);
    let mut waiting: Vec<(Instant, Arc<Verdict>)> = Vec::new();
    while house.now < start + DEADLINE * 3 {
        waiting.extend((0..4).map(|_| (house.now, house.submit(50))));
        for call in house.step() {
            let results = (0..call.records.len()).map(|_| {
                coin ^= coin << 13;
                coin ^= coin >> 7;
                coin ^= coin << 17;
                if coin >> 63 == 0 { stored() } else { EntryResult::Throttled }
            });
            let results = results.collect();
            house.answer(&call, results);
        }
        refused += u32::from(house.books.not_now(house.now).is_some());
        waiting.retain(|(_, verdict)| verdict.now().is_none());
        oldest = waiting.iter().map(|(at, _)| house.now - *at).fold(oldest, Duration::max);
        house.now += PERIOD;
    }
    println!("the oldest had waited for {oldest:?}, at {refused} of 900 looks batches were refused");
    // Pauses are drawn anew each time.
    assert!(oldest > DEADLINE / 3, "one of them had no luck: {oldest:?}");
    assert!(refused < 45, "{refused}");
}

/// Two seconds' worth of kept buckets, and half of what the shard takes beside them.
#[test]
fn what_is_kept_comes_after_what_somebody_waits_for_and_is_not_forgotten() {
    let mut house = House::new(1, false);
    let kept: Vec<Arc<Verdict>> = (0..40)
        .map(|_| {
            let (bucket, verdict) = house.bucket(2_500);
            house.books.submit(ClosedBucket { kept: true, maybe_stored: true, ..bucket }, house.now);
            verdict
        })
        .collect();
    let start = house.now;
    let (mut waiting, mut out): (Vec<(Instant, Arc<Verdict>)>, Vec<Call>) = (Vec::new(), Vec::new());
    while house.now < start + Duration::from_secs(10) {
        assert_eq!(house.books.not_now(house.now), None);
        waiting.push((house.now, house.submit(1_200)));
        for call in std::mem::take(&mut out) {
            house.answer(&call, vec![stored(); call.records.len()]);
        }
        out = house.step();
        house.now += PERIOD;
        waiting.retain(|(_, verdict)| verdict.now() != Some(Outcome::Stored));
        for (since, verdict) in &waiting {
            assert!(house.now < *since + Duration::from_secs(1), "{:?} after a second", verdict.now());
        }
    }
    assert!(kept.iter().all(|verdict| verdict.now() == Some(Outcome::Stored)));
}

#[test]
fn while_kept_buckets_go_first_in_every_lane_new_batches_are_refused() {
    let mut house = House::new(2, true);
    house.books.offer_expired();
    let lanes: Vec<(Arc<LaneOrder>, LaneHold)> =
        shards(2).into_iter().map(|shard| LaneOrder::for_tests(shard, Vec::new())).collect();
    for (_, hold) in &lanes {
        let (bucket, _) = house.bucket(1);
        house.books.submit(ClosedBucket { lane: Some(hold.clone()), ..bucket }, house.now);
    }
    // Nobody answers.
    let _calls = house.step();
    house.now += DEADLINE;
    let _ = house.step();
    let orders: Vec<&Arc<LaneOrder>> = lanes.iter().map(|(order, _)| order).collect();
    assert!(orders.iter().all(|order| order.has_kept()));
    let NotNow { reason, overload, .. } = house.books.not_now(house.now).expect("nothing is taken");
    assert!(overload);
    assert!(reason.contains("kept"), "{reason}");
    // One lane can go on.
    orders[0].unkeep();
    assert_eq!(house.books.not_now(house.now), None);
    orders[1].unkeep();
    let _ = house.step();
    assert_eq!(house.books.not_now(house.now), None);
}
