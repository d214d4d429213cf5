//! Order and resharding.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_proto::v1::stream_events_response::Answer;
use headgate_proto::v1::{Event, StreamEventsRequest};
use headgate_tests::aws::faults::{Fault, Rule};
use headgate_tests::aws::{CallError, RecordError, Settings};
use headgate_tests::client::Connection;
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::seed::{Draw, seed};
use uuid::Uuid;

use super::Streaming;
use crate::PATIENCE;

const KEYS: u64 = 200;
const BATCHES: u64 = 300;
const BATCH: u64 = 40;

/// The n-th event of a key.
fn event(key: u64, number: u64) -> Event {
    Event {
        event_id: Uuid::new_v4().to_string(),
        event_type: "step".to_owned(),
        event_name: "step".to_owned(),
        event_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        event_data: format!("{{\"key\":{key},\"number\":{number}}}").into_bytes().into(),
        partition_key: format!("player-{key}"),
        ..Event::default()
    }
}

/// Sends events of many keys on one stream, each key's in order, without waiting for answers; every one is accepted.
async fn send_in_order(house: &Streaming, mut between: impl AsyncFnMut(u64)) {
    let (_, target) = house.gateway.demo();
    let mut connection = Connection::open(&target).await.expect("the gateway takes calls");
    let mut stream = connection.stream(64).await.expect("the gateway opens streams");
    let requests = stream.requests.clone();
    let answers = tokio::spawn(async move {
        let mut accepted = 0_u64;
        while accepted < BATCHES * BATCH {
            let answer = stream.answers.message().await.expect("the stream goes on").expect("and does not end");
            match answer.answer.expect("an answer says something") {
                Answer::Verdict(verdict) => {
                    assert_eq!(verdict.not_accepted, Vec::new());
                    accepted += u64::from(verdict.accepted);
                }
                other => panic!("{other:?}"),
            }
        }
    });
    let mut next = HashMap::new();
    let mut draw = Draw::new(7, 7);
    for sequence in 0..BATCHES {
        let events = (0..BATCH).map(|_| {
            let key = draw.within(0..=KEYS - 1);
            let number = next.entry(key).or_insert(0);
            *number += 1;
            event(key, *number)
        });
        let request = StreamEventsRequest { sequence, events: events.collect() };
        requests.send(request).await.expect("the stream takes requests");
        between(sequence).await;
    }
    tokio::time::timeout(PATIENCE, answers).await.expect("answered in time").expect("no panic");
}

/// For each key the first appearances of its events come in the order in which they were sent.
fn assert_in_order(house: &Streaming) {
    let mut last: HashMap<u64, u64> = HashMap::new();
    let mut first_appearances = 0;
    for row in house.consumed() {
        let data: serde_json::Value =
            serde_json::from_slice(row.event_data.as_ref().expect("sent").data()).expect("JSON");
        let (key, number) = (data["key"].as_u64().expect("sent"), data["number"].as_u64().expect("sent"));
        let last = last.entry(key).or_insert(0);
        if number > *last {
            assert_eq!(number, *last + 1, "key {key}: {number} came after {last}");
            *last = number;
            first_appearances += 1;
        }
    }
    assert_eq!(first_appearances, BATCHES * BATCH, "everything is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_key_stay_in_order_whatever_fails() {
    let seed = seed("keyed");
    let settings = Settings { throttle: None, seed, ..Settings::default() };
    // A lane waits for each of its records: what fails often takes a while.
    let keyed = [
        "kinesis.routing=keyed",
        "kinesis.linger=20ms",
        "kinesis.attempt_timeout=500ms",
        "delivery.deadline=20s",
        "delivery.spill=0B",
    ];
    let house = Streaming::start(settings, 4, &keyed).await;
    let faults = house.stand_in.faults();
    faults.set(Rule::new(Fault::EachRecordFails { probability: 0.1, error: RecordError::InternalFailure }));
    faults.set(Rule::new(Fault::EachRecordFails { probability: 0.05, error: RecordError::Throttled }));
    for fault in [Fault::AnswerLost, Fault::AnswerReset, Fault::CallFails(CallError::InternalFailure)] {
        faults.set(Rule::new(fault).probability(0.02));
    }
    send_in_order(&house, async |_| tokio::time::sleep(Duration::from_millis(10)).await).await;
    println!("{:?}", faults.happened());
    assert!(house.stand_in.tally().kinesis.failed_records.values().sum::<u64>() > 20);
    assert_in_order(&house);
    house.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_and_a_merge_under_keyed_load_lose_and_reorder_nothing() {
    let seed = seed("keyed resharding");
    let settings = Settings { throttle: None, seed, ..Settings::default() };
    let keyed = ["kinesis.routing=keyed", "kinesis.linger=20ms", "kinesis.refresh_interval=1s"];
    let house = Streaming::start(settings, 2, &keyed).await;
    let fails = Fault::EachRecordFails { probability: 0.1, error: RecordError::InternalFailure };
    house.stand_in.faults().set(Rule::new(fails));
    let mut children = None;
    send_in_order(&house, async |sequence| {
        match sequence {
            100 => children = Some(house.stream.split(0)),
            200 => {
                let (left, right) = children.expect("split before");
                house.stream.merge(left, right);
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    })
    .await;
    assert_in_order(&house);
    let refreshes = house.gateway.metrics().await.sum("headgate_shard_map_refreshes_total", &["result=\"ok\""]);
    assert!(refreshes > 0.0);
    house.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resharding_under_sticky_load_loses_nothing_and_consumers_drop_nothing() {
    let seed = seed("sticky resharding");
    let settings = Settings { throttle: None, seed, ..Settings::default() };
    let house = Streaming::start(settings, 2, &["kinesis.refresh_interval=1s"]).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    for _ in 0..3 {
        load.acknowledge(2_000, PATIENCE).await;
        let open: Vec<u32> =
            house.stream.shards().iter().filter(|shard| !shard.closed).map(|shard| shard.number).collect();
        let (left, right) = house.stream.split(open[0]);
        load.acknowledge(2_000, PATIENCE).await;
        house.stream.merge(left, right);
    }
    load.acknowledge(2_000, PATIENCE).await;
    let tally = load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    let judgement = oracle.judge(&house.consumed());
    assert_eq!(house.doubled_records(), 0);
    judgement.assert_kept(14_000);
    house.assert_quiet().await;
}

/// A stream that spreads records itself: consumers drop aggregates there, so none may be sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_turns_to_auto_distribution_gets_plain_records() {
    let seed = seed("auto");
    let settings = Settings { throttle: None, seed, ..Settings::default() };
    let house = Streaming::start(settings, 4, &["kinesis.refresh_interval=1s"]).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    load.acknowledge(1_000, PATIENCE).await;
    house.stream.set_auto(true);
    headgate_tests::poll::until("the gateway notices", PATIENCE, async || {
        let plain = house.stand_in.tally().kinesis;
        (plain.stored_records > plain.explicit_hash_keys + 500).then_some(())
    })
    .await;
    let tally = load.finish(PATIENCE).await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    let rows: Vec<_> = house.stream.shards().iter().flat_map(|shard| shard.records.clone()).collect();
    let last = rows.iter().max_by_key(|record| record.arrived).expect("some");
    assert_eq!(last.explicit_hash_key, None, "such a stream takes no hash keys");
    assert!(last.data.starts_with(b"{"), "and no aggregates");
    drop(oracle);
}
