//! What a gateway hides by standing still, an open loop shows and a closed loop does not.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{House, balanced};

const RUN_S: f64 = 12.0;
const STALL: Duration = Duration::from_secs(3);

/// The gateway stands still for S of T seconds. An event that was due t into the stall waits S - t, so a share of
/// (S - x) / T of all events waits longer than x. Eight Goose users that wait for each answer send once in all that time.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_gateway_shows_in_full_while_a_closed_loop_hides_it() {
    // Nor does a disk that other tests write to stand still for longer.
    let mut house = House::with(&["delivery.destination=discard"], &[]).await;
    let tester = house.load(&["--run-time", "12", "--closed-loop", "8", "--allow-invalid"]);
    tester.in_progress().await;
    house.gateway.signal(Signal::STOP);
    let stopped = Instant::now();
    sleep(STALL).await;
    house.gateway.signal(Signal::CONT);
    let stall = stopped.elapsed().as_secs_f64();
    let result = tester.ended().await.result(0);
    balanced(&result.ledger);

    let ack = &result.classes["good"].latencies.ack;
    let expected = stall - 0.1 * RUN_S;
    let p90 = ack.quantile(0.9).as_secs_f64();
    assert!((p90 / expected - 1.0).abs() < 0.05, "p90 of {p90:.3} s, {expected:.3} s expected");
    assert!(ack.quantile(0.5) < Duration::from_millis(200), "p50 of {:?}", ack.quantile(0.5));

    let truth = ack.quantile(0.99).as_secs_f64();
    let closed = result.closed_loop.expect("there was one");
    let seen = closed.p99_us as f64 / 1e6;
    println!("p90 {p90:.3} s of {expected:.3} s; p99 open {truth:.3} s, closed {seen:.3} s in {} calls", closed.calls);
    assert!(closed.calls > 500 && seen < 0.5 * truth, "{closed:?} beside {truth:.3} s");
    assert!(closed.max_us as f64 > 1e6 * (stall - 0.5), "it was there during the stall: {closed:?}");
}
