//! The promises of the sender's books, with answers that the test gives.

mod overload;
mod partly;

use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_proto::aggregate::begin_user_record;

use super::dispatch::{Call, Dispatcher, Limits, NotNow, Step};
use super::shards::ShardLimits;
use super::wire::{CallError, CallFailure, EntryResult, StreamDescription, StreamMode};
use crate::clock::Clock;
use crate::gather::testing::{Verdict, bucket};
use crate::gather::{
    BucketSink, ClosedBucket, FailureReason, Format, InFlight, LaneHold, LaneOrder, Outcome, ShardRange,
};

const DEADLINE: Duration = Duration::from_secs(15);

fn limits(keyed: bool) -> Limits {
    Limits {
        records_a_call: 500,
        bytes_a_call: 2 << 20,
        calls_in_flight: 16,
        shard: ShardLimits { records_in_flight: 4, bytes_a_call: 256 << 10 },
        attempt_timeout: Duration::from_secs(5),
        keyed,
        lines_together: false,
    }
}

fn shards(count: u32) -> Vec<ShardRange> {
    let width = u128::MAX / u128::from(count);
    let range = |n: u32| ShardRange {
        id: format!("shardId-{n}").into(),
        start: width * u128::from(n) + u128::from(n > 0),
        end: if n + 1 == count { u128::MAX } else { width * u128::from(n + 1) },
    };
    (0..count).map(range).collect()
}

fn description(count: u32) -> StreamDescription {
    StreamDescription {
        mode: StreamMode::Provisioned,
        auto_distribution: false,
        max_record: 1 << 20,
        shards: shards(count),
    }
}

/// Books, a clock that the test moves, and what became of the buckets.
struct House {
    books: Dispatcher,
    in_flight: Arc<InFlight>,
    now: Instant,
}

impl House {
    fn new(shards: u32, keyed: bool) -> Self {
        let now = Clock::system().now();
        let books = Dispatcher::stream(limits(keyed), &description(shards), true, now);
        Self { books, in_flight: InFlight::new(), now }
    }

    fn bucket(&self, events: u32) -> (ClosedBucket, Arc<Verdict>) {
        let mut payload = Vec::new();
        for event in 0..events {
            let line = format!("{{\"event\":{event}}}\n");
            begin_user_record(&mut payload, line.len());
            payload.extend_from_slice(line.as_bytes());
        }
        let (bucket, verdict) = bucket(&self.in_flight, payload, events, self.now + DEADLINE);
        (ClosedBucket { format: Format::Aggregate, opened_at: self.now, ..bucket }, verdict)
    }

    fn submit(&mut self, events: u32) -> Arc<Verdict> {
        let (bucket, verdict) = self.bucket(events);
        self.books.submit(bucket, self.now);
        verdict
    }

    /// Steps, settling what is settled; the calls to be made.
    fn step(&mut self) -> Vec<Call> {
        let step = self.books.step(self.now);
        Self::settle(step)
    }

    fn settle(step: Step) -> Vec<Call> {
        for (ticket, outcome) in step.settled {
            ticket.settle(&outcome);
        }
        for (bucket, outcome) in step.expired {
            bucket.ticket.settle(&outcome);
        }
        for mut bucket in step.overflowed {
            bucket.overflow.take().expect("it has somewhere to go").submit(bucket);
        }
        step.calls
    }

    fn answer(&mut self, call: &Call, results: Vec<EntryResult>) {
        let step = self.books.answered(call.id, Ok(results), self.now);
        assert!(Self::settle(step).is_empty(), "an answer starts no calls by itself");
    }

    fn fail(&mut self, call: &Call, failure: CallFailure) {
        let error = CallError { failure, code: "test".into(), message: "the test says so".to_owned() };
        let step = self.books.answered(call.id, Err(error), self.now);
        assert!(Self::settle(step).is_empty());
    }

