use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headgate_proto::v1::{BatchVerdict, Event as Decoded, EventVerdict, VerdictCode};
use prost::Message;
use tonic::Code;

use super::{Ends, LinkId, Next, Offer, Outgoing, Store};
use crate::backoff::Backoff;
use crate::clock;
use crate::error::LogProblem;
use crate::event::Event;
use crate::failure::Cause;
use crate::ids::Ids;
use crate::limits::Limits;
use crate::log::{self, Log, Recovered, Sink, Written};
use crate::refusal::Refusal;
use crate::stored::Stored;
use crate::wire::{self, Measured};

const LINK: LinkId = LinkId(0);
const LINGER: Duration = Duration::from_millis(100);

fn limits() -> Limits {
    Limits {
        batch_events: 10,
        batch_bytes: 4 << 10,
        linger: LINGER,
        in_flight: 4,
        memory_bytes: 64 << 10,
        memory_events: 1_000,
        answer_timeout: Duration::from_secs(60),
    }
}

fn store(limits: Limits) -> Store {
    let window = limits.in_flight;
    let backoff = Backoff::new(Duration::from_secs(10)).expect("random numbers");
    Store::new(limits, window, Ids::new().expect("random numbers"), backoff)
}

fn offer(store: &mut Store, name: &str, bytes: usize, now: Instant) -> Offer {
    let data = vec![b' '; bytes];
    let event = Event::new("test", name).data(&data);
    store.offer(&Measured::new(&event, (5, 0)), 1_700_000_000_000, || now)
}

fn give(store: &mut Store, count: usize, bytes: usize, now: Instant) {
    for n in 0..count {
        let offer = offer(store, &format!("e{n}"), bytes, now);
        assert!(matches!(offer, Offer::Taken { .. }), "{offer:?}");
    }
}

/// Everything that leaves now.
fn leave(store: &mut Store, now: Instant) -> Vec<Outgoing> {
    let mut left = Vec::new();
    while let Next::Send(batch) = store.next(LINK, now) {
        left.push(batch);
    }
    left
}

fn decoded(batch: &Bytes) -> Vec<Decoded> {
    wire::events(batch).map(|framed| Decoded::decode(framed.event).expect("an event")).collect()
}

fn ids(batch: &Outgoing) -> Vec<String> {
    decoded(&batch.events).into_iter().map(|event| event.event_id).collect()
}

fn accepted(events: u32) -> BatchVerdict {
    BatchVerdict { accepted: events, ..BatchVerdict::default() }
}

fn refusal(code: Code, reason: &str, hint: Option<Duration>) -> Refusal {
    Refusal { code, message: "no".to_owned(), hint, reason: reason.to_owned() }
}

fn assert_balanced(store: &Store) {
    let counters = store.counters();
    let ends = counters.acknowledged + counters.rejected() + counters.refused + counters.dropped + counters.unreadable;
    assert_eq!(counters.accepted + counters.recovered, ends + counters.pending, "{counters:?}");
}

#[test]
fn a_batch_leaves_at_its_count_its_bytes_or_its_linger() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 9, 10, now);
    assert!(leave(&mut store, now).is_empty(), "it may still grow");
    assert_eq!(store.next_deadline(true), Some(now + LINGER));
    give(&mut store, 1, 10, now);
    assert_eq!(leave(&mut store, now).iter().map(|batch| ids(batch).len()).collect::<Vec<_>>(), [10], "count");
    give(&mut store, 5, 1_000, now);
    assert_eq!(leave(&mut store, now).iter().map(|batch| ids(batch).len()).collect::<Vec<_>>(), [3], "bytes");
    assert!(leave(&mut store, now + LINGER - Duration::from_millis(1)).is_empty());
    assert_eq!(leave(&mut store, now + LINGER).iter().map(|batch| ids(batch).len()).collect::<Vec<_>>(), [2], "linger");
}

