//! The spill: what can't be delivered in time is kept, said to be unknown, and delivered later.

use std::sync::Arc;
use std::time::Duration;

use headgate_tests::aws::Settings;
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::poll;
use headgate_tests::seed::seed;

use super::Streaming;
use crate::PATIENCE;

/// Kinesis is away for longer than the deadline, and the gateway is killed meanwhile: what was kept arrives all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_never_acknowledged_and_arrives_after_a_crash() {
    let seed = seed("spill");
    let settings = ["delivery.spill=64MiB", "delivery.deadline=1s"];
    let mut house = Streaming::start(Settings { throttle: None, seed, ..Settings::default() }, 4, &settings).await;
    let (demo, target) = house.gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    load.acknowledge(1_000, PATIENCE).await;
    house.stand_in.refuse_connections().await;
    let _ = house.stand_in.reset_connections();
    poll::until("buckets in the spill", PATIENCE, async || {
        let kept = house.gateway.metrics().await.sum("headgate_delivery_spilled_buckets_total", &[]);
        (kept > 0.0).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _ = load.abandon().await;
    house.gateway.kill();
    // What was acknowledged is in the stream now, without anything that is only kept.
    oracle.judge(&house.consumed()).at_least_once().assert_kept(1_000);
    let before = house.stand_in.tally().kinesis.stored_records;
    house.stand_in.accept_connections().await;
    house.gateway.start_again().await;
    poll::until("what was kept arrives", PATIENCE, async || {
        let kept = house.gateway.metrics().await.sum("headgate_spill_buckets", &[]);
        (kept == 0.0 && house.stand_in.tally().kinesis.stored_records > before).then_some(())
    })
    .await;
    oracle.judge(&house.consumed()).at_least_once().assert_kept(1_000);
}
