//! Buckets that are stored in part when their time is over.

use super::*;

/// Events go out as records of their own.
fn plain() -> House {
    let mut house = House::new(1, false);
    house.books = Dispatcher::stream(limits(false), &description(1), false, house.now);
    house
}

/// Stores all but the last record of the only call, from when on nothing is stored until the bucket's time is over.
fn store_all_but_one(house: &mut House) {
    let calls = house.calls_within(Duration::from_secs(1));
    let [call] = &calls[..] else { panic!("{} calls", calls.len()) };
    let mut results = vec![stored(); call.records.len()];
    *results.last_mut().expect("a record") = failed();
    house.answer(call, results);
}

#[test]
fn what_is_stored_of_a_bucket_is_not_given_to_anyone_else() {
    let mut house = plain();
    let _verdict = house.submit(3);
    store_all_but_one(&mut house);
    house.now += DEADLINE;
    let mut step = house.books.step(house.now);
    let (bucket, outcome) = step.expired.pop().expect("its time is over");
    assert!(matches!(outcome, Outcome::Unknown { .. }) && bucket.maybe_stored);
    assert_eq!(bucket.records().collect::<Vec<_>>(), [&b"{\"event\":2}\n"[..]]);
    assert_eq!(bucket.events, 1);
    bucket.ticket.settle(&outcome);
}

#[test]
fn a_kept_bucket_goes_on_with_what_is_missing() {
    let mut house = plain();
    let (bucket, verdict) = house.bucket(3);
    house.books.submit(ClosedBucket { kept: true, maybe_stored: true, ..bucket }, house.now);
    store_all_but_one(&mut house);
    for _ in 0..5 {
        let calls = house.calls_within(DEADLINE * 2);
        let [call] = &calls[..] else { panic!("{} calls", calls.len()) };
        assert_eq!(call.records.iter().map(|record| &record.payload[..]).collect::<Vec<_>>(), [b"{\"event\":2}\n"]);
        house.now += DEADLINE;
        let step = house.books.step(house.now);
        assert!(step.expired.is_empty() && step.calls.is_empty(), "it is on its way");
        house.answer(call, vec![failed()]);
    }
    let calls = house.calls_within(DEADLINE);
    house.answer(&calls[0], vec![stored()]);
    assert_eq!(verdict.now(), Some(Outcome::Stored));
}

#[test]
fn a_kept_bucket_that_waits_is_never_too_late() {
    for keyed in [false, true] {
        let mut house = House::new(1, keyed);
        let (kept, verdict) = house.bucket(3);
        house.books.submit(ClosedBucket { kept: true, maybe_stored: true, ..kept }, house.now);
        // Its time is over before the kept one's, and it may be sent for longer.
        let (other, _) = house.bucket(2);
        let (opened_at, deadline) = (house.now + DEADLINE / 2, other.deadline - Duration::from_millis(1));
        house.books.submit(ClosedBucket { opened_at, deadline, ..other }, house.now);
        house.now += DEADLINE * 29 / 32;
        let mut sent = 0;
        for _ in 0..3 {
            for call in house.calls_within(DEADLINE * 2) {
                sent += call.records.len();
                house.answer(&call, vec![stored(); call.records.len()]);
            }
        }
        assert_eq!((sent, verdict.now()), (2, Some(Outcome::Stored)), "keyed: {keyed}");
    }
}

#[test]
fn at_the_end_a_kept_bucket_is_left_where_it_is() {
    let mut house = plain();
    let (bucket, verdict) = house.bucket(3);
    house.books.submit(ClosedBucket { kept: true, maybe_stored: true, ..bucket }, house.now);
    store_all_but_one(&mut house);
    house.books.close(house.now);
    house.now += DEADLINE;
    assert!(house.step().is_empty());
    assert!(matches!(verdict.now(), Some(Outcome::Unknown { .. })));
}