#[test]
fn an_event_larger_than_a_batch_travels_alone() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 1, 10, now);
    give(&mut store, 1, 10_000, now);
    give(&mut store, 1, 10, now);
    let left = leave(&mut store, now + LINGER);
    assert_eq!(left.iter().map(|batch| ids(batch).len()).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn batches_fill_up_while_the_window_is_full() {
    let now = clock::now();
    let later = now + 10 * LINGER;
    let mut store = store(Limits { in_flight: 2, ..limits() });
    give(&mut store, 20, 10, now);
    let left = leave(&mut store, now);
    assert_eq!(left.len(), 2);
    give(&mut store, 3, 10, now);
    assert!(leave(&mut store, later).is_empty(), "the window is full");
    give(&mut store, 4, 10, later);
    assert!(store.verdict(LINK, left[0].sequence, accepted(10), later).failures.is_empty());
    assert_eq!(leave(&mut store, later).iter().map(|batch| ids(batch).len()).collect::<Vec<_>>(), [7]);
}

#[test]
fn what_is_in_flight_leaves_room_for_what_comes() {
    let now = clock::now();
    let mut store = store(Limits { in_flight: 100, memory_bytes: 20_000, ..limits() });
    give(&mut store, 16, 1_000, now);
    let left = leave(&mut store, now + LINGER);
    let bytes: usize = left.iter().map(|batch| batch.events.len()).sum();
    assert!((6_000..=10_000).contains(&bytes), "half of the memory: {bytes}");
}

#[test]
fn memory_is_bounded_in_bytes_and_in_events() {
    let now = clock::now();
    for (bytes, by_events) in [(0, true), (1_000, false)] {
        let mut store = store(Limits { memory_events: 500, ..limits() });
        let mut taken = 0;
        while matches!(offer(&mut store, "e", bytes, now), Offer::Taken { .. }) {
            taken += 1;
            assert!(store.counters().bytes_in_memory <= 64 << 10);
        }
        assert_eq!(taken == 500, by_events, "{taken}");
        assert_eq!(store.counters().events_in_memory, taken);
        let left = leave(&mut store, now);
        assert!(store.verdict(LINK, left[0].sequence, accepted(ids(&left[0]).len() as u32), now).failures.is_empty());
        assert!(matches!(offer(&mut store, "e", bytes, now), Offer::Taken { .. }), "there is room again");
        assert_balanced(&store);
    }
}

#[test]
fn the_oldest_that_waits_is_dropped_and_nothing_that_is_on_the_way() {
    let now = clock::now();
    let mut store = store(Limits { in_flight: 1, memory_events: 30, ..limits() });
    give(&mut store, 30, 10, now);
    let flying = leave(&mut store, now);
    let dropped = store.drop_oldest(100);
    let names: Vec<String> = decoded(&dropped[0]).into_iter().map(|event| event.event_name).collect();
    assert_eq!((dropped.len(), names.first().map(String::as_str)), (1, Some("e10")), "the oldest that waits");
    assert_eq!(store.counters().dropped, 10);
    give(&mut store, 10, 10, now);
    assert_eq!(store.drop_oldest(100).len(), 1);
    give(&mut store, 10, 10, now);
    store.lost(LINK);
    assert_eq!(ids(&leave(&mut store, now)[0]), ids(&flying[0]), "what was on the way is still the first");
    assert_balanced(&store);
}

#[test]
fn what_was_lost_with_its_stream_is_sent_again_with_the_same_ids_in_the_same_order() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 40, 10, now);
    let first = leave(&mut store, now);
    assert!(store.verdict(LINK, first[1].sequence, accepted(10), now).failures.is_empty());
    store.lost(LINK);
    let again = leave(&mut store, now);
    let expected: Vec<_> = [0, 2, 3].map(|index| ids(&first[index])).to_vec();
    assert_eq!(again.iter().map(ids).collect::<Vec<_>>(), expected);
    assert!(again.iter().all(|batch| first.iter().all(|before| before.sequence != batch.sequence)), "new sequences");
    let counters = store.counters();
    assert_eq!((counters.sent, counters.resent, counters.acknowledged, counters.pending), (70, 30, 10, 30));
}

#[test]
fn an_answer_settles_its_own_batch_on_its_own_stream_once() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 20, 10, now);
    let left = leave(&mut store, now);
    let (first, second) = (left[0].sequence, left[1].sequence);
    for (link, sequence) in [(LINK, 99), (LinkId(1), first), (LINK, 0)] {
        assert!(store.verdict(link, sequence, accepted(10), now).failures.is_empty());
    }
    assert_eq!(store.counters().acknowledged, 0);
    for sequence in [second, second, first, first] {
        assert!(store.verdict(LINK, sequence, accepted(10), now).failures.is_empty());
    }
    let counters = store.counters();
    assert_eq!((counters.acknowledged, counters.pending, counters.bytes_in_memory), (20, 0, 0));
}

