//! How kept buckets are delivered after all.

use std::io::Write;

use super::*;

#[test]
fn a_resend_is_unknown_until_the_bucket_is_delivered_and_a_duplicate_from_then_on() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    let recipient = Recipient::new();
    recipient.down.store(true, Ordering::Relaxed);
    rig.run(&spill, &recipient);
    rig.keep(&spill, "one\n");
    assert_eq!(rig.resend(0), (Fate::Shared, Some(UNKNOWN)));
    recipient.down.store(false, Ordering::Relaxed);
    rig.wait_for("not delivered", || rig.count(Counter::SpillDelivered) == 1);
    rig.wait_for("it is still in flight", || rig.resend(0).0 == Fate::Stored);
    rig.wait_for("the file is not removed", || rig.files().is_empty());
    rig.wait_for("its space is not given back", || spill.inner.space.used() == 0);
}

#[test]
fn nothing_is_sent_while_the_destination_is_down() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    let recipient = Recipient::new();
    recipient.down.store(true, Ordering::Relaxed);
    rig.run(&spill, &recipient);
    rig.keep(&spill, "one\n");
    rig.keep(&spill, "two\n");
    assert_eq!(recipient.taken(), Vec::<String>::new());
    recipient.down.store(false, Ordering::Relaxed);
    rig.wait_for("not delivered", || recipient.taken().len() == 2);
    assert_eq!(recipient.taken(), ["one\n", "two\n"], "the oldest goes first");
}

#[test]
fn what_is_not_stored_stays_kept_and_is_sent_until_it_is() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    let recipient = Recipient::new();
    recipient.answers.lock().expect("no panics").extend([NOT_STORED, UNKNOWN, NOT_STORED]);
    rig.run(&spill, &recipient);
    rig.keep(&spill, "one\n");
    rig.wait_for("not delivered", || rig.count(Counter::SpillDelivered) == 1);
    assert_eq!(recipient.taken(), ["one\n"; 4]);
    rig.wait_for("it is still in flight", || rig.resend(0).0 == Fate::Stored);
}

#[test]
fn buckets_of_a_lane_are_sent_one_at_a_time_in_order_and_the_lane_waits_for_all_of_them() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    let recipient = Recipient::new();
    recipient.holds.store(true, Ordering::Relaxed);
    let (one, other) = (lane(), lane());
    for payload in ["one 1\n", "one 2\n"] {
        assert!(spill.keep(rig.bucket_of(&one, payload)).is_ok());
    }
    assert!(spill.keep(rig.bucket_of(&other, "other 1\n")).is_ok());
    rig.run(&spill, &recipient);
    rig.wait_for("not sent", || recipient.held.lock().expect("no panics").len() == 2);
    let lanes: Vec<_> = recipient.taken.lock().expect("no panics").iter().map(|(.., lane)| *lane).collect();
    assert_eq!(lanes, [Some(one.order().number()), Some(other.order().number())]);
    // The first one fails: nothing of its lane may overtake it.
    recipient.release(&UNKNOWN);
    rig.wait_for("not sent again", || recipient.held.lock().expect("no panics").len() == 2);
    let mut again = recipient.taken()[2..].to_vec();
    again.sort_unstable();
    assert_eq!(again, ["one 1\n", "other 1\n"]);
    recipient.release(&Outcome::Stored);
    rig.wait_for("the next one is not sent", || recipient.held.lock().expect("no panics").len() == 1);
    assert!(one.order().has_kept(), "its second bucket is still kept");
    assert!(!other.order().has_kept());
    recipient.release(&Outcome::Stored);
    assert_eq!(recipient.taken()[4..], ["one 2\n"]);
    assert!(!one.order().has_kept());
}

#[test]
fn only_a_few_mib_are_on_their_way_at_once() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, 64 * MIB);
    let recipient = Recipient::new();
    recipient.holds.store(true, Ordering::Relaxed);
    let large = "x".repeat(MIB as usize);
    for _ in 0..10 {
        rig.keep(&spill, &large);
    }
    rig.run(&spill, &recipient);
    let mut delivered = 0;
    while delivered < 10 {
        rig.wait_for("not sent", || !recipient.held.lock().expect("no panics").is_empty());
        let held: Vec<_> = recipient.held.lock().expect("no panics").drain(..).collect();
        assert!(held.len() <= 4, "{} MiB on their way", held.len());
        delivered += held.len();
        held.into_iter().for_each(|bucket| bucket.ticket.settle(&Outcome::Stored));
    }
    rig.wait_for("files are left", || rig.files().is_empty());
}

#[test]
fn what_is_left_at_a_stop_is_delivered_after_the_next_start_in_its_format() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    rig.keep(&spill, "lines\n");
    let (bucket, verdict) = rig.bucket("framed");
    assert!(spill.keep(ClosedBucket { format: Format::Aggregate, ..bucket }).is_ok());
    assert_eq!(verdict.wait(), UNKNOWN);
    rig.close(&spill);
    drop(spill);

    let spill = rig.open(OsFiles, 10);
    assert!(spill.inner.space.used() > 10, "what is left counts, though the bound is lower now");
    let recipient = Recipient::new();
    rig.run(&spill, &recipient);
    rig.wait_for("not delivered", || rig.count(Counter::SpillDelivered) == 2);
    let expected = [("lines\n".to_owned(), Format::Lines, None), ("framed".to_owned(), Format::Aggregate, None)];
    assert_eq!(*recipient.taken.lock().expect("no panics"), expected);
    rig.wait_for("files are left", || rig.files().is_empty());
    rig.close(&spill);
    assert_eq!(spill.inner.space.used(), 0);
}

