//! The promises of lanes and buckets, on a clock that stands still unless the test moves it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headgate_proto::aggregate;

use super::testing::Verdict;
use super::{
    BucketId, BucketSink, ClosedBucket, EventRange, Fate, Format, InFlight, LaneWriter, Lanes, LanesParts, Outcome,
    Packing, ShardRange, Spread, Waiter, hash_key,
};
use crate::clock::Clock;
use crate::metrics::Metrics;

const UNIT: usize = 25_600;
const OVERHEAD: usize = aggregate::ENVELOPE_MAX + 1;
const LINGER: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Taken(Mutex<Vec<ClosedBucket>>);

impl BucketSink for Taken {
    fn submit(&self, bucket: ClosedBucket) {
        self.0.lock().expect("unpoisoned").push(bucket);
    }
}

impl Taken {
    fn take(&self) -> Vec<ClosedBucket> {
        std::mem::take(&mut *self.0.lock().expect("unpoisoned"))
    }
}

fn packing(format: Format) -> Packing {
    Packing {
        format,
        unit: UNIT,
        overhead: if format == Format::Aggregate { OVERHEAD } else { 0 },
        max_units: 8,
        max_events: u32::MAX,
        linger: LINGER,
        spread: Spread::AsFilled,
    }
}

fn parts(taken: &Arc<Taken>, packing: Packing) -> LanesParts {
    LanesParts {
        sink: Arc::clone(taken) as Arc<dyn BucketSink>,
        packing,
        deadline: Duration::from_secs(15),
        in_flight: InFlight::new(),
        clock: Clock::system(),
    }
}

fn write_record(writer: &mut LaneWriter<'_>, record: &[u8]) -> BucketId {
    if writer.must_turn_for(record.len()) {
        writer.turn(record.len());
    }
    let id = writer.bucket_id();
    writer.append(record.len()).extend_from_slice(record);
    id
}

fn line(len: usize) -> Vec<u8> {
    let mut line = vec![b'x'; len - 1];
    line.push(b'\n');
    line
}

#[test]
fn a_bucket_never_begins_a_unit_that_it_does_not_fill() {
    for format in [Format::Aggregate, Format::Lines] {
        let (taken, packing) = (Arc::new(Taken::default()), packing(format));
        let lanes = Lanes::sticky(1, parts(&taken, packing), &Metrics::new());
        for _ in 0..200 {
            lanes.write(0, |writer| {
                for _ in 0..50 {
                    write_record(writer, &line(300));
                }
            });
        }
        lanes.close_all();
        let buckets = taken.take();
        assert_eq!(buckets.iter().map(|bucket| bucket.events).sum::<u32>(), 10_000);
        assert!(buckets.iter().all(|bucket| bucket.records().all(|record| *record == line(300))));
        let (_, full) = buckets.split_last().expect("some");
        assert!(full.len() > 10);
        for bucket in full {
            let wire = bucket.payload.len() + packing.overhead;
            let billed = packing.units(bucket.payload.len()) * UNIT;
            assert!(billed - wire < 320, "{wire} bytes are billed as {billed}");
        }
        assert!(full.iter().any(|bucket| packing.units(bucket.payload.len()) > 1), "buckets grow while they fill fast");
        assert!(full.iter().all(|bucket| packing.units(bucket.payload.len()) <= 8));
    }
}