    /// Moves the clock until there are calls, at most for `limit`.
    fn calls_within(&mut self, limit: Duration) -> Vec<Call> {
        let until = self.now + limit;
        loop {
            let step = self.books.step(self.now);
            let wake_at = step.wake_at;
            let calls = Self::settle(step);
            match wake_at {
                _ if !calls.is_empty() => return calls,
                Some(at) if at <= until => self.now = at.max(self.now + Duration::from_micros(1)),
                _ => {
                    self.now = until;
                    return Vec::new();
                }
            }
        }
    }
}

fn stored() -> EntryResult {
    EntryResult::Stored { shard: None }
}

fn failed() -> EntryResult {
    EntryResult::Failed { code: "InternalFailure".into() }
}

#[test]
fn only_the_records_that_failed_are_sent_again() {
    let mut house = House::new(4, false);
    let verdicts: Vec<_> = (0..10).map(|_| house.submit(3)).collect();
    let calls = house.step();
    let [call] = calls.as_slice() else { panic!("one call for all of them") };
    assert_eq!(call.records.len(), 10);
    assert!(call.records.iter().all(|record| record.sealed));
    let payloads: Vec<_> = call.records.iter().map(|record| record.payload.clone()).collect();
    let results = (0..10).map(|n| if n == 2 || n == 7 { failed() } else { stored() }).collect();
    house.answer(call, results);
    let open: Vec<_> = (0..10).filter(|n| verdicts[*n].now().is_none()).collect();
    assert_eq!(open, [2, 7]);
    let mut again = Vec::new();
    while again.len() < 2 {
        let calls = house.calls_within(Duration::from_secs(1));
        assert!(!calls.is_empty(), "what failed is sent again");
        for call in calls {
            again.extend(call.records.iter().map(|record| record.payload.clone()));
            house.answer(&call, vec![stored(); call.records.len()]);
        }
    }
    again.sort_by_key(|payload| payload.as_ptr());
    let mut expected = vec![payloads[2].clone(), payloads[7].clone()];
    expected.sort_by_key(|payload| payload.as_ptr());
    assert_eq!(again, expected);
    assert!(verdicts.iter().all(|verdict| verdict.now() == Some(Outcome::Stored)));
    assert!(house.books.is_empty() && house.books.queued_bytes() == 0 && house.in_flight.is_empty());
}

#[test]
fn what_surely_was_not_stored_is_to_be_sent_again_by_the_client() {
    let mut house = House::new(1, false);
    let verdict = house.submit(3);
    let (start, mut last) = (house.now, house.now);
    while verdict.now().is_none() {
        for call in house.calls_within(DEADLINE) {
            last = house.now;
            house.answer(&call, vec![failed(); call.records.len()]);
        }
    }
    let tried = last - start;
    assert!(tried > DEADLINE / 2 && tried < DEADLINE * 7 / 8, "as long as an answer can come in time: {tried:?}");
    assert!(matches!(verdict.now(), Some(Outcome::NotStored { .. })), "{:?}", verdict.now());
}

#[test]
fn what_may_have_been_stored_is_unknown_when_its_time_is_over() {
    for ambiguous in ["an unanswered call", "a results array of another length", "a call that hangs"] {
        let mut house = House::new(1, false);
        let verdict = house.submit(3);
        let call = house.step().pop().expect("a call");
        match ambiguous {
            "an unanswered call" => house.fail(&call, CallFailure::Ambiguous),
            "a results array of another length" => house.answer(&call, vec![stored(), stored()]),
            _ => {}
        }
        while verdict.now().is_none() {
            for call in house.calls_within(DEADLINE) {
                house.fail(&call, CallFailure::Unreachable);
            }
        }
        assert!(matches!(verdict.now(), Some(Outcome::Unknown { .. })), "{ambiguous}: {:?}", verdict.now());
        assert!(house.books.is_empty());
        house.answer(&call, vec![stored()]);
    }
}

#[test]
fn an_ambiguous_record_that_is_stored_after_all_is_acknowledged() {
    let mut house = House::new(1, false);
    let verdict = house.submit(3);
    let call = house.step().pop().expect("a call");
    house.fail(&call, CallFailure::Ambiguous);
    let call = house.calls_within(Duration::from_secs(1)).pop().expect("it is sent again");
    house.answer(&call, vec![stored()]);
    assert_eq!(verdict.now(), Some(Outcome::Stored));
}

