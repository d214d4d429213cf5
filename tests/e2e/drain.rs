//! SIGTERM at full load: nothing that was acknowledged is lost, and nobody is left without an answer.

use std::sync::Arc;
use std::time::Duration;

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::seed::{Draw, seed};

use crate::crash::judge_stopped;
use crate::{NO_RATE_LIMIT, PATIENCE};

const STOPS: u32 = 5;
/// `lifecycle.drain_deadline`.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);
/// `lifecycle.drain_grace` is 2 s; the rest is for a busy machine.
const ENOUGH: Duration = Duration::from_secs(8);

/// Streams that follow the notice and streams that ignore it, and unary calls; each ends with a status, and what a stream
/// took before it ended is answered.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_at_full_load_loses_nothing_and_leaves_no_call_without_an_answer() {
    let seed = seed("drain");
    let mut draw = Draw::new(seed, 1_000_000);
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &NO_RATE_LIMIT).await;
    let (demo, target) = gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let shape = Shape { streams: 6, stubborn: 2, unary: 6, ..Shape::default() };
    let load = Load::start(&oracle, &[target], &shape, seed);
    for _ in 0..STOPS {
        load.acknowledge(draw.within(1_000..=10_000), PATIENCE).await;
        let started = tokio::time::Instant::now();
        let status = gateway.terminate(DRAIN_DEADLINE).await;
        let took = started.elapsed();
        println!("drained in {took:?}");
        assert!(took < ENOUGH, "a client that stays may use up its grace, not the drain's deadline: {took:?}");
        assert_eq!(status.code(), Some(0), "the drain was clean");
        gateway.start_again().await;
    }
    let tally = load.finish(PATIENCE).await;
    println!("{tally:?}");
    assert_eq!(tally.broken_off, 0, "a call broke off without a status: {tally:?}");
    assert_eq!(tally.forgotten, 0, "a stream ended well and owed answers: {tally:?}");
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    assert!(tally.notices >= u64::from(STOPS), "streams are asked to leave: {tally:?}");
    let asked_twice = tally.stream_ends.get("Unavailable with a hint").copied().unwrap_or_default();
    assert!(asked_twice > 0, "a stream that stays is ended with a status: {tally:?}");

    assert!(gateway.terminate(DRAIN_DEADLINE).await.success());
    let judgement = judge_stopped(&gateway, &oracle);
    judgement.assert_kept(5_000);
    assert_eq!(judgement.unsettled, 0);
}
