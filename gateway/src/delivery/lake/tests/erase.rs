//! Whose rows go, that no other ever does, and that a crash at any point leaves a lake that is whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::power_cut::Survival;
use super::super::{LakeError, LakeParts, erase_offline, read_rows, verify};
use super::rig::{APP, Rig, event_id, event_ms, eventually, id_of, line, wait_for};
use crate::delivery::Destination;
use crate::delivery::erase::{EraseReport, Subject};
use crate::gather::Outcome;

const OTHER_APP: &str = "f0000000-0000-4000-8000-000000000002";

/// The players of ids below `bound` that are divisible by `by`, as one.
fn subject(by: u64, bound: u64) -> Subject {
    let names: BTreeSet<String> = (0..bound).filter(|id| id.is_multiple_of(by)).map(|id| format!("p{id}")).collect();
    let is_theirs = move |data: &[u8]| {
        let data: serde_json::Value = serde_json::from_slice(data).expect("is JSON");
        names.contains(data["player_id"].as_str().expect("has a player"))
    };
    Subject::new(Uuid::from_u128(5), APP.parse().expect("an id"), &["p0"], is_theirs)
}

fn nobody() -> Subject {
    Subject::new(Uuid::from_u128(6), APP.parse().expect("an id"), &["nobody"], |_| false)
}

fn erase(rig: &Rig, parts: &LakeParts, subject: &Subject) -> Result<EraseReport, LakeError> {
    let stop = CancellationToken::new();
    erase_offline(&rig.data_dir, &rig.settings, parts, subject, &stop, &|_, _| {})
}

fn erase_now(rig: &Rig, subject: &Subject) -> EraseReport {
    erase(rig, &rig.parts(rig.files()), subject).expect("erases")
}

fn erase_open(lake: &super::super::Lake, subject: Subject) -> Result<EraseReport, LakeError> {
    wait_for(lake.erase(subject, CancellationToken::new(), Arc::new(|_, _| {})))
}

/// Bytes of all Parquet files.
fn bytes(rig: &Rig) -> u64 {
    rig.parquet_files().iter().map(|path| fs::metadata(path).expect("is there").len()).sum()
}

/// What a query finds: it reads the names that end in `.parquet`.
fn ids(rig: &Rig) -> Vec<u64> {
    let mut ids = Vec::new();
    for path in rig.parquet_files().iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")) {
        let rows = read_rows(path).expect("opens").map(|row| id_of(&row.expect("reads").event_id));
        ids.extend(rows);
    }
    ids.sort_unstable();
    ids
}

fn assert_verifies(rig: &Rig) {
    let report = verify(&rig.data_dir, |_, _| {}).expect("verifies");
    assert!(report.is_good(), "{report:?}");
}

/// Making a lake anew for every step would take a minute.
fn copy(from: &Rig, to: &Rig) {
    let mut files = Vec::new();
    super::rig::walk(&from.data_dir.join("lake"), &mut files);
    for path in files {
        let copy = to.data_dir.join(path.strip_prefix(&from.data_dir).expect("is below"));
        fs::create_dir_all(copy.parent().expect("has a folder")).expect("makes folders");
        fs::copy(path, copy).expect("copies");
    }
    fs::create_dir_all(to.data_dir.join("lake/log")).expect("makes a folder");
    fs::create_dir_all(to.data_dir.join("lake/damaged")).expect("makes a folder");
}

