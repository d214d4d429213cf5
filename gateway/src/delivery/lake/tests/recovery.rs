use std::fs;
use std::os::unix::fs::FileExt;

use super::super::compact::{Compaction, Sealed};
use super::super::compactor::compact_one;
use super::super::layout::{Layout, SegmentNumber};
use super::super::log::{FRAME_HEADER, SEGMENT_HEADER};
use super::super::partition::EventWindow;
use super::super::recover::Recovery;
use super::super::{LakeParts, RecoveryReport, verify};
use super::rig::{Rig, eventually, payload_of, wait_for};
use crate::delivery::Destination;
use crate::metrics::Counter;

/// Where frames end in a log of one-event buckets.
fn ends(ids: std::ops::Range<u64>) -> Vec<usize> {
    let mut end = SEGMENT_HEADER;
    let mut ends = vec![end];
    for id in ids {
        end += FRAME_HEADER + payload_of(&[id]).1.len();
        ends.push(end);
    }
    ends
}

fn one_event_buckets(ids: std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
    ids.map(|id| id..id + 1).collect()
}

/// The first segment's length once the log is in order.
fn recovered_len(rig: &Rig) -> u64 {
    let layout = Layout::new(&rig.data_dir);
    layout.create(&rig.files()).expect("creates");
    let window = EventWindow::new(&rig.settings);
    let recovered = Recovery { files: &rig.files(), layout: &layout, metrics: &rig.metrics, window }.run();
    assert_eq!(recovered.expect("recovers").waiting.len(), 1);
    fs::metadata(rig.segment(1)).expect("is there").len()
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_what_was_before_it_is_kept() {
    let rig = Rig::new();
    rig.log(&one_event_buckets(0..4));
    let log = fs::read(rig.segment(1)).expect("reads");
    let ends = ends(0..4);
    assert_eq!(log.len(), ends[4]);
    for len in ends[3]..ends[4] {
        let rig = Rig::new();
        fs::create_dir_all(rig.data_dir.join("lake/log")).expect("makes a folder");
        fs::write(rig.segment(1), &log[..len]).expect("writes");
        let torn_bytes = (len - ends[3]) as u64;
        if len % 50 == 0 {
            // Without a compactor that takes the segment away.
            assert_eq!(recovered_len(&rig), ends[3] as u64, "cut at {len}");
            fs::write(rig.segment(1), &log[..len]).expect("writes");
        }
        let lake = rig.open(rig.files());
        let report = RecoveryReport { segments: 1, events: 3, torn_bytes, damaged_bytes: 0 };
        assert_eq!(lake.recovery(), report, "cut at {len}");
        assert!(rig.counter(Counter::LakeTornBytes, &[]) >= torn_bytes);
        rig.store(&lake, 4..6);
        wait_for(lake.close());
        rig.assert_holds([0, 1, 2, 4, 5]);
    }
}

#[test]
fn damage_in_the_middle_is_set_aside_and_the_rest_is_kept() {
    let rig = Rig::new();
    rig.log(&one_event_buckets(0..4));
    let mut log = fs::read(rig.segment(1)).expect("reads");
    let ends = ends(0..4);
    log[ends[1] + FRAME_HEADER + 30] ^= 1;
    let damaged = log[ends[1]..ends[2]].to_vec();
    // And a torn tail behind it.
    log.extend_from_slice(b"\xf7HGF torn");
    fs::write(rig.segment(1), &log).expect("writes");
    let lake = rig.open(rig.files());
    let report = RecoveryReport { segments: 1, events: 3, torn_bytes: 9, damaged_bytes: damaged.len() as u64 };
    assert_eq!(lake.recovery(), report);
    assert_eq!(rig.counter(Counter::LakeDamagedBytes, &[]), damaged.len() as u64);
    wait_for(lake.close());
    rig.assert_holds([0, 2, 3]);
    let report = verify(&rig.data_dir, |_, _| {}).expect("verifies");
    let [set_aside] = report.set_aside.as_slice() else { panic!("{report:?}") };
    assert_eq!(fs::read(rig.data_dir.join("lake").join(set_aside)).expect("reads"), damaged);
}

/// Somebody went back to this release: what it can't read waits for one that can, and the rest goes on.
#[test]
fn a_segment_with_a_form_of_a_later_release_stays_as_it_is() {
    let rig = Rig::new();
    rig.log(&one_event_buckets(0..2));
    let mut log = fs::read(rig.segment(1)).expect("reads");
    let (magic, payload) = (*b"\xf7HGQ", *b"new");
    let mut summed = 1_u64.to_le_bytes().to_vec();
    summed.extend_from_slice(&magic);
    for number in [3_u32, 1] {
        summed.extend_from_slice(&number.to_le_bytes());
    }
    summed.extend_from_slice(&payload);
    log.extend_from_slice(&magic);
    for number in [3, 1, crc_fast::crc32_iscsi(&summed)] {
        log.extend_from_slice(&number.to_le_bytes());
    }
    log.extend_from_slice(&payload);
    fs::write(rig.segment(1), &log).expect("writes");
    rig.log(&one_event_buckets(10..12));
    // Both wait from the start, the one that can't be read before the other.
    let lake = rig.open(rig.files());
    eventually("the other is compacted", || rig.counter(Counter::LakeRowsCompacted, &[]) == 2);
    let report = wait_for(lake.compact_now()).expect("is open");
    assert!(report.failed[0].error.contains("only a later release"), "{report:?}");
    wait_for(lake.close());
    assert_eq!(fs::read(rig.segment(1)).expect("it is still there"), log);
    assert_eq!(rig.counter(Counter::LakeTornBytes, &[]) + rig.counter(Counter::LakeDamagedBytes, &[]), 0);
}

#[test]
fn a_damaged_header_costs_no_event() {
    let rig = Rig::new();
    rig.log(&one_event_buckets(0..4));
    let mut log = fs::read(rig.segment(1)).expect("reads");
    log[20] ^= 0xff;
    fs::write(rig.segment(1), &log).expect("writes");
    rig.assert_holds(0..4);
    assert_eq!(rig.counter(Counter::LakeDamagedBytes, &[]), SEGMENT_HEADER as u64);
}

/// A bad end of the last segment is a torn write. A bad end of a segment that others follow was acknowledged: it is
/// damage, and reported as such.
#[test]
fn a_bad_end_that_was_acknowledged_is_damage_and_not_a_torn_write() {
    let mut rig = Rig::new();
    rig.settings.segment = crate::config::Size(1);
    let lake = rig.open(rig.files());
    rig.block_compaction();
    rig.store(&lake, 0..1);
    rig.store(&lake, 1..2);
    wait_for(lake.close());
    rig.unblock_compaction();
    let mut log = fs::read(rig.segment(1)).expect("reads");
    let last = log.len() - 5;
    log[last] ^= 1;
    fs::write(rig.segment(1), &log).expect("writes");
    rig.assert_holds([1]);
    assert_eq!(rig.counter(Counter::LakeTornBytes, &[]), 0);
    assert_eq!(rig.counter(Counter::LakeDamagedBytes, &[]), (FRAME_HEADER + payload_of(&[0]).1.len()) as u64);
}

/// Acknowledged bytes that are not there at all are reported too.
#[test]
fn a_segment_shorter_than_the_next_one_says_is_damage() {
    let mut rig = Rig::new();
    rig.settings.segment = crate::config::Size(1);
    let lake = rig.open(rig.files());
    rig.block_compaction();
    rig.store(&lake, 0..2);
    rig.store(&lake, 2..3);
    wait_for(lake.close());
    rig.unblock_compaction();
    let log = fs::read(rig.segment(1)).expect("reads");
    fs::write(rig.segment(1), &log[..SEGMENT_HEADER]).expect("writes");
    rig.assert_holds([2]);
    assert_eq!(rig.counter(Counter::LakeDamagedBytes, &[]), (log.len() - SEGMENT_HEADER) as u64);
}

/// A segment goes bad while it waits for its turn.
#[test]
fn damage_that_comes_after_the_start_is_set_aside_too() {
    let rig = Rig::new();
    rig.log(&one_event_buckets(0..4));
    let len = fs::metadata(rig.segment(1)).expect("is there").len();
    let segment = fs::OpenOptions::new().write(true).open(rig.segment(1)).expect("opens");
    segment.write_at(b"!", (ends(0..1)[1] + FRAME_HEADER + 3) as u64).expect("writes");
    assert_eq!(compact_first(&rig, len), 3);
    assert_eq!(rig.counter(Counter::LakeDamagedBytes, &[]), (FRAME_HEADER + payload_of(&[1]).1.len()) as u64);
    rig.assert_holds([0, 2, 3]);
}

/// Turns the first segment, sealed at `len`, into Parquet, as the compactor's thread does. Returns the rows.
fn compact_first(rig: &Rig, len: u64) -> u64 {
    let LakeParts { files, names, metrics, clock } = rig.parts(rig.files());
    let window = EventWindow::new(&rig.settings);
    let compaction = Compaction::new(files, Layout::new(&rig.data_dir), names, window);
    let sealed = Sealed { number: SegmentNumber(1), len, end_known: true };
    compact_one(&compaction, &metrics, &clock, sealed).expect("compacts").rows
}

#[test]
fn a_segment_that_loses_its_end_after_the_start_gives_what_is_left() {
    let rig = Rig::new();
    rig.log(&one_event_buckets(0..2));
    let len = fs::metadata(rig.segment(1)).expect("is there").len();
    let segment = fs::OpenOptions::new().write(true).open(rig.segment(1)).expect("opens");
    let lost = len - ends(0..1)[1] as u64;
    segment.set_len(ends(0..1)[1] as u64).expect("cuts");
    assert_eq!(compact_first(&rig, len), 1);
    assert_eq!(rig.counter(Counter::LakeDamagedBytes, &[]), lost);
    rig.assert_holds([0]);
}

#[test]
fn segments_without_events_leave_nothing_behind() {
    let rig = Rig::new();
    rig.log(&one_event_buckets(0..1));
    let header = fs::read(rig.segment(1)).expect("reads")[..SEGMENT_HEADER].to_vec();
    for (number, content) in [(2, header.as_slice()), (3, b""), (4, b"torn"), (5, &[0; 5_000])] {
        fs::write(rig.segment(number), content).expect("writes");
    }
    fs::write(rig.data_dir.join("lake/log/.probe.tmp"), b"x").expect("writes");
    fs::write(rig.data_dir.join("lake/manifest/.x.json.tmp"), b"x").expect("writes");
    rig.assert_holds(0..1);
    for dir in ["log", "damaged"] {
        assert_eq!(fs::read_dir(rig.data_dir.join("lake").join(dir)).expect("lists").count(), 0, "{dir}");
    }
    assert_eq!(fs::read_dir(rig.data_dir.join("lake/manifest")).expect("lists").count(), 1);
}

#[test]
fn numbers_are_not_used_again_after_their_segments_are_gone() {
    let rig = Rig::new();
    for round in 0..3 {
        rig.log(&one_event_buckets(round..round + 1));
        assert!(rig.segment(round + 1).exists(), "round {round}");
        rig.compact();
        assert!(!rig.segment(round + 1).exists(), "round {round}");
    }
    rig.assert_holds(0..3);
}
