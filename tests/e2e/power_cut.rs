//! Power cuts at full load: exactly what was durable is left, and every acknowledged event is among it.

use std::sync::Arc;
use std::time::Duration;

use headgate::config::Settings;
use headgate::config::units::Size;
use headgate::delivery::lake::OsFiles;
use headgate::delivery::lake::power_cut::{PowerCutFiles, Survival};
use headgate_tests::inproc::InProcess;
use headgate_tests::load::{Load, Shape};
use headgate_tests::lying_files::LyingFiles;
use headgate_tests::oracle::{Oracle, Violation};
use headgate_tests::seed::{Draw, seed};
use headgate_tests::{lake, poll};

use crate::{PATIENCE, no_rate_limit};

const FOLDERS: u64 = 15;
const CUTS: u64 = 3;

/// Segments that seal and turn into Parquet all the time, so that cuts hit that too.
fn busy(settings: &mut Settings) {
    no_rate_limit(settings);
    settings.lake.segment = Size::kib(256);
    settings.lake.segment_age = Duration::from_millis(100);
    settings.delivery.deadline = Duration::from_millis(300);
}

/// Fifteen folders, three cuts each, at an operation that chance picks; some cuts leave nothing of what was not durable,
/// some leave a part of it.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_power_cuts_at_full_load() {
    let seed = seed("power cut");
    for folder in 0..FOLDERS {
        let mut draw = Draw::new(seed, folder);
        let data = tempfile::tempdir().expect("a folder");
        let mut oracle = None;
        for cut in 0..CUTS {
            let survival =
                if (cut + folder).is_multiple_of(2) { Survival::Nothing } else { Survival::Some(draw.any()) };
            let files = PowerCutFiles::new(data.path(), survival).expect("the folder can be used");
            let gateway = InProcess::start(data.path(), Arc::new(files.clone()), busy).await;
            let (demo, target) = gateway.demo();
            let oracle = oracle.get_or_insert_with(|| Arc::new(Oracle::new(draw.any(), &[demo])));
            let load = Load::start(oracle, &[target], &Shape::default(), draw.any());
            load.acknowledge(draw.within(300..=3_000), PATIENCE).await;
            files.cut_at(draw.within(1..=60));
            poll::until("the power to be cut", PATIENCE, async || (!files.is_powered()).then_some(())).await;
            // What is acknowledged from now on must have been durable before. By its deadline everything else is given
            // up, and what is sent again is refused.
            poll::until("batches are refused", PATIENCE, async || {
                (load.tally().refusals_like("Unavailable with a hint") > 0).then_some(())
            })
            .await;
            let _ = load.abandon().await;
            gateway.vanish().await;
        }
        let oracle = oracle.expect("there were cuts");
        let gateway = InProcess::start(data.path(), Arc::new(OsFiles), busy).await;
        gateway.compact().await;
        let judgement = oracle.judge(&lake::rows(&data.path().join("lake")));
        judgement.assert_kept(CUTS * 300);
        let _ = gateway.stop().await;
    }
}

/// A disk that lies about its fsyncs stands for a gateway that acknowledges too early: then this test's measure must find
/// acknowledged events missing.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_of_what_is_not_durable_are_noticed() {
    let seed = seed("lying disk");
    let data = tempfile::tempdir().expect("a folder");
    let files = PowerCutFiles::new(data.path(), Survival::Nothing).expect("the folder can be used");
    let gateway = InProcess::start(data.path(), Arc::new(LyingFiles(files.clone())), no_rate_limit).await;
    let (demo, target) = gateway.demo();
    let oracle = Arc::new(Oracle::new(seed, &[demo]));
    let load = Load::start(&oracle, &[target], &Shape::default(), seed);
    load.acknowledge(1_000, PATIENCE).await;
    files.cut().expect("the power can be cut");
    let _ = load.abandon().await;
    gateway.vanish().await;

    let gateway = InProcess::start(data.path(), Arc::new(OsFiles), no_rate_limit).await;
    gateway.compact().await;
    let judgement = oracle.judge(&lake::rows(&data.path().join("lake")));
    assert!(judgement.acknowledged >= 1_000, "{judgement}");
    assert_eq!(judgement.violation_count, judgement.acknowledged, "{judgement}");
    assert!(judgement.violations.iter().all(|violation| matches!(violation, Violation::Missing { .. })), "{judgement}");
    let _ = gateway.stop().await;
}