#[test]
fn what_cannot_pass_fails_at_once_and_closes_the_door() {
    let mut house = House::new(1, false);
    let verdict = house.submit(3);
    let call = house.step().pop().expect("a call");
    house.fail(&call, CallFailure::Permanent);
    assert!(matches!(verdict.now(), Some(Outcome::NotStored { .. })));
    let NotNow { reason, retry_after, overload } = house.books.not_now(house.now).expect("nothing is taken");
    assert!(!overload);
    assert!(reason.contains("the test says so") && retry_after > Duration::ZERO, "{reason}");
    house.now += Duration::from_secs(3);
    assert_eq!(house.books.not_now(house.now), None, "a batch has to come in to find out");
}

#[test]
fn a_service_that_fails_gets_single_probes_and_heals() {
    let mut house = House::new(4, false);
    let verdicts: Vec<_> = (0..5).map(|_| house.submit(3)).collect();
    let start = house.now;
    let mut calls = 0;
    let until = start + Duration::from_secs(10);
    while house.now < until {
        for call in house.calls_within(until - house.now) {
            calls += 1;
            house.fail(&call, CallFailure::Unreachable);
        }
    }
    assert!((5..25).contains(&calls), "{calls} calls in ten seconds");
    assert!(house.books.not_now(house.now).is_some());
    for call in house.calls_within(Duration::from_secs(3)) {
        house.answer(&call, vec![stored(); call.records.len()]);
    }
    while verdicts.iter().any(|verdict| verdict.now().is_none()) {
        for call in house.calls_within(Duration::from_secs(3)) {
            house.answer(&call, vec![stored(); call.records.len()]);
        }
    }
    assert!(verdicts.iter().all(|verdict| verdict.now() == Some(Outcome::Stored)));
    assert_eq!(house.books.not_now(house.now), None);
}

#[test]
fn a_record_that_its_shard_throttles_goes_to_another_one_at_once() {
    let mut house = House::new(2, false);
    let verdict = house.submit(3);
    let call = house.step().pop().expect("a call");
    let first = call.records[0].hash_key.expect("streams have hash keys");
    house.answer(&call, vec![EntryResult::Throttled]);
    let call = house.step().pop().expect("at once");
    let second = call.records[0].hash_key.expect("streams have hash keys");
    let owner = |key| shards(2).iter().position(|shard| shard.owns(key));
    assert_ne!(owner(first), owner(second));
    house.answer(&call, vec![stored()]);
    assert_eq!(verdict.now(), Some(Outcome::Stored));
}

/// Two lanes; the head of the first fails again and again.
#[test]
fn in_a_keyed_lane_nothing_overtakes_and_other_lanes_go_on() {
    let mut house = House::new(2, true);
    let lanes: Vec<LaneHold> = shards(2).into_iter().map(|shard| LaneOrder::for_tests(shard, Vec::new()).1).collect();
    let mut verdicts = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        for (lane, verdicts) in lanes.iter().zip(&mut verdicts) {
            let (bucket, verdict) = house.bucket(3);
            house.books.submit(ClosedBucket { lane: Some(lane.clone()), ..bucket }, house.now);
            verdicts.push(verdict);
        }
    }
    let mut attempts = 0;
    let mut order = [Vec::new(), Vec::new()];
    while verdicts.iter().flatten().any(|verdict| verdict.now().is_none()) {
        for call in house.calls_within(Duration::from_secs(5)) {
            assert!(call.records.len() <= 2, "one record of a lane at a time");
            let lane_of = |key| usize::from(!shards(2)[0].owns(key));
            let mut results = Vec::new();
            for record in &call.records {
                let lane = lane_of(record.hash_key.expect("keyed"));
                attempts += usize::from(lane == 0);
                order[lane].push(record.payload.as_ptr());
                results.push(if lane == 0 && attempts <= 4 { failed() } else { stored() });
            }
            house.answer(&call, results);
            if attempts == 4 {
                assert!(verdicts[0].iter().all(|verdict| verdict.now().is_none()));
            }
        }
    }
    order[0].dedup();
    assert_eq!(order[0].len(), 3, "in the first lane each followed the one before: {:?}", order[0]);
    assert_eq!(order[1].len(), 3);
}