#[tokio::test]
async fn of_a_bucket_that_lingers_whole_units_go_and_the_tail_stays_with_its_own_tickets() {
    let taken = Arc::new(Taken::default());
    let lanes = Lanes::sticky(1, parts(&taken, packing(Format::Aggregate)), &Metrics::new());
    // Fill buckets fast until they may have several units.
    while taken.0.lock().expect("unpoisoned").iter().all(|bucket| bucket.payload.len() < 4 * UNIT) {
        lanes.write(0, |writer| {
            write_record(writer, &line(300));
        });
    }
    lanes.close_all();
    taken.take().into_iter().for_each(|bucket| bucket.ticket.settle(&Outcome::Stored));
    let (mut first, mut last) = (None, None);
    lanes.write(0, |writer| {
        for _ in 0..200 {
            let id = write_record(writer, &line(300));
            first.get_or_insert(id);
            last = Some(id);
        }
    });
    let (first, last) = (first.expect("written"), last.expect("written"));
    assert_ne!(first, last, "a bucket of several units has a number for each of them");
    let mut lingering = tokio::task::JoinSet::new();
    lingering.spawn(Arc::clone(&lanes).linger());
    let wait_for_bucket = async || {
        loop {
            let mut buckets = taken.take();
            if let Some(bucket) = buckets.pop() {
                assert!(buckets.is_empty());
                return bucket;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let head = wait_for_bucket().await;
    assert_eq!(head.payload.len().div_ceil(UNIT), 2, "60 KB are two whole units and a tail");
    assert_eq!(head.records().count(), head.events as usize);
    head.ticket.settle(&Outcome::Stored);
    let waiter = || Arc::new(Verdict::default());
    let share = |id, verdict: &Arc<Verdict>| {
        let waiter = Arc::clone(verdict) as Arc<dyn Waiter>;
        lanes.in_flight().share(id, &waiter, EventRange { start: 0, end: 1 })
    };
    assert_eq!(share(first, &waiter()), Fate::Stored);
    let resent = waiter();
    assert_eq!(share(last, &resent), Fate::Shared, "the tail is still on its way");
    let tail = wait_for_bucket().await;
    assert_eq!(head.events + tail.events, 200);
    tail.ticket.settle(&Outcome::Stored);
    assert_eq!(resent.now(), Some(Outcome::Stored));
    lingering.abort_all();
}

#[test]
fn a_record_that_is_larger_than_a_bucket_takes_the_units_it_needs() {
    let taken = Arc::new(Taken::default());
    let packing = Packing { max_units: 1, ..packing(Format::Aggregate) };
    let lanes = Lanes::sticky(1, parts(&taken, packing), &Metrics::new());
    lanes.write(0, |writer| {
        write_record(writer, &line(300));
        write_record(writer, &line(60_000));
        for _ in 0..100 {
            write_record(writer, &line(300));
        }
    });
    lanes.close_all();
    let units: Vec<_> =
        taken.take().iter().map(|bucket| (packing.units(bucket.payload.len()), bucket.events)).collect();
    assert_eq!(units[0], (1, 1));
    assert_eq!(units[1].0, 3, "what is left of its last unit is filled");
    assert!(units[1].1 > 40, "{units:?}");
    assert_eq!(units[2..].iter().map(|(units, _)| units).sum::<usize>(), units.len() - 2);
}

#[test]
fn a_panic_in_the_middle_of_a_record_sends_nothing_that_may_be_broken() {
    let taken = Arc::new(Taken::default());
    let lanes = Lanes::sticky(1, parts(&taken, packing(Format::Aggregate)), &Metrics::new());
    let verdict = Arc::new(Verdict::default());
    lanes.write(0, |writer| {
        write_record(writer, &line(300));
        writer.attach(&(Arc::clone(&verdict) as Arc<dyn Waiter>), EventRange { start: 0, end: 1 });
    });
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        lanes.write(0, |writer| {
            writer.append(300).extend_from_slice(b"half of");
            panic!("the test asked for this panic");
        });
    }));
    assert!(panicked.is_err());
    lanes.close_all();
    assert!(taken.take().is_empty(), "a bucket with half a record is not sent");
    assert!(matches!(verdict.now(), Some(Outcome::Unknown { .. })));
    lanes.write(0, |writer| {
        write_record(writer, &line(300));
    });
    lanes.close_all();
    assert_eq!(taken.take().len(), 1, "the lane goes on");
}

#[test]
fn a_bucket_holds_no_more_records_than_it_may() {
    let taken = Arc::new(Taken::default());
    let packing = Packing { max_events: 500, ..packing(Format::Lines) };
    let lanes = Lanes::sticky(1, parts(&taken, packing), &Metrics::new());
    lanes.write(0, |writer| {
        for _ in 0..1_700 {
            write_record(writer, b"{}\n");
        }
    });
    lanes.close_all();
    assert_eq!(taken.take().iter().map(|bucket| bucket.events).collect::<Vec<_>>(), [500, 500, 500, 200]);
}

