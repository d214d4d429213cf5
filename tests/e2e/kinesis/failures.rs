//! Calls and records that fail in every way that Kinesis knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_tests::aws::faults::{Fault, Operations, Rule};
use headgate_tests::aws::{CallError, RecordError, Settings};
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::poll;
use headgate_tests::seed::{Draw, seed};

use super::Streaming;
use crate::PATIENCE;

/// How long the storm lasts.
const STORM: Duration = Duration::from_secs(60);
/// What the gateway may hold of events on their way, and what its process may take in all.
const BUDGET: u64 = 64 << 20;
const RESIDENT: u64 = 5 * BUDGET;

/// One event, one record, so that calls have hundreds of records; of one call after the other k fail.
#[tokio::test(flavor = "multi_thread")]
async fn of_k_failed_records_only_those_are_sent_again() {
    let seed = seed("k of 500");
    let settings = Settings { throttle: None, seed, ..Settings::default() };
    let house = Streaming::start(settings, 64, &["kinesis.aggregation=none"]).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    let mut most = 0;
    for records in [1, 2, 5, 17, 50, 120, 250, 400, 499, 500] {
        for error in [RecordError::InternalFailure, RecordError::Throttled] {
            let rule = house.stand_in.faults().set(Rule::new(Fault::RecordsFail { records, error }).times(3));
            poll::until("the fault to happen", PATIENCE, async || house.stand_in.faults().spent().then_some(())).await;
            house.stand_in.faults().unset(rule);
        }
        most += 6 * records as u64;
        load.acknowledge(500, PATIENCE).await;
    }
    let tally = load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    let kinesis = house.stand_in.tally().kinesis;
    let failed: u64 = kinesis.failed_records.values().sum();
    assert!(failed > 500 && failed <= most, "{failed} of at most {most}: {kinesis:?}");
    assert_eq!(kinesis.records, kinesis.stored_records + failed, "each record failed or was stored");
    let stored = house.consumed();
    let judgement = oracle.judge(&stored);
    // Not one record too many was sent: everything is there once.
    assert_eq!(kinesis.stored_records, stored.len() as u64);
    assert_eq!(house.doubled_records(), 0);
    judgement.assert_kept(5_000);
    house.assert_quiet().await;
}

/// Three records of ten fail for a minute, while calls hang, answers get lost after the commit, connections are reset and
/// credentials expire.
#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_everything_loses_nothing_that_was_acknowledged() {
    let seed = seed("storm");
    let mut draw = Draw::new(seed, 0);
    let settings = Settings { throttle: None, seed, ..Settings::default() };
    let budget = format!("admission.bytes_in_flight={BUDGET}B");
    let house = Streaming::start(settings, 4, &["kinesis.attempt_timeout=1s", "delivery.spill=0B", &budget]).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    let faults = house.stand_in.faults();
    let random = Fault::EachRecordFails { probability: 0.3, error: RecordError::InternalFailure };
    faults.set(Rule::new(random));
    let start = Instant::now();
    let mut turn = 0;
    let mut most_held = 0_f64;
    let mut most_resident = 0;
    while start.elapsed() < STORM {
        let fault = [
            Fault::Hang,
            Fault::AnswerLost,
            Fault::ResetBeforeReading,
            Fault::CallFails(CallError::ExpiredToken),
            Fault::AnswerReset,
            Fault::CallFails(CallError::InternalFailure),
            Fault::AnswerCut,
            Fault::CallFails(CallError::Throttled),
            Fault::StaleConnection,
            Fault::AnswerShort { missing: 1 },
            Fault::SlowAnswer(Duration::from_millis(400)),
        ][turn % 11];
        turn += 1;
        let rule = faults.set(Rule::new(fault).operations(Operations::Puts).times(draw.within(1..=4)));
        tokio::time::sleep(Duration::from_millis(draw.within(300..=900))).await;
        faults.unset(rule);
        if turn.is_multiple_of(7) {
            house.stand_in.reset_connections();
        }
        let metrics = house.gateway.metrics().await;
        most_held = most_held.max(metrics.sum("headgate_in_flight_bytes", &[]));
        most_resident = most_resident.max(house.gateway.resident_bytes());
    }
    let happened = faults.happened();
    faults.clear();
    // It is well again by itself.
    load.acknowledge(2_000, Duration::from_secs(20)).await;
    let tally = load.finish(PATIENCE).await;
    println!("{happened:?} {tally:?} held {most_held} resident {most_resident}");
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    for name in ["each_record_fails", "hang", "answer_lost", "reset_before_reading", "call_fails", "answer_reset"] {
        assert!(happened.get(name).is_some_and(|count| *count > 0), "{name} never happened: {happened:?}");
    }
    #[allow(clippy::cast_precision_loss)]
    let budget = BUDGET as f64;
    assert!(most_held <= budget, "{most_held} bytes held of {BUDGET}");
    assert!(most_resident < RESIDENT, "{most_resident} bytes resident with a budget of {BUDGET}");
    let ambiguous = house.gateway.metrics().await.sum("headgate_delivery_ambiguous_records_total", &[]);
    assert!(ambiguous > 0.0, "what was not answered is counted");
    let judgement = oracle.judge(&house.consumed());
    house.assert_kept(judgement, 20_000);
    house.assert_quiet().await;
}