#[test]
fn of_a_batch_only_what_was_not_stored_comes_again() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 10, 10, now);
    let left = leave(&mut store, now);
    let hint = prost_types::Duration { seconds: 2, nanos: 0 };
    let one = |index, code: VerdictCode, retry_delay| EventVerdict {
        index,
        code: code.into(),
        field: "event_name".to_owned(),
        retry_delay,
        ..EventVerdict::default()
    };
    let not_accepted = vec![
        one(1, VerdictCode::Rejected, None),
        one(3, VerdictCode::Retry, Some(hint)),
        one(4, VerdictCode::Unknown, None),
        one(9, VerdictCode::Rejected, None),
    ];
    let verdict =
        BatchVerdict { accepted: 6, rejected: 2, retry: 1, unknown: 1, not_accepted, ..BatchVerdict::default() };
    let Ends { stored, failures } = store.verdict(LINK, left[0].sequence, verdict, now);
    let stored = stored.expect("six are");
    let names_of = |places: &[usize]| places.iter().map(|place| format!("e{place}")).collect::<Vec<_>>();
    assert_eq!(stored.iter().map(|event| event.event_name).collect::<Vec<_>>(), names_of(&[0, 2, 5, 6, 7, 8]));
    let names: Vec<String> = failures.iter().map(|failure| failure.event().event_name).collect();
    assert_eq!(names, ["e1", "e9"]);
    assert!(matches!(failures[0].cause(), Cause::Rejected { field, .. } if field == "event_name"));
    assert!(leave(&mut store, now + Duration::from_millis(1_999)).is_empty(), "before the hint");
    let again = leave(&mut store, now + Duration::from_secs(3));
    let before = ids(&left[0]);
    assert_eq!(again.iter().map(ids).collect::<Vec<_>>(), [vec![before[3].clone(), before[4].clone()]]);
    let counters = store.counters();
    assert_eq!((counters.acknowledged, counters.rejected(), counters.unknown, counters.pending), (6, 2, 1, 2));
    assert!(store.verdict(LINK, again[0].sequence, accepted(2), now).failures.is_empty());
    assert_eq!((store.counters().pending, store.counters().bytes_in_memory), (0, 0));
    assert_balanced(&store);
}

#[test]
fn nothing_is_sent_before_the_hint_of_a_refused_batch_and_then_less_at_once() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 40, 10, now);
    let left = leave(&mut store, now);
    assert_eq!(left.len(), 4);
    let hint = Duration::from_secs(2);
    for batch in &left[..2] {
        let refused = refusal(Code::ResourceExhausted, "over_rate", Some(hint));
        assert!(store.refused(LINK, batch.sequence, refused, now).is_empty());
    }
    for batch in &left[2..] {
        assert!(store.verdict(LINK, batch.sequence, accepted(10), now).failures.is_empty());
    }
    give(&mut store, 20, 10, now);
    assert!(leave(&mut store, now + hint - Duration::from_millis(1)).is_empty(), "not the others either");
    let until = store.next_deadline(true).expect("it will look again");
    assert!((now + hint..=now + hint.mul_f64(1.2)).contains(&until));
    // Halved twice; of the two that were stored, the first widened it by one.
    let again = leave(&mut store, now + hint.mul_f64(1.2));
    assert_eq!(again.len(), 2);
    assert_eq!([ids(&again[0]), ids(&again[1])], [ids(&left[0]), ids(&left[1])], "the oldest first");
}

#[test]
fn a_batch_that_is_too_large_for_the_gateway_is_halved_until_it_is_not() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 10, 10, now);
    let mut stored = Vec::new();
    let mut failures = Vec::new();
    for _ in 0..50 {
        for batch in leave(&mut store, now) {
            let ids = ids(&batch);
            if ids.len() > 2 {
                let refused = refusal(Code::InvalidArgument, "over_burst", None);
                failures.extend(store.refused(LINK, batch.sequence, refused, now));
            } else {
                assert!(store.verdict(LINK, batch.sequence, accepted(ids.len() as u32), now).failures.is_empty());
                stored.extend(ids);
            }
        }
    }
    stored.sort_unstable();
    stored.dedup();
    assert_eq!((stored.len(), failures.len()), (10, 0));
    assert_eq!((store.counters().pending, store.counters().bytes_in_memory), (0, 0));

    give(&mut store, 10, 10, now);
    for _ in 0..50 {
        for batch in leave(&mut store, now) {
            failures.extend(store.refused(
                LINK,
                batch.sequence,
                refusal(Code::InvalidArgument, "over_burst", None),
                now,
            ));
        }
    }
    assert_eq!((failures.len(), store.counters().refused), (10, 10), "a burst of none takes nothing, ever");
    assert_eq!((store.counters().pending, store.counters().bytes_in_memory), (0, 0));
    assert_balanced(&store);
}