#[test]
fn a_lane_that_took_over_keys_waits_for_the_lanes_that_had_them() {
    let mut house = House::new(1, true);
    let parent = shards(1).remove(0);
    let (before, open) = LaneOrder::for_tests(parent, Vec::new());
    let (old, old_verdict) = house.bucket(2);
    house.books.submit(ClosedBucket { lane: Some(open.clone()), ..old }, house.now);
    let old_call = house.step().pop().expect("the old lane sends");
    drop(open);
    house.books.follow(&description(2), true, house.now);
    let (_, child) = LaneOrder::for_tests(shards(2).remove(1), vec![before]);
    let (new, new_verdict) = house.bucket(2);
    house.books.submit(ClosedBucket { lane: Some(child.clone()), ..new }, house.now);
    assert!(house.calls_within(Duration::from_secs(1)).is_empty(), "the old lane's bucket is on its way");
    house.answer(&old_call, vec![stored()]);
    assert_eq!(old_verdict.now(), Some(Outcome::Stored));
    let call = house.calls_within(Duration::from_secs(1)).pop().expect("now it may go");
    house.answer(&call, vec![stored()]);
    assert_eq!(new_verdict.now(), Some(Outcome::Stored));
}

#[test]
fn a_stream_that_spreads_records_itself_never_gets_aggregates() {
    let mut house = House::new(4, false);
    house.books.follow(&StreamDescription { auto_distribution: true, ..description(4) }, true, house.now);
    let verdict = house.submit(3);
    let call = house.step().pop().expect("a call");
    let records: Vec<_> = call.records.iter().map(|record| (&record.payload[..], record.sealed)).collect();
    let lines = [&b"{\"event\":0}\n"[..], b"{\"event\":1}\n", b"{\"event\":2}\n"];
    assert_eq!(records, lines.map(|line| (line, false)));
    assert!(call.records.iter().all(|record| record.hash_key.is_none()));
    house.answer(&call, vec![stored(), failed(), stored()]);
    assert_eq!(verdict.now(), None, "one of its records is not there");
    let call = house.calls_within(Duration::from_secs(1)).pop().expect("that one is sent again");
    assert_eq!(call.records.len(), 1);
    assert_eq!(&call.records[0].payload[..], lines[1]);
    house.answer(&call, vec![stored()]);
    assert_eq!(verdict.now(), Some(Outcome::Stored));
}

#[test]
fn a_single_event_travels_without_an_envelope() {
    let mut house = House::new(1, false);
    let _verdict = house.submit(1);
    let call = house.step().pop().expect("a call");
    assert_eq!((&call.records[0].payload[..], call.records[0].sealed), (&b"{\"event\":0}\n"[..], false));
    assert!(call.records[0].hash_key.is_some());
}

#[test]
fn calls_keep_to_the_services_limits() {
    let mut house = House::new(64, false);
    let verdicts: Vec<_> = (0..1_200).map(|_| house.submit(2)).collect();
    let mut sent = 0;
    while sent < verdicts.len() {
        for call in house.calls_within(Duration::from_secs(60)) {
            assert!(call.records.len() <= 500);
            assert!(call.records.iter().map(|record| record.payload.len() + 70).sum::<usize>() <= 2 << 20);
            sent += call.records.len();
            house.answer(&call, vec![stored(); call.records.len()]);
        }
    }
    assert!(verdicts.iter().all(|verdict| verdict.now() == Some(Outcome::Stored)));
}

#[test]
fn one_shard_has_no_more_than_its_records_in_flight() {
    let mut house = House::new(1, false);
    for _ in 0..10 {
        let _ = house.submit(2);
    }
    let calls = house.step();
    assert_eq!(calls.iter().map(|call| call.records.len()).sum::<usize>(), 4);
}

/// Takes everything.
#[derive(Default)]
struct Other(std::sync::Mutex<Vec<ClosedBucket>>);

impl BucketSink for Other {
    fn submit(&self, bucket: ClosedBucket) {
        self.0.lock().expect("unpoisoned").push(bucket);
    }
}