fn halves() -> Vec<ShardRange> {
    let middle = u128::MAX / 2;
    vec![
        ShardRange { id: "left".into(), start: 0, end: middle },
        ShardRange { id: "right".into(), start: middle + 1, end: u128::MAX },
    ]
}

fn write_keyed(lanes: &Lanes, keys: impl Iterator<Item = u32>) {
    lanes.write(0, |writer| {
        assert!(writer.is_keyed());
        for key in keys {
            let hash = hash_key(key.to_string().as_bytes());
            if writer.must_move_to(hash) {
                writer.move_to(hash);
            }
            write_record(writer, format!("{key}\n").as_bytes());
        }
    });
}

#[test]
fn keyed_records_go_into_the_lane_of_the_shard_that_owns_their_key() {
    let taken = Arc::new(Taken::default());
    let lanes = Lanes::keyed(&halves(), parts(&taken, packing(Format::Aggregate)), &Metrics::new());
    write_keyed(&lanes, 0..1_000);
    lanes.close_all();
    let buckets = taken.take();
    assert_eq!(buckets.iter().map(|bucket| bucket.events).sum::<u32>(), 1_000);
    for bucket in &buckets {
        let shard = bucket.lane.as_ref().expect("keyed").order().shard();
        for record in bucket.records() {
            let key = record.strip_suffix(b"\n").expect("a line");
            assert!(shard.owns(hash_key(key)));
        }
    }
}

#[tokio::test]
async fn when_a_shard_is_split_its_lane_is_replaced_by_two_that_wait_for_it() {
    let taken = Arc::new(Taken::default());
    let lanes = Lanes::keyed(&halves(), parts(&taken, packing(Format::Aggregate)), &Metrics::new());
    let mut lingering = tokio::task::JoinSet::new();
    lingering.spawn(Arc::clone(&lanes).linger());
    write_keyed(&lanes, 0..100);
    let quarter = u128::MAX / 4;
    let [left, right] = [halves().remove(0), halves().remove(1)];
    let split = vec![
        ShardRange { id: "left-1".into(), end: quarter, ..left.clone() },
        ShardRange { id: "left-2".into(), start: quarter + 1, ..left },
        right,
    ];
    lanes.follow(&split);
    write_keyed(&lanes, 100..200);
    let mut buckets = Vec::new();
    while buckets.len() < 4 {
        buckets.extend(taken.take());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let order = |id: &str| {
        let of = buckets.iter().map(|bucket| bucket.lane.as_ref().expect("keyed").order());
        Arc::clone(of.clone().find(|order| &*order.shard().id == id).expect("a lane of that shard"))
    };
    assert_eq!(buckets.iter().map(|bucket| bucket.events).sum::<u32>(), 200);
    let (parent, children, other) = (order("left"), [order("left-1"), order("left-2")], order("right"));
    assert!(parent.may_go() && other.may_go(), "they had their keys before");
    assert!(children.iter().all(|child| !child.may_go()), "the parent's bucket is on its way");
    for bucket in buckets {
        bucket.ticket.settle(&Outcome::Stored);
    }
    while !children.iter().all(|child| child.may_go()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    lingering.abort_all();
}

struct Broken;

impl Waiter for Broken {
    fn settled(&self, _: EventRange, _: &Outcome) {
        panic!("a bug in a batch");
    }
}

/// Two batches share a bucket. A bug in one leaves neither the other without its verdict nor the bucket in flight, and the
/// panic goes on, for whoever counts it.
#[test]
fn a_batch_that_panics_costs_the_others_in_its_bucket_nothing() {
    let range = EventRange { start: 0, end: 1 };
    let in_flight = InFlight::new();
    let (_, waiters, ticket) = in_flight.open();
    let verdict = Arc::new(Verdict::default());
    waiters.attach(Arc::new(Broken), range);
    waiters.attach(Arc::clone(&verdict) as Arc<dyn Waiter>, range);
    let settled = catch_unwind(AssertUnwindSafe(|| ticket.settle(&Outcome::Stored)));
    assert!(settled.is_err());
    assert_eq!(verdict.now(), Some(Outcome::Stored));
    assert!(in_flight.is_empty());
}