/// A line that is no stream record and can be read all the same.
fn odd_line(player: &str) -> String {
    format!(r#"{{"application_id":"{APP}","event":{{"event_data":{{"player_id":"{player}"}}}},"odd":1}}"#) + "\n"
}

fn lines_of_other_app(ids: std::ops::Range<u64>) -> Vec<u8> {
    let text: Vec<u8> = ids.flat_map(line).collect();
    String::from_utf8(text).expect("UTF-8").replace(APP, OTHER_APP).into_bytes()
}

#[test]
fn rows_go_from_the_log_and_from_files_and_the_report_adds_up() {
    let rig = Rig::new();
    rig.log(&[0..50, 50..100]);
    rig.compact();
    let lake = rig.open(rig.files());
    rig.store(&lake, 100..150);
    let before = bytes(&rig);
    let report = erase_open(&lake, subject(5, 150)).expect("erases");
    assert_eq!((report.files_looked_at, report.files_rewritten, report.files_removed), (6, 6, 0));
    assert_eq!((report.rows_removed, report.is_complete()), (30, true));
    assert_eq!(report.bytes_after, bytes(&rig));
    assert!(before < report.bytes_before && report.bytes_after < report.bytes_before);
    wait_for(lake.close());
    rig.assert_holds((0..150_u64).filter(|id| !id.is_multiple_of(5)));

    // Done again, it finds nothing more, and still knows what it did.
    assert_eq!(erase_now(&rig, &subject(5, 150)), report);
    let nothing = EraseReport { files_looked_at: 6, ..EraseReport::default() };
    assert_eq!(erase_now(&rig, &nobody()), nothing);
}

#[test]
fn another_applications_player_of_the_same_name_stays() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    // A segment of the one, one of the other, and one of both.
    for payload in [line(0), lines_of_other_app(1..2), [line(3), lines_of_other_app(4..6), line(6)].concat()] {
        let events = payload.iter().filter(|byte| **byte == b'\n').count();
        let events = u32::try_from(events).expect("a few");
        let verdict = rig.submit_lines(&lake, payload, events, Duration::from_secs(15));
        assert_eq!(verdict.wait(), Outcome::Stored);
        wait_for(lake.compact_now()).expect("compacts");
    }
    let everyone = Subject::new(Uuid::from_u128(5), APP.parse().expect("an id"), &["p"], |_| true);
    let report = erase_open(&lake, everyone).expect("erases");
    assert_eq!(report.rows_removed, 3);
    assert!(report.files_removed >= 2, "the first segment's file has nothing left: {report:?}");
    assert_eq!(ids(&rig), [1, 4, 5]);
    assert!(rig.rows().iter().all(|row| row.application_id == OTHER_APP));
    wait_for(lake.close());
    assert_verifies(&rig);
    // A number is not used again, though nothing is left of its segment.
    rig.log(&[7..8, 8..9]);
    rig.compact();
    assert_eq!(ids(&rig), [1, 4, 5, 7, 8]);
    assert_verifies(&rig);
}

#[test]
fn rows_that_stay_are_what_they_were_in_every_column() {
    let rig = Rig::new();
    rig.log(&[0..20, 20..60]);
    rig.compact();
    let texts = |rig: &Rig| {
        let mut texts = Vec::new();
        for path in rig.parquet_files() {
            let file = fs::File::open(path).expect("opens");
            let reader = parquet::file::reader::SerializedFileReader::new(file).expect("is Parquet");
            texts.extend(reader.into_iter().map(|row| row.expect("reads").to_string()));
        }
        texts.sort_unstable();
        texts
    };
    let before = texts(&rig);
    erase_now(&rig, &subject(7, 60));
    let gone: Vec<String> = (0..60_u64).filter(|id| id.is_multiple_of(7)).map(event_id).collect();
    let expected: Vec<String> =
        before.into_iter().filter(|row| !gone.iter().any(|id| row.contains(id.as_str()))).collect();
    assert_eq!(expected.len(), 60 - gone.len());
    assert_eq!(texts(&rig), expected);
}