#[test]
fn a_bucket_with_somewhere_else_to_go_goes_there_while_the_service_fails() {
    let mut house = House::new(1, false);
    let other = Arc::new(Other::default());
    let with_overflow = |house: &House| {
        let (bucket, verdict) = house.bucket(3);
        (ClosedBucket { overflow: Some(Arc::clone(&other) as Arc<dyn BucketSink>), ..bucket }, verdict)
    };
    let (first, _first_verdict) = with_overflow(&house);
    house.books.submit(first, house.now);
    let call = house.step().pop().expect("a call");
    house.fail(&call, CallFailure::Permanent);
    assert_eq!(other.0.lock().expect("unpoisoned").len(), 1, "the one that failed");
    let (second, _second_verdict) = with_overflow(&house);
    house.books.submit(second, house.now);
    assert!(house.step().is_empty());
    let mut taken = std::mem::take(&mut *other.0.lock().expect("unpoisoned"));
    assert_eq!(taken.len(), 2, "while the service fails, at once");
    let bucket = taken.pop().expect("two").into_lines();
    assert_eq!(bucket.payload, b"{\"event\":0}\n{\"event\":1}\n{\"event\":2}\n");
}

#[test]
fn a_service_with_a_fallback_is_probed_and_used_again() {
    let mut house = House::new(1, false);
    let other = Arc::new(Other::default());
    let submit = |house: &mut House| {
        let (bucket, verdict) = house.bucket(3);
        let bucket = ClosedBucket { overflow: Some(Arc::clone(&other) as Arc<dyn BucketSink>), ..bucket };
        house.books.submit(bucket, house.now);
        verdict
    };
    let _first = submit(&mut house);
    let call = house.step().pop().expect("a call");
    house.fail(&call, CallFailure::Permanent);
    let mut probes = 0;
    let start = house.now;
    while house.now < start + Duration::from_secs(5) {
        let _verdict = submit(&mut house);
        for call in house.step() {
            assert_eq!(call.records.len(), 1, "one bucket is risked");
            probes += 1;
            house.fail(&call, CallFailure::Unreachable);
        }
        house.now += Duration::from_millis(10);
    }
    assert!((2..30).contains(&probes), "{probes} probes in five seconds");
    house.now += Duration::from_secs(3);
    // The probe may be one that waits to be sent again; then this one goes elsewhere.
    let _other = submit(&mut house);
    let call = house.step().pop().expect("a probe");
    house.answer(&call, vec![stored()]);
    let next = submit(&mut house);
    let call = house.step().pop().expect("it is used again");
    house.answer(&call, vec![stored()]);
    assert_eq!(next.now(), Some(Outcome::Stored));
}

#[test]
fn a_slow_service_loses_a_bucket_to_the_other_one_after_half_its_time() {
    let mut house = House::new(1, false);
    let other = Arc::new(Other::default());
    let (bucket, _verdict) = house.bucket(3);
    let bucket = ClosedBucket { overflow: Some(Arc::clone(&other) as Arc<dyn BucketSink>), ..bucket };
    let start = house.now;
    house.books.submit(bucket, house.now);
    while other.0.lock().expect("unpoisoned").is_empty() {
        assert!(house.now < start + DEADLINE, "it went nowhere");
        let calls = house.step();
        for call in calls {
            house.answer(&call, vec![EntryResult::Throttled; call.records.len()]);
        }
        house.now += Duration::from_millis(50);
    }
    assert!(house.now >= start + DEADLINE / 2);
}

#[test]
fn the_reason_for_giving_up_is_the_services_state() {
    let mut house = House::new(1, false);
    let verdict = house.submit(2);
    while verdict.now().is_none() {
        for call in house.calls_within(DEADLINE) {
            house.fail(&call, CallFailure::Credentials);
        }
    }
    let Some(Outcome::NotStored { reason, retry_after }) = verdict.now() else { panic!("{:?}", verdict.now()) };
    assert_eq!(reason, FailureReason::DestinationUnavailable);
    assert!(retry_after > Duration::ZERO);
}