#[test]
fn a_torn_tail_costs_only_itself() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    rig.keep(&spill, "one\n");
    rig.keep(&spill, "two\n");
    rig.close(&spill);
    drop(spill);
    let file = rig.files().pop().expect("is there");
    let whole = fs::read(&file).expect("reads");
    fs::write(&file, &whole[..whole.len() - 1]).expect("writes");
    let empty = file.with_file_name("000000000099.spill");
    fs::OpenOptions::new().create(true).append(true).open(&empty).expect("makes").write_all(b"HGSP").expect("writes");

    let spill = rig.open(OsFiles, MIB);
    assert!(!empty.exists(), "a file without a bucket is of no use");
    assert_eq!(rig.count(Counter::SpillTornBytes), (FRAME_HEADER + 4 - 1 + 4) as u64);
    let recipient = Recipient::new();
    rig.run(&spill, &recipient);
    rig.wait_for("not delivered", || recipient.taken() == ["one\n"]);
    // New files never take the number of one that was there.
    recipient.down.store(true, Ordering::Relaxed);
    rig.keep(&spill, "three\n");
    assert!(rig.files().iter().any(|file| file.ends_with("000000000100.spill")), "{:?}", rig.files());
}

/// In its length, which says where the next one begins, and in its payload.
#[test]
fn damage_in_the_middle_of_a_file_costs_only_the_bucket_that_it_hits() {
    let second = frame::FILE_HEADER + FRAME_HEADER + "one\n".len();
    for place in [second + 4, second + FRAME_HEADER] {
        let rig = Rig::new();
        let spill = rig.open(OsFiles, MIB);
        for payload in ["one\n", "two\n", "three\n"] {
            rig.keep(&spill, payload);
        }
        rig.close(&spill);
        drop(spill);
        let file = rig.files().pop().expect("is there");
        let mut bytes = fs::read(&file).expect("reads");
        bytes[place] ^= 0x20;
        fs::write(&file, bytes).expect("writes");

        let spill = rig.open(OsFiles, MIB);
        assert_eq!(rig.count(Counter::SpillTornBytes), (FRAME_HEADER + "two\n".len()) as u64);
        let recipient = Recipient::new();
        rig.run(&spill, &recipient);
        rig.wait_for("not delivered", || recipient.taken() == ["one\n", "three\n"]);
        rig.wait_for("files are left", || rig.files().is_empty());
    }
}

#[test]
fn a_bucket_that_was_damaged_on_the_disk_is_never_sent_and_its_lane_goes_on() {
    let rig = Rig::new();
    let spill = rig.open(OsFiles, MIB);
    let lane = lane();
    assert!(spill.keep(rig.bucket_of(&lane, "damaged\n")).is_ok());
    assert!(spill.keep(rig.bucket_of(&lane, "good\n")).is_ok());
    rig.wait_for("not kept", || rig.resend(1).1.is_some());
    let file = rig.files().pop().expect("is there");
    let mut bytes = fs::read(&file).expect("reads");
    bytes[frame::FILE_HEADER + FRAME_HEADER] ^= 1;
    fs::write(&file, bytes).expect("writes");
    let recipient = Recipient::new();
    rig.run(&spill, &recipient);
    rig.wait_for("not delivered", || recipient.taken() == ["good\n"]);
    rig.wait_for("the lane stands still", || !lane.order().has_kept());
    assert_eq!(rig.count(Counter::SpillLost), 1);
    assert_eq!(rig.resend(0).0, Fate::Failed);
}

#[test]
fn a_process_that_dies_at_any_moment_loses_nothing_that_was_kept() {
    // The power goes before each operation in turn; whatever had its verdict by then is delivered after the start.
    let mut cut_at = 1;
    loop {
        let rig = Rig::new();
        let files = rig.failing();
        let spill = rig.open(files.clone(), MIB);
        files.cut_at(cut_at);
        let mut kept = Vec::new();
        for number in 0..4 {
            let payload = format!("{number}\n");
            let on_shelf = || usize::try_from(rig.metrics.gauge(Gauge::SpillBuckets, &["kinesis"]).get());
            // Before it is kept: what can't be written may be lost before `keep` returns.
            let lost = rig.count(Counter::SpillLost);
            if spill.keep(rig.bucket(&payload).0).is_err() {
                continue;
            }
            rig.wait_for("neither kept nor lost", || {
                on_shelf() == Ok(kept.len() + 1) || rig.count(Counter::SpillLost) > lost
            });
            if on_shelf() == Ok(kept.len() + 1) {
                kept.push(payload);
            }
        }
        let ended = files.is_powered();
        files.cut().expect("cuts");
        drop(spill);
        let spill = rig.open(OsFiles, MIB);
        let recipient = Recipient::new();
        rig.run(&spill, &recipient);
        rig.wait_for("not delivered", || kept.iter().all(|payload| recipient.taken().contains(payload)));
        rig.close(&spill);
        if ended {
            assert!(cut_at > 5, "nothing was tried");
            break;
        }
        cut_at += 1;
    }
}
