//! A disk that fails and recovers, or fills up, at full load: nothing is acknowledged that isn't there, clients are told
//! when to come back, and the gateway finds by itself that the disk works again.

use std::sync::Arc;
use std::time::Duration;

use headgate::config::Settings;
use headgate::delivery::lake::OsFiles;
use headgate::delivery::lake::power_cut::{PowerCutFiles, Survival};
use headgate::metrics::{Counter, Gauge};
use headgate::serve::Stopped;
use headgate_tests::inproc::InProcess;
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::seed::{Draw, seed};
use headgate_tests::{lake, poll};

use crate::{PATIENCE, no_rate_limit};

const FAILED_SYNCS: u32 = 6;
const FILLED: u32 = 3;
/// Well above how often the gateway looks at a disk that was full.
const HEAL_PATIENCE: Duration = Duration::from_secs(5);

fn short_deadline(settings: &mut Settings) {
    no_rate_limit(settings);
    settings.delivery.deadline = Duration::from_secs(1);
}

/// After a failed fsync the kernel has dropped what it was to write, and says so only once. What was not acknowledged
/// goes to a new segment; a power cut at the end shows that nothing was taken for durable that was not.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fsync_acknowledges_nothing_that_is_not_written_elsewhere() {
    let seed = seed("failed fsync");
    let mut draw = Draw::new(seed, 0);
    let data = tempfile::tempdir().expect("a folder");
    let files = PowerCutFiles::new(data.path(), Survival::Nothing).expect("the folder can be used");
    let gateway = InProcess::start(data.path(), Arc::new(files.clone()), no_rate_limit).await;
    let failed_syncs = gateway.metrics().counter(Counter::LakeErrors, &["sync"]);
    let (demo, target) = gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    for _ in 0..FAILED_SYNCS {
        load.acknowledge(draw.within(200..=2_000), PATIENCE).await;
        let before = failed_syncs.get();
        // An fsync of a Parquet file or of bad rows may be the one that fails; then it is the log's turn again.
        let mut armed = 0;
        poll::until("an fsync of the log to fail", PATIENCE, async || {
            if files.syncs() >= armed {
                let nth = draw.within(1..=5);
                armed = files.syncs() + nth;
                files.fail_sync(nth);
            }
            (failed_syncs.get() > before).then_some(())
        })
        .await;
        // It goes on by itself.
        load.acknowledge(1_000, HEAL_PATIENCE).await;
    }
    files.cut().expect("the power can be cut");
    let tally = load.abandon().await;
    assert_eq!(tally.without_hint, 0, "{tally:?}");
    gateway.vanish().await;

    let gateway = InProcess::start(data.path(), Arc::new(OsFiles), no_rate_limit).await;
    gateway.compact().await;
    oracle.judge(&lake::rows(&data.path().join("lake"))).assert_kept(5_000);
    assert_eq!(gateway.stop().await, Stopped::Clean);
}

/// The disk fills up at full load and has space again when nobody sends any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_with_a_hint_and_heals_without_traffic() {
    let seed = seed("disk full");
    let mut draw = Draw::new(seed, 0);
    let data = tempfile::tempdir().expect("a folder");
    let files = PowerCutFiles::new(data.path(), Survival::Nothing).expect("the folder can be used");
    let gateway = InProcess::start(data.path(), Arc::new(files.clone()), short_deadline).await;
    let held = gateway.metrics().gauge(Gauge::BytesInFlight, &[]);
    let (demo, target) = gateway.demo();
    let targets = [target];
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    for round in 0..FILLED {
        let load = Load::start(&oracle, &targets, &Shape::default(), seed.wrapping_add(round.into()));
        load.acknowledge(draw.within(200..=3_000), PATIENCE).await;
        files.set_room(Some(draw.within(0..=100_000)));
        poll::until("batches are refused", PATIENCE, async || {
            let tally = load.tally();
            (tally.refusals_like("Unavailable with a hint") > 20).then_some(())
        })
        .await;
        assert!(!gateway.is_ready().await, "a gateway that takes nothing is not ready");
        let tally = load.abandon().await;
        assert_eq!((tally.without_hint, tally.broken_off, tally.forgotten), (0, 0, 0), "{tally:?}");
        poll::until("every permit to come back", PATIENCE, async || (held.get() == 0).then_some(())).await;
        assert!(!gateway.is_ready().await, "the disk is still full");

        files.set_room(None);
        poll::until("the gateway to find that there is space", HEAL_PATIENCE, async || {
            gateway.is_ready().await.then_some(())
        })
        .await;
    }
    let load = Load::start(&oracle, &targets, &Shape::default(), seed.wrapping_add(FILLED.into()));
    load.acknowledge(1_000, HEAL_PATIENCE).await;
    let tally = load.finish(PATIENCE).await;
    assert_eq!((tally.refusals_like("Unavailable with a hint"), tally.broken_off), (0, 0), "{tally:?}");
    gateway.compact().await;
    oracle.judge(&lake::rows(&data.path().join("lake"))).assert_kept(2_000);
    assert_eq!(gateway.stop().await, Stopped::Clean);
}
