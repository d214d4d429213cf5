//! Kills at full load: what was acknowledged is there, and what the kill tore is mended and told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headgate_tests::gateway::GatewayProcess;
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::seed::{Draw, seed};
use headgate_tests::{binary, lake, torn_tail};
use serde_json::json;

use crate::{NO_RATE_LIMIT, PATIENCE};

const KILLS: u32 = 5;
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// Streams and unary calls of two applications, as many as the gateway takes, while it is killed again and again at
/// moments that chance picks. Small segments, so that kills hit sealing and compaction too.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_kills_at_full_load() {
    let seed = seed("kill");
    let mut draw = Draw::new(seed, 1_000_000);
    let data = tempfile::tempdir().expect("a folder");
    let settings = [&NO_RATE_LIMIT[..], &["lake.segment=1MiB", "lake.segment_age=1s"]].concat();
    let mut gateway = GatewayProcess::start(data.path(), &settings).await;
    let ((demo, to_demo), (other, to_other)) = (gateway.demo(), gateway.new_application("skyfall"));
    let oracle = Arc::new(Oracle::new(seed, &[demo, other]));
    let load = Load::start(&oracle, &[to_demo, to_other], &Shape::default(), seed);
    for _ in 0..KILLS {
        load.acknowledge(draw.within(2_000..=15_000), PATIENCE).await;
        // Not to wait for anything: the kill must not be tied to an acknowledgement.
        tokio::time::sleep(Duration::from_micros(draw.within(0..=30_000))).await;
        gateway.kill();
        gateway.start_again().await;
    }
    let tally = load.finish(PATIENCE).await;
    println!("{tally:?}");
    assert!(tally.broken_off > 0, "no kill hit a call: {tally:?}");
    assert_eq!(tally.forgotten, 0);
    assert_books_balance(&gateway).await;

    assert!(gateway.terminate(DRAIN_DEADLINE).await.success());
    let judgement = judge_stopped(&gateway, &oracle);
    judgement.assert_kept(10_000);
    assert_eq!(judgement.unsettled, 0, "everything was sent again until it was settled");
}

/// What a kill or a power cut leaves at the end of the log: nonsense, the first bytes of a frame's header, half a frame.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_cut_off_and_told_and_costs_no_acknowledged_event() {
    let seed = seed("torn tail");
    let data = tempfile::tempdir().expect("a folder");
    let mut gateway = GatewayProcess::start(data.path(), &NO_RATE_LIMIT).await;
    let (demo, target) = gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    for (round, tear) in (0..).zip(torn_tail::TEARS) {
        let load = Load::start(&oracle, std::slice::from_ref(&target), &Shape::default(), seed + round);
        load.acknowledge(1_000, PATIENCE).await;
        gateway.kill();
        let _ = load.abandon().await;
        let torn = torn_tail::leave(&gateway.lake(), tear);
        let told_before = gateway.log().matches("cut off").count();

        gateway.start_again().await;
        let metrics = gateway.metrics().await;
        assert!(metrics.sum("headgate_lake_torn_bytes_total", &[]) >= torn as f64, "round {round}");
        assert_eq!(metrics.sum("headgate_lake_damaged_bytes_total", &[]), 0.0, "nothing acknowledged was touched");
        assert!(gateway.log().matches("cut off").count() > told_before, "round {round}: the log says so");
    }
    assert!(gateway.terminate(DRAIN_DEADLINE).await.success());
    judge_stopped(&gateway, &oracle).assert_kept(3_000);
}

/// Every event that this process took has its verdict, and nothing is held any more.
async fn assert_books_balance(gateway: &GatewayProcess) {
    let metrics = gateway.metrics().await;
    let received = metrics.sum("headgate_events_received_total", &[]);
    assert!(received > 0.0);
    assert_eq!(metrics.sum("headgate_events_settled_total", &[]), received);
    assert_eq!(metrics.sum("headgate_accounting_violations_total", &[]), 0.0);
    assert_eq!(metrics.sum("headgate_panics_total", &[]), 0.0);
    assert_eq!(metrics.sum("headgate_in_flight_bytes", &[]), 0.0);
}

/// Turns what is left of the log into Parquet, checks the lake against its manifests, and asks the oracle.
pub(crate) fn judge_stopped(gateway: &GatewayProcess, oracle: &Oracle) -> headgate_tests::oracle::Judgement {
    oracle.judge(&stored(gateway.data_dir()))
}

/// Every row that a gateway which has ended left in its data folder, once its lake is whole.
pub(crate) fn stored(data_dir: &Path) -> Vec<lake::Row> {
    let compacted = binary::run_json(data_dir, &["lake", "compact"]);
    assert_eq!(compacted["failed"], json!([]), "{compacted}");
    let verified = binary::run_json(data_dir, &["lake", "verify"]);
    for wrong in ["problems", "strays", "waiting", "set_aside"] {
        assert_eq!(verified[wrong], json!([]), "{verified}");
    }
    lake::rows(&data_dir.join("lake"))
}
