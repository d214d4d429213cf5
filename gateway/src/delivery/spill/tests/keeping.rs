//! What is taken, what it is told, and when.

use super::*;

#[test]
fn a_kept_event_is_unknown_once_it_is_durable_and_not_before() {
    let rig = Rig::new();
    let files = rig.failing();
    let spill = rig.open(files.clone(), MIB);
    files.hold_syncs(true);
    let (bucket, verdict) = rig.bucket("one\n");
    let (taken_at, before) = (rig.clock.now(), files.operations());
    assert!(spill.keep(bucket).is_ok(), "taking does not wait for the disk");
    // The file is made, its header and the bucket are written, and the fsync has begun.
    rig.wait_for("nothing was written", || files.operations() >= before + 5);
    let told = verdict.now();
    assert!(told.is_none() || rig.clock.now() - taken_at >= queue::PATIENCE, "{told:?}");
    files.hold_syncs(false);
    assert_eq!(verdict.wait(), UNKNOWN);
    files.cut().expect("cuts");
    assert_eq!(rig.files().len(), 1, "it is still there after a power cut");
}

#[test]
fn a_disk_that_hangs_holds_up_no_verdict_and_nothing_more_is_taken() {
    let rig = Rig::new();
    let files = rig.failing();
    let spill = rig.open(files.clone(), MIB);
    files.hold_syncs(true);
    let (bucket, verdict) = rig.bucket("one\n");
    let start = rig.clock.now();
    assert!(spill.keep(bucket).is_ok());
    assert_eq!(verdict.wait(), UNKNOWN);
    assert!(rig.clock.now() - start < Duration::from_secs(10), "the verdict waited for the disk");
    let (bucket, _) = rig.bucket("two\n");
    assert!(spill.keep(bucket).is_err(), "what can't be written must not pile up");
    files.hold_syncs(false);
    // It still becomes durable, and more is taken again.
    rig.wait_for("nothing is taken", || spill.keep(rig.bucket("three\n").0).is_ok());
    rig.close(&spill);
    drop(spill);
    let recipient = Recipient::new();
    let spill = rig.open(OsFiles, MIB);
    rig.run(&spill, &recipient);
    rig.wait_for("not delivered", || recipient.taken() == ["one\n", "three\n"]);
}

#[test]
fn what_is_over_the_bound_is_given_back_and_space_comes_back_with_delivery() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, 300);
    rig.keep(&spill, &"a".repeat(200));
    let (second, verdict) = rig.bucket(&"b".repeat(200));
    let second = spill.keep(second).expect_err("does not fit");
    assert_eq!((second.payload.len(), verdict.now()), (200, None), "it comes back as it was");
    assert_eq!(rig.count(Counter::SpillRefused), 1);
    let recipient = Recipient::new();
    rig.run(&spill, &recipient);
    rig.wait_for("space is not given back", || spill.inner.space.used() == 0);
    assert!(spill.keep(*second).is_ok());
    assert_eq!(verdict.wait(), UNKNOWN);
    rig.wait_for("not delivered", || recipient.taken().len() == 2);
}

#[test]
fn a_spill_that_is_off_takes_nothing() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, 0);
    assert!(spill.keep(rig.bucket("one\n").0).is_err());
    assert!(!Spill::is_left(&OsFiles, rig.dir.path(), "kinesis").expect("lists"));
    assert!(!Spill::is_left(&OsFiles, rig.dir.path(), "firehose").expect("lists"));
}

#[test]
fn on_a_full_disk_events_are_unknown_and_lanes_go_on_and_nothing_is_left_behind() {
    let rig = Rig::new();
    let files = rig.failing();
    let spill = rig.open(files.clone(), MIB);
    files.set_room(Some(30));
    let lane = lane();
    let (bucket, verdict) = rig.bucket("does not fit\n");
    lane.order().keep();
    assert!(spill.keep(ClosedBucket { lane: Some(lane.clone()), ..bucket }).is_ok());
    assert_eq!(verdict.wait(), UNKNOWN);
    rig.wait_for("the lane stands still", || !lane.order().has_kept());
    rig.wait_for("it is not out of flight", || rig.resend(0).0 == Fate::Failed);
    assert!(spill.keep(rig.bucket("two\n").0).is_err(), "while the disk refuses nothing is taken");
    assert_eq!((spill.inner.space.used(), rig.files()), (0, Vec::<PathBuf>::new()));
    assert_eq!(rig.count(Counter::SpillLost), 1);
    files.set_room(None);
    rig.wait_for("nothing is taken again", || spill.keep(rig.bucket("three\n").0).is_ok());
}

#[test]
fn a_failed_fsync_is_never_taken_for_a_good_one() {
    let rig = Rig::new();
    let files = rig.failing();
    let spill = rig.open(files.clone(), MIB);
    rig.keep(&spill, "one\n");
    files.fail_sync(1);
    let (bucket, verdict) = rig.bucket("lost\n");
    assert!(spill.keep(bucket).is_ok());
    assert_eq!(verdict.wait(), UNKNOWN);
    rig.wait_for("it is still in flight", || rig.resend(1).0 == Fate::Failed);
    rig.wait_for("nothing is taken again", || spill.keep(rig.bucket("two\n").0).is_ok());
    rig.close(&spill);
    files.cut().expect("cuts");
    drop(spill);
    let recipient = Recipient::new();
    let spill = rig.open(OsFiles, MIB);
    rig.run(&spill, &recipient);
    rig.wait_for("not delivered", || recipient.taken().len() == 2);
    assert_eq!(recipient.taken(), ["one\n", "two\n"]);
}

#[test]
fn what_waits_to_be_written_is_written_at_a_close() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    let verdicts: Vec<_> = (0..100)
        .map(|number| {
            let (bucket, verdict) = rig.bucket(&format!("{number}\n"));
            assert!(spill.keep(bucket).is_ok());
            verdict
        })
        .collect();
    rig.close(&spill);
    assert!(verdicts.iter().all(|verdict| verdict.now() == Some(UNKNOWN)));
    assert!(spill.keep(rig.bucket("late\n").0).is_err(), "a closed spill takes nothing");
    drop(spill);
    assert!(Spill::is_left(&OsFiles, rig.dir.path(), "kinesis").expect("lists"));
    assert_eq!(rig.open(OsFiles, MIB).inner.shelf.look(rig.clock.now()), shelf::Look::Ready);
}