#[test]
fn an_answer_that_makes_no_sense_is_no_answer() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 20, 10, now);
    let left = leave(&mut store, now);
    assert!(store.verdict(LINK, left[0].sequence, accepted(11), now).failures.is_empty());
    store.not_understood(LINK, left[1].sequence, now);
    assert_eq!((store.counters().acknowledged, store.counters().answers_not_understood), (0, 2));
    let again = leave(&mut store, now + Duration::from_secs(1));
    let mut both: Vec<_> = again.iter().map(ids).collect();
    both.sort();
    let mut expected: Vec<_> = left.iter().map(ids).collect();
    expected.sort();
    assert_eq!(both, expected);
}

#[test]
fn a_stream_that_answers_nothing_is_noticed() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 10, 10, now);
    assert_eq!(leave(&mut store, now).len(), 1);
    let due = now + Duration::from_secs(60);
    assert_eq!(store.next_deadline(true), Some(due));
    assert_eq!((store.overdue(due - Duration::from_millis(1)), store.overdue(due)), (None, Some(LINK)));
}

/// The gateway's own destination is down: it takes every batch, and stores nothing. What rests until it may be sent again is
/// in memory; what waits on the log is not read beyond that.
#[test]
fn memory_is_bounded_while_batches_of_the_log_come_back_again_and_again() {
    let now = clock::now();
    let mut store = store(limits());
    let one = |number| Recovered { number, events: 1, bytes: 2_000 };
    store.recover((1..=100).map(one).collect(), 101);
    let limit = limits().memory_bytes as u64;
    let mut sent = 0;
    for round in 0..300 {
        let now = now + round * Duration::from_micros(10);
        loop {
            match store.next(LINK, now) {
                Next::Load(_) => store.loaded(Ok(Bytes::from(vec![0; 2_000])), now),
                Next::Send(batch) => {
                    let not_accepted =
                        vec![EventVerdict { code: VerdictCode::Retry.into(), ..EventVerdict::default() }];
                    let verdict = BatchVerdict { retry: 1, not_accepted, ..BatchVerdict::default() };
                    assert!(store.verdict(LINK, batch.sequence, verdict, now).failures.is_empty());
                    sent += 1;
                }
                Next::Nothing => break,
            }
            assert!(store.counters().bytes_in_memory <= limit, "{}", store.counters().bytes_in_memory);
        }
    }
    assert!(sent >= 10, "{sent}");
    assert_eq!(store.counters().pending, 100);
}

/// The log is full, and memory, too: the batch of a durable event is dropped before the one who gave it has looked.
#[test]
fn a_batch_that_was_dropped_is_not_taken_for_durable() {
    let now = clock::now();
    let mut store = store(limits());
    give(&mut store, 20, 10, now);
    let (first, second) = (1, 2);
    for number in [first, second] {
        let entry = store.books.get_mut(number).expect("it is open");
        entry.unheard = 1;
        let result = if number == first { Err(LogProblem::Full) } else { Ok(()) };
        store.written(&[Written { batch: number, events: 10, bytes: 0, result }]);
    }
    assert_eq!((store.log_problem(first), store.log_problem(second)), (Some(LogProblem::Full), None));
    assert_eq!(store.drop_oldest(usize::MAX / 2).len(), 1, "what is on the log is not dropped");
    assert_eq!((store.log_problem(first), store.log_problem(second)), (Some(LogProblem::Full), None));
}

/// A log on disk, whose news a test tells the store itself.
fn with_log(folder: &std::path::Path, limits: Limits) -> Store {
    struct Unheard;
    impl Sink for Unheard {
        fn written(&self, _: &[Written]) {}
    }
    let mut store = store(limits);
    store.log = Some(log::open(&Log::new(folder), Arc::new(Unheard)).expect("it opens").handle);
    store
}