/// Expired credentials refuse with a hint, and five seconds after they are well events flow again.
#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_refuse_with_a_hint_and_heal() {
    let seed = seed("credentials");
    let house = Streaming::start(Settings { throttle: None, seed, ..Settings::default() }, 4, &[]).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    load.acknowledge(1_000, PATIENCE).await;
    let rule = house.stand_in.faults().set(Rule::new(Fault::CallFails(CallError::ExpiredToken)));
    poll::until("refusals", PATIENCE, async || {
        (load.tally().refusals_like("Unavailable with a hint") > 10).then_some(())
    })
    .await;
    house.stand_in.faults().unset(rule);
    load.acknowledge(1_000, Duration::from_secs(5)).await;
    let tally = load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    let judgement = oracle.judge(&house.consumed());
    assert_eq!(house.doubled_records(), 0, "an expired token stores nothing");
    judgement.assert_kept(2_000);
    house.assert_quiet().await;
}

/// A service that takes calls and never answers them: every event has its verdict by its deadline, and nothing leaks.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_answers_leaves_no_event_without_a_verdict() {
    let seed = seed("hang");
    let settings = ["kinesis.attempt_timeout=500ms", "delivery.deadline=2s", "delivery.spill=0B"];
    let house = Streaming::start(Settings { throttle: None, seed, ..Settings::default() }, 2, &settings).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    load.acknowledge(1_000, PATIENCE).await;
    let rule = house.stand_in.faults().set(Rule::new(Fault::Hang));
    poll::until("verdicts of unknown", PATIENCE, async || {
        let unknown = house.gateway.metrics().await.sum("headgate_events_settled_total", &["verdict=\"unknown\""]);
        (unknown > 0.0).then_some(())
    })
    .await;
    let calls = |house: &Streaming| house.stand_in.tally().kinesis.calls.get("PutRecords").copied().unwrap_or(0);
    let before = calls(&house);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let probes = calls(&house) - before;
    assert!(probes < 20, "{probes} calls in three seconds to a service that is down");
    house.stand_in.faults().unset(rule);
    load.acknowledge(1_000, Duration::from_secs(30)).await;
    let _ = load.finish(PATIENCE).await;
    let judgement = oracle.judge(&house.consumed());
    house.assert_kept(judgement, 2_000);
    house.assert_quiet().await;
}

/// Half of all records are throttled for a while: memory keeps to its budget, refusals carry a hint, and afterwards it
/// recovers by itself.
#[tokio::test(flavor = "multi_thread")]
async fn throttling_of_every_shard_sheds_load_and_recovers() {
    let seed = seed("throttled");
    let house = Streaming::start(Settings { throttle: Some(0.2), seed, ..Settings::default() }, 2, &[]).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    // Of what is open at once, the shards take in several seconds what clients would wait for.
    let load = Load::start(&oracle, &[target], &Shape { streams: 12, window: 32, ..Shape::default() }, seed);
    let start = Instant::now();
    let mut overloaded = 0.0_f64;
    while start.elapsed() < Duration::from_secs(15) {
        assert!(house.gateway.resident_bytes() < 5 * (128 << 20));
        let metrics = house.gateway.metrics().await;
        let kinesis = |gauge: &str| metrics.sum(gauge, &["destination=\"kinesis\""]);
        assert_eq!(kinesis("headgate_destination_up"), 1.0);
        overloaded = overloaded.max(kinesis("headgate_destination_overloaded"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(overloaded, 1.0, "it was said that too much comes");
    let throttled = house.stand_in.tally().kinesis.failed_records.values().sum::<u64>();
    assert!(throttled > 0, "the shards take a fifth of what they say");
    house.stream.limit_shard(0, None);
    house.stream.limit_shard(1, None);
    load.acknowledge(5_000, Duration::from_secs(10)).await;
    let tally = load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    let judgement = oracle.judge(&house.consumed());
    assert_eq!(house.doubled_records(), 0, "what was throttled was not stored");
    judgement.at_least_once().assert_kept(5_000);
    house.assert_quiet().await;
}