/// The power goes before the nth operation of an erasure, for every n. The lake is whole at once, also before anything
/// has put it in order; then the erasure is done again.
#[test]
fn a_power_cut_at_any_step_leaves_a_whole_lake_and_doing_it_again_finishes() {
    let made = Rig::new();
    let (theirs, others) = (odd_line("p0"), odd_line("p2"));
    for (ids, odd_lines) in [([0..10, 10..30], theirs.clone()), ([30..40, 40..60], [theirs, others.clone()].concat())] {
        let lake = made.open(made.files());
        ids.into_iter().for_each(|ids| made.store(&lake, ids));
        let lines = u32::try_from(odd_lines.lines().count()).expect("a few");
        let verdict = made.submit_lines(&lake, odd_lines.into_bytes(), lines, Duration::from_secs(15));
        assert_eq!(verdict.wait(), Outcome::Stored);
        wait_for(lake.close());
        made.compact();
    }
    for survival in [Survival::Nothing, Survival::Some(1), Survival::Some(2), Survival::Some(3), Survival::Everything] {
        for nth in 1.. {
            // Two segments of three files each. Of the first one file is removed, one rewritten and one stays; of the
            // second all are rewritten. So it is with the lines that were set aside: one of one, and one of two.
            let rig = Rig::new();
            copy(&made, &rig);
            // Of the first segment all ids of one day, and one of another day; of the second one of each day.
            let gone = |id: u64| id < 30 && id.is_multiple_of(3) || id == 1 || (40..43).contains(&id);
            let names: BTreeSet<String> = (0..60).filter(|id| gone(*id)).map(|id| format!(r#""p{id}""#)).collect();
            let is_theirs = move |data: &[u8]| {
                let data: serde_json::Value = serde_json::from_slice(data).expect("is JSON");
                names.contains(&data["player_id"].to_string())
            };
            let subject = Subject::new(Uuid::from_u128(5), APP.parse().expect("an id"), &["p0"], is_theirs);
            let files = rig.power_cut_files(survival);
            files.cut_at(nth);
            let _ = erase(&rig, &rig.parts(files.clone()), &subject);
            let finished = files.is_powered();
            files.cut().expect("cuts");

            let context = format!("{survival:?}, cut before {nth}");
            let report = verify(&rig.data_dir, |_, _| {}).expect("verifies");
            assert!(report.is_good(), "{context}: {report:?}");
            let found = ids(&rig);
            let unique: BTreeSet<u64> = found.iter().copied().collect();
            assert_eq!(found.len(), unique.len(), "{context}: no row is doubled");
            assert!(
                (0..60).filter(|id| !gone(*id)).all(|id| unique.contains(&id)),
                "{context}: none of others is lost"
            );

            let report = erase_now(&rig, &subject);
            assert_eq!((report.rows_removed, report.files_rewritten, report.files_removed), (14, 4, 1), "{context}");
            assert_eq!((report.set_aside_lines_removed, report.is_complete()), (2, true), "{context}");
            rig.assert_holds((0..60).filter(|id| !gone(*id)));
            let mut left = Vec::new();
            super::rig::walk(&rig.data_dir.join("lake"), &mut left);
            left.retain(|path| path.extension().is_none_or(|end| end != "parquet" && end != "json"));
            let [lines] = left.as_slice() else { panic!("{context}: more is left behind: {left:?}") };
            assert_eq!(fs::read_to_string(lines).expect("reads"), others, "{context}");
            if finished {
                assert!(nth > 20, "only {nth} steps");
                break;
            }
        }
    }
}

/// Whatever is refused, by a full or a broken disk, is in the report, and nothing is half done.
#[test]
fn what_the_disk_refuses_is_reported_and_done_the_next_time() {
    let rig = Rig::new();
    rig.log(&[0..30, 30..60]);
    rig.compact();
    let files = rig.files();
    files.set_room(Some(1_000));
    let report = erase(&rig, &rig.parts(files.clone()), &subject(5, 60)).expect("goes on");
    assert_eq!(report.rows_removed, 0);
    assert_eq!(report.errors.len(), 3, "{report:?}");
    assert!(!report.is_complete());
    assert_eq!(ids(&rig), (0..60).collect::<Vec<_>>());
    assert_verifies(&rig);
    assert_eq!(erase_now(&rig, &subject(5, 60)).rows_removed, 12);
    rig.assert_holds((0..60_u64).filter(|id| !id.is_multiple_of(5)));
}

#[test]
fn a_segment_that_can_not_be_compacted_is_named_and_left_alone() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    rig.store(&lake, 0..10);
    rig.block_compaction();
    let report = erase_open(&lake, subject(2, 10));
    // Its folder is no folder now, so it can't even be listed.
    assert!(report.is_err(), "{report:?}");
    rig.unblock_compaction();
    // Something else in its way: the folder of one day.
    let day = rig.data_dir.join("lake/raw_events/year=2023");
    eventually("its turn is over", || day.is_dir() || rig.segment(1).exists());
    wait_for(lake.compact_now()).expect("compacts");
    rig.store(&lake, 10..20);
    fs::rename(&day, rig.data_dir.join("kept")).expect("renames");
    fs::write(&day, b"in the way").expect("writes");
    let report = erase_open(&lake, subject(2, 20)).expect("goes on");
    assert_eq!(report.segments_not_covered.len(), 1, "{report:?}");
    fs::remove_file(&day).expect("removes");
    fs::rename(rig.data_dir.join("kept"), &day).expect("renames");
    wait_for(lake.compact_now()).expect("compacts");
    assert_eq!(erase_open(&lake, subject(2, 20)).expect("erases").rows_removed, 10);
    wait_for(lake.close());
    rig.assert_holds((0..20_u64).filter(|id| !id.is_multiple_of(2)));
}

#[test]
fn a_damaged_file_is_named_and_never_given_a_new_checksum() {
    let rig = Rig::new();
    rig.log(&[0..10, 10..30]);
    rig.compact();
    let path = &rig.parquet_files()[0];
    let mut content = fs::read(path).expect("reads");
    content[10] ^= 1;
    fs::write(path, content).expect("writes");
    let report = erase_now(&rig, &subject(1, 30));
    let [error] = report.errors.as_slice() else { panic!("{report:?}") };
    assert!(error.what.starts_with("lake/raw_events/"), "{error:?}");
    assert_eq!(report.files_removed, 2);
    let verified = verify(&rig.data_dir, |_, _| {}).expect("verifies");
    assert_eq!(verified.problems.len(), 1, "{verified:?}");
}

#[test]
fn lines_that_were_set_aside_go_too_and_what_can_not_be_read_is_named() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    let (theirs, others, unreadable) = (odd_line("p0"), odd_line("p1"), "p0 {\n");
    let payload = [&line(0)[..], theirs.as_bytes(), others.as_bytes(), unreadable.as_bytes(), &line(1)[..]].concat();
    let verdict = rig.submit_lines(&lake, payload, 5, Duration::from_secs(15));
    assert_eq!(verdict.wait(), Outcome::Stored);
    fs::write(rig.data_dir.join("lake/damaged/00000000000000000009-52.bin"), b"..p0..").expect("writes");
    fs::write(rig.data_dir.join("lake/damaged/00000000000000000009-99.bin"), b"..p..0").expect("writes");
    let report = erase_open(&lake, subject(1, 1)).expect("erases");
    assert_eq!((report.rows_removed, report.set_aside_lines_removed), (1, 1));
    let named: Vec<&str> = report.errors.iter().map(|error| error.what.as_str()).collect();
    assert_eq!(named, ["lake/damaged/00000000000000000001-lines.jsonl", "lake/damaged/00000000000000000009-52.bin"]);
    let text = fs::read_to_string(rig.data_dir.join(named[0])).expect("reads");
    assert_eq!(text, format!("{others}{unreadable}"));
    wait_for(lake.close());
    assert_verifies(&rig);
    assert_eq!(ids(&rig), [1]);
}