#[test]
fn what_is_stored_before_it_lingers_is_never_handed_to_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = clock::now();
    let mut store = with_log(folder.path(), limits());
    give(&mut store, 15, 10, now);
    let left = leave(&mut store, now);
    assert_eq!(store.next_deadline(true), Some(now + LINGER), "the log's, and the open batch's");
    store.log_what_lingers(now + LINGER / 2);
    assert!(store.verdict(LINK, left[0].sequence, accepted(10), now).failures.is_empty());
    assert_eq!((store.handed, store.unlogged_size.bytes), (0, 0));
    store.log_what_lingers(now + LINGER);
    assert_eq!(store.handed, 1, "the open batch has lingered");

    give(&mut store, 15, 10, now);
    store.log_what_lingers(now + LINGER - Duration::from_millis(1));
    assert_eq!(store.handed, 1);
    store.log_what_lingers(now + LINGER);
    assert_eq!(store.handed, 3, "one that is sealed, one that is not");
}

#[test]
fn the_log_gets_an_eighth_of_the_memory_before_it_lingers() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = clock::now();
    let mut store = with_log(folder.path(), limits());
    give(&mut store, 16, 1_000, now);
    assert!(store.handed > 0 && store.unlogged_size.bytes < 8 << 10, "bytes: {:?}", store.unlogged_size);
    let folder = tempfile::tempdir().expect("a folder");
    let mut small = with_log(folder.path(), Limits { memory_events: 160, ..limits() });
    give(&mut small, 10, 10, now);
    assert_eq!((small.handed, small.unlogged_size.events), (0, 10));
    give(&mut small, 10, 10, now);
    assert_eq!((small.handed, small.unlogged_size.events), (2, 0), "events");
    give(&mut small, 10, 10, now);
    assert!(
        small.drop_oldest(usize::MAX / 2).is_empty(),
        "nothing that is on the way to the log is dropped, or will be"
    );
}

/// Three durable events, and then seven others: the log has the first three.
#[test]
fn a_batch_is_on_the_log_only_when_all_of_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = clock::now();
    let mut store = with_log(folder.path(), Limits { memory_events: 10, ..limits() });
    give(&mut store, 3, 10, now);
    assert_eq!(store.log_all(), 1);
    let bytes = store.on_way_to_log;
    store.written(&[Written { batch: 1, events: 3, bytes, result: Ok(()) }]);
    give(&mut store, 7, 10, now);
    assert!(store.drop_oldest(10).is_empty(), "three of them were promised");
    let left = store.undelivered_below(u64::MAX);
    assert_eq!((left.on_log(), left.in_memory()), (3, 7));
    let names: Vec<String> = left.iter().map(|event| event.event_name).collect();
    assert_eq!(names, (0..7).map(|n| format!("e{n}")).collect::<Vec<_>>());
    assert_eq!(
        leave(&mut store, now).iter().map(|batch| ids(batch).len()).collect::<Vec<_>>(),
        [10],
        "it is in memory"
    );
}

#[test]
fn the_thread_is_woken_for_what_is_due_before_it_looks_and_for_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = clock::now();
    let ms = Duration::from_millis(1);
    let mut store = with_log(folder.path(), limits());
    let wakes = |store: &mut Store, now| match offer(store, "e", 10, now) {
        Offer::Taken { wake, .. } => wake,
        other => panic!("{other:?}"),
    };
    assert!(wakes(&mut store, now), "it sleeps until something happens");
    assert_eq!(store.look_again(true, now), Some(now + LINGER));
    assert!(!wakes(&mut store, now + ms), "it knows of the batch");
    let _ticket = store.log_all();
    assert_eq!(store.look_again(false, now + ms), None);
    assert!(wakes(&mut store, now + 2 * ms), "the log has to be told of this one");
    assert_eq!(store.look_again(true, now + 2 * ms), Some(now + LINGER));
    assert_eq!((0..7).filter(|_| wakes(&mut store, now + 2 * ms)).count(), 1, "for the batch that is full");
    assert_eq!(leave(&mut store, now + 3 * ms).len(), 1);
    assert_eq!(store.look_again(true, now + 3 * ms), Some(now + 2 * ms + LINGER), "the log's turn");
    assert!(!wakes(&mut store, now + 4 * ms), "it looks before this one has lingered");
}

