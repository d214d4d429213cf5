use std::collections::BTreeSet;
use std::time::Duration;

use super::super::power_cut::Survival;
use super::rig::{Rig, eventually, wait_for};
use crate::delivery::{Destination, Health};
use crate::gather::{FailureReason, Outcome};
use crate::metrics::Counter;

/// The power goes at some operation while buckets are written and segments turned into Parquet. What was acknowledged
/// is there exactly once, what was said not to be stored is not there, and the rest is there at most once.
#[test]
fn acknowledged_events_survive_a_power_cut_at_any_moment() {
    let mut stored_in_all = 0;
    let mut lost_in_all = 0;
    for seed in 0..100_u64 {
        let mut rig = Rig::new();
        rig.settings.segment = crate::config::Size(2_500);
        let survival = if seed % 3 == 0 { Survival::Nothing } else { Survival::Some(seed) };
        let files = rig.power_cut_files(survival);
        let lake = rig.open(files.clone());
        files.cut_at(1 + seed * 2);
        let verdicts: Vec<_> = (0..30)
            .map(|bucket| {
                let ids = bucket * 5..bucket * 5 + 5;
                let verdict = rig.submit_within(&lake, ids.clone(), Duration::from_millis(60));
                if bucket % 4 == 0 && files.is_powered() {
                    let _ = verdict.wait();
                }
                (ids, verdict)
            })
            .collect();
        let outcomes: Vec<_> = verdicts.into_iter().map(|(ids, verdict)| (ids, verdict.wait())).collect();
        files.cut().expect("cuts");
        wait_for(lake.close());

        let held = rig.holds();
        assert!(held.values().all(|count| *count == 1), "seed {seed}: doubled rows");
        for (ids, outcome) in outcomes {
            let there = ids.clone().filter(|id| held.contains_key(id)).count();
            match outcome {
                Outcome::Stored => {
                    stored_in_all += 1;
                    assert_eq!(there, 5, "seed {seed}: acknowledged {ids:?} is not there");
                }
                Outcome::NotStored { .. } => {
                    lost_in_all += 1;
                    assert_eq!(there, 0, "seed {seed}: {ids:?} is there, but was said not to be");
                }
                Outcome::Unknown { .. } => assert!(there == 0 || there == 5, "seed {seed}: a part of {ids:?}"),
            }
        }
    }
    assert!(stored_in_all > 200 && lost_in_all > 200, "{stored_in_all} stored, {lost_in_all} lost");
}

#[test]
fn one_fsync_serves_every_bucket_that_waits_for_it() {
    let rig = Rig::new();
    let files = rig.power_cut_files(Survival::Nothing);
    let lake = rig.open(files.clone());
    rig.store(&lake, 0..1);
    files.hold_syncs(true);
    let (operations, syncs) = (files.operations(), files.syncs());
    let first = rig.submit(&lake, 1..2);
    // Two writes and the fsync that hangs; from now on everything gathers.
    eventually("the first bucket is written", || files.operations() == operations + 3);
    let rest: Vec<_> = (2..200).map(|id| rig.submit(&lake, id..id + 1)).collect();
    assert_eq!(first.now(), None, "nothing is acknowledged before its fsync");
    files.hold_syncs(false);
    for verdict in rest {
        assert_eq!(verdict.wait(), Outcome::Stored);
    }
    assert_eq!(files.syncs() - syncs, 2);
    wait_for(lake.close());
    rig.assert_holds(0..200);
    assert!(rig.counter(Counter::LakeSyncs, &[]) == 3);
}

#[test]
fn a_group_stays_within_the_bytes_between_two_fsyncs() {
    let mut rig = Rig::new();
    rig.settings.sync_batch = crate::config::Size(10_000);
    let files = rig.power_cut_files(Survival::Nothing);
    let lake = rig.open(files.clone());
    rig.store(&lake, 0..1);
    files.hold_syncs(true);
    let operations = files.operations();
    let mut verdicts = vec![rig.submit(&lake, 1..2)];
    eventually("the first bucket is written", || files.operations() == operations + 3);
    verdicts.extend((2..100).map(|id| rig.submit(&lake, id..id + 1)));
    let syncs = files.syncs();
    files.hold_syncs(false);
    for verdict in verdicts {
        assert_eq!(verdict.wait(), Outcome::Stored);
    }
    assert!(files.syncs() - syncs >= 4, "{} syncs", files.syncs() - syncs);
    wait_for(lake.close());
}

#[test]
fn a_closed_lake_has_stored_what_it_was_given_and_takes_no_more() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    let before: Vec<_> = (0..50).map(|id| rig.submit(&lake, id..id + 1)).collect();
    wait_for(lake.close());
    assert!(before.iter().all(|verdict| verdict.now() == Some(Outcome::Stored)));
    let after = rig.submit(&lake, 50..51).now();
    assert!(matches!(after, Some(Outcome::NotStored { .. })), "{after:?}");
    assert!(wait_for(lake.compact_now()).is_err());
    wait_for(lake.close());
    rig.assert_holds(0..50);
}

/// The disk hangs. Verdicts come at their deadlines all the same: unknown for what may be in the log, not stored for
/// what was never written; the lake counts as down until the disk answers.
#[test]
fn a_disk_that_hangs_delays_no_verdict_past_its_deadline() {
    let rig = Rig::new();
    let files = rig.power_cut_files(Survival::Nothing);
    let lake = rig.open(files.clone());
    rig.store(&lake, 0..1);
    files.hold_syncs(true);
    let operations = files.operations();
    let started = rig.clock.now();
    let written = rig.submit_within(&lake, 1..2, Duration::from_millis(400));
    eventually("the bucket is written", || files.operations() == operations + 3);
    let waiting = rig.submit_within(&lake, 2..3, Duration::from_millis(400));
    let patient = rig.submit_within(&lake, 3..4, Duration::from_secs(20));
    assert_eq!(written.wait(), Outcome::Unknown { reason: FailureReason::Deadline });
    let outcome = waiting.wait();
    assert!(matches!(outcome, Outcome::NotStored { reason: FailureReason::Deadline, .. }), "{outcome:?}");
    let waited = rig.clock.now() - started;
    assert!(waited >= Duration::from_millis(400) && waited < Duration::from_secs(2), "{waited:?}");

    eventually("the lake is down", || lake.health() != Health::Up);
    let Health::Down { reason, .. } = lake.health() else { panic!("is up") };
    assert!(reason.contains("has not answered"), "{reason}");
    files.hold_syncs(false);
    assert_eq!(patient.wait(), Outcome::Stored);
    eventually("the lake is up again", || lake.health() == Health::Up);
    wait_for(lake.close());
    let held: BTreeSet<u64> = rig.holds().into_keys().collect();
    assert!(held.contains(&3) && !held.contains(&2), "{held:?}");
}