#[test]
fn a_stopped_erasure_ends_soon_and_the_next_one_does_the_rest() {
    let rig = Rig::new();
    rig.log(&[0..10, 10..30]);
    rig.compact();
    let stop = CancellationToken::new();
    stop.cancel();
    let parts = rig.parts(rig.files());
    let stopped = erase_offline(&rig.data_dir, &rig.settings, &parts, &subject(1, 30), &stop, &|_, _| {});
    assert!(matches!(stopped, Err(LakeError::Closed)));
    let lake = rig.open(rig.files());
    wait_for(lake.close());
    assert!(matches!(erase_open(&lake, subject(1, 30)), Err(LakeError::Closed)));
    assert_eq!(erase_now(&rig, &subject(1, 30)).rows_removed, 30);
    assert_eq!(event_ms(0), event_ms(3), "all of a day are gone with their file");
    assert_eq!(rig.parquet_files(), Vec::<PathBuf>::new());
    assert_verifies(&rig);
}

/// Whoever verifies beside a gateway that deletes sees a good lake at every moment.
#[test]
fn the_lake_verifies_at_every_moment_of_an_erasure() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    for segment in 0..12 {
        rig.store(&lake, segment * 10..segment * 10 + 10);
        wait_for(lake.compact_now()).expect("compacts");
    }
    let stop = CancellationToken::new();
    std::thread::scope(|scope| {
        let erasing = scope.spawn(|| {
            for by in [7, 5, 3, 2] {
                erase_open(&lake, subject(by, 120)).expect("erases");
            }
            stop.cancel();
        });
        while !stop.is_cancelled() && !erasing.is_finished() {
            assert_verifies(&rig);
        }
        erasing.join().expect("erases");
    });
    wait_for(lake.close());
    rig.assert_holds((0..120_u64).filter(|id| [7, 5, 3, 2].iter().all(|by| !id.is_multiple_of(*by))));
}