#[test]
fn what_is_left_is_told_to_the_event() {
    let now = clock::now();
    let mut store = store(Limits { in_flight: 1, ..limits() });
    give(&mut store, 25, 10, now);
    let flying = leave(&mut store, now);
    let below = store.begin_flush();
    give(&mut store, 1, 10, now);
    assert!(!store.is_settled_below(below));
    let left = store.undelivered_below(below);
    assert_eq!((left.in_memory(), left.on_log(), left.is_empty()), (25, 0, false));
    let names: Vec<String> = left.iter().map(|event| event.event_name).collect();
    assert_eq!(names, (0..25).map(|n| format!("e{n}")).collect::<Vec<_>>(), "on the way or not, in order");
    assert!(store.verdict(LINK, flying[0].sequence, accepted(10), now).failures.is_empty());
    for _ in 0..2 {
        for batch in leave(&mut store, now) {
            let count = ids(&batch).len() as u32;
            assert!(store.verdict(LINK, batch.sequence, accepted(count), now).failures.is_empty());
        }
    }
    assert!(store.is_settled_below(below), "what came after the flush is not waited for");
    assert!(store.undelivered_below(below).is_empty());
    assert_eq!(store.counters().pending, 1);
}

/// A random gateway: accepts, refuses, answers in part, loses streams, out of order. The books balance at every step, no
/// event is lost or changes its id, and in the end nothing is held.
#[test]
fn the_books_balance_whatever_the_gateway_does() {
    for seed in 1..=40_u64 {
        let mut random = seed;
        let mut draw = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut now = clock::now();
        let mut store = store(limits());
        let mut ends: BTreeMap<String, u32> = BTreeMap::new();
        let mut flying: Vec<Outgoing> = Vec::new();
        let mut given = 0_u64;
        for step in 0..600 {
            let closing = step >= 400;
            now += Duration::from_millis(draw(400));
            for _ in 0..if closing { 0 } else { draw(8) } {
                if let Offer::Taken { id, .. } = offer(&mut store, "e", draw(400) as usize, now) {
                    ends.insert(id.to_string(), 0);
                    given += 1;
                }
            }
            if draw(25) == 0 {
                for batch in store.drop_oldest(usize::MAX / 2).iter().flat_map(decoded) {
                    *ends.get_mut(&batch.event_id).expect("known") += 1;
                }
            }
            flying.extend(leave(&mut store, now));
            if draw(12) == 0 {
                store.lost(LINK);
                flying.clear();
            }
            while !flying.is_empty() && draw(3) > 0 {
                let batch = flying.swap_remove(draw(flying.len() as u64) as usize);
                let ids = ids(&batch);
                let mut refuse = |code, reason| {
                    let failures = store.refused(LINK, batch.sequence, refusal(code, reason, None), now);
                    Ends { stored: None, failures }
                };
                let Ends { stored, failures } = match if closing { 0 } else { draw(6) } {
                    2 => refuse(Code::Unavailable, "over_budget"),
                    3 => refuse(Code::InvalidArgument, "over_burst"),
                    4 => refuse(Code::InvalidArgument, "undecodable"),
                    0 | 1 => store.verdict(LINK, batch.sequence, accepted(ids.len() as u32), now),
                    _ => {
                        let mut verdict = BatchVerdict::default();
                        for index in 0..ids.len() as u32 {
                            let code = match draw(3) {
                                0 => VerdictCode::Rejected,
                                1 => VerdictCode::Retry,
                                _ => VerdictCode::Accepted,
                            };
                            match code {
                                VerdictCode::Rejected => verdict.rejected += 1,
                                VerdictCode::Retry => verdict.retry += 1,
                                _ => {
                                    verdict.accepted += 1;
                                    continue;
                                }
                            }
                            let one = EventVerdict { index, code: code.into(), ..EventVerdict::default() };
                            verdict.not_accepted.push(one);
                        }
                        store.verdict(LINK, batch.sequence, verdict, now)
                    }
                };
                let stored = stored.iter().flat_map(Stored::ids).map(|id| id.to_string());
                for id in stored.chain(failures.iter().map(|failure| failure.event().event_id)) {
                    *ends.get_mut(&id).expect("known") += 1;
                }
            }
            assert_balanced(&store);
        }
        let counters = store.counters();
        let more_than_one: Vec<_> = ends.iter().filter(|(_, ends)| **ends != 1).collect();
        assert!(more_than_one.is_empty(), "seed {seed}: {more_than_one:?}");
        assert_eq!((counters.accepted, counters.pending), (given, 0), "seed {seed}");
        assert_eq!((counters.events_in_memory, counters.bytes_in_memory), (0, 0), "seed {seed}: {counters:?}");
    }
}
