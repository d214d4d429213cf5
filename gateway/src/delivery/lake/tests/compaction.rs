use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

use super::super::day::{DAY_MS, Day};
use super::super::files::OsFiles;
use super::super::power_cut::Survival;
use super::super::{compact_offline, read_rows};
use super::rig::{APP, RECEIVED_MS, Rig, event_id, eventually, line, line_at, payload_of, wait_for};
use crate::config::Size;
use crate::delivery::Destination;
use crate::gather::testing::bucket;
use crate::gather::{BucketSink, ClosedBucket, Outcome};
use crate::metrics::{Counter, Gauge};

fn reader(path: &Path) -> SerializedFileReader<File> {
    SerializedFileReader::new(File::open(path).expect("opens")).expect("is Parquet")
}

#[test]
fn a_row_holds_the_columns_of_the_contract() {
    let rig = Rig::new();
    rig.log(&[0..1, 3..4]);
    let report = rig.compact();
    assert_eq!((report.segments, report.files, report.rows), (1, 1, 2));
    let files = rig.parquet_files();
    let [path] = files.as_slice() else { panic!("{files:?}") };
    let expected = "lake/raw_events/year=2023/month=11/day=14/00000000000000000001-00.parquet";
    assert_eq!(path, &rig.data_dir.join(expected));

    let reader = reader(path);
    let metadata = reader.metadata();
    let columns: Vec<String> = metadata
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| format!("{} {:?} {:?}", column.name(), column.physical_type(), column.logical_type_ref()))
        .collect();
    let string = |name: &str| format!("{name} BYTE_ARRAY Some(String)");
    let number = |name: &str| format!("{name} INT64 None");
    assert_eq!(
        columns,
        [
            string("event_id"),
            string("event_type"),
            string("event_name"),
            string("event_version"),
            number("event_timestamp"),
            string("app_version"),
            string("application_id"),
            string("application_name"),
            string("event_data"),
            string("metadata"),
            number("event_time_ms"),
        ]
    );
    for column in metadata.row_groups()[0].columns() {
        let is_random = column.column_path().string() == "event_id";
        let expected = if is_random { Compression::UNCOMPRESSED } else { Compression::SNAPPY };
        assert_eq!(column.compression(), expected, "{}", column.column_path());
    }

    let row = reader.into_iter().nth(1).expect("has two rows").expect("reads");
    assert_eq!(row.get_string(0).expect("is there"), &event_id(3));
    assert!(row.is_null(3).expect("is a column"), "no event_version");
    assert_eq!(row.get_long(4).expect("is there"), (RECEIVED_MS - 7).div_euclid(1_000));
    assert_eq!(row.get_string(6).expect("is there"), APP);
    assert_eq!(row.get_string(7).expect("is there"), "Skyfall");
    let metadata: serde_json::Value = serde_json::from_str(row.get_string(9).expect("is there")).expect("is JSON");
    let expected = serde_json::json!({
        "ingestion_id": "request-0",
        "processing_timestamp": 1_700_000_000,
        "api": {"request_id": "request-0", "request_time_epoch": RECEIVED_MS},
        "processing_result": {"status": "ok"},
    });
    assert_eq!(metadata, expected);
    assert_eq!(row.get_long(10).expect("is there"), RECEIVED_MS - 7);
}

/// The power goes before the nth operation of compaction, for every n; then compaction is done again.
#[test]
fn a_power_cut_at_any_step_of_compaction_neither_loses_nor_doubles_a_row() {
    for survival in [Survival::Nothing, Survival::Some(1), Survival::Some(2), Survival::Some(3)] {
        let mut finished = false;
        for nth in 1.. {
            let rig = Rig::new();
            rig.log(&[0..50, 50..100]);
            let files = rig.power_cut_files(survival);
            files.cut_at(nth);
            // It may fail as a whole, or for a segment, or not at all.
            let _ = compact_offline(&rig.data_dir, &rig.settings, &rig.parts(files.clone()), |_| {});
            finished = files.is_powered();
            files.cut().expect("cuts");
            rig.assert_holds(0..100);
            if finished {
                assert!(nth > 15, "only {nth} steps");
                break;
            }
        }
        assert!(finished);
    }
}

/// A kill undoes nothing of what was done, and the settings have changed before the next start. The segment's own header
/// decides, so the same files come out.
#[test]
fn compaction_done_again_with_other_settings_comes_to_the_same_files() {
    for nth in 1.. {
        let mut rig = Rig::new();
        rig.log(&[0..50, 50..100]);
        let files = rig.power_cut_files(Survival::Everything);
        files.cut_at(nth);
        let _ = compact_offline(&rig.data_dir, &rig.settings, &rig.parts(files.clone()), |_| {});
        let finished = files.is_powered();
        files.cut().expect("cuts");
        // Whoever queries at this moment finds whole files only.
        for path in rig.parquet_files().iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")) {
            assert!(reader(path).metadata().file_metadata().num_rows() > 0);
        }
        // Every event time is outside this window.
        rig.settings.event_time_past = Duration::ZERO;
        rig.settings.event_time_future = Duration::ZERO;
        rig.assert_holds(0..100);
        assert_eq!(rig.parquet_files().len(), 3);
        if finished {
            assert!(nth > 15, "only {nth} steps");
            break;
        }
    }
}

/// A disk that fills up during compaction leaves the segment as it was; with room again it becomes Parquet.
#[test]
fn compaction_that_finds_no_room_is_done_again_later() {
    for room in (0..30_000).step_by(1_500) {
        let rig = Rig::new();
        rig.log(&[0..100, 100..200]);
        let files = rig.power_cut_files(Survival::Nothing);
        files.set_room(Some(room));
        let report = compact_offline(&rig.data_dir, &rig.settings, &rig.parts(files.clone()), |_| {}).expect("starts");
        assert_eq!(report.failed.len() as u64 + report.segments, 1);
        assert_eq!(rig.segment(1).exists(), !report.failed.is_empty(), "room for {room}");
        files.set_room(None);
        rig.assert_holds(0..200);
    }
}

#[test]
fn a_segment_opens_at_most_sixty_four_partitions_and_keeps_every_row() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    let mut payload = Vec::new();
    // One event for each of 300 days, and two from times that nobody can mean.
    let times = (0..300).map(|day| RECEIVED_MS - day * DAY_MS).chain([-62_135_596_800_000, 253_402_300_799_000]);
    for (id, event_ms) in (0..).zip(times) {
        payload.extend_from_slice(&line_at(id, event_ms));
    }
    assert_eq!(rig.submit_lines(&lake, payload, 302, Duration::from_secs(15)).wait(), Outcome::Stored);
    wait_for(lake.close());
    let report = rig.compact();
    assert_eq!((report.files, report.rows), (62, 302));
    let mut rows_of_day = BTreeMap::new();
    for path in rig.parquet_files() {
        let rows = u64::try_from(reader(&path).metadata().file_metadata().num_rows()).expect("is not negative");
        *rows_of_day.entry(path.parent().expect("has one").to_owned()).or_insert(0) += rows;
    }
    let today = rig.data_dir.join("lake/raw_events").join(Day::of_ms(RECEIVED_MS).partition());
    assert_eq!(rows_of_day[&today], 1 + 238 + 2, "the rest goes to the day of receipt");
    assert!(rows_of_day.iter().all(|(day, rows)| *day == today || *rows == 1));
}

#[test]
fn a_line_that_is_no_record_is_set_aside_and_counted() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    let mut payload = line(0);
    payload.extend_from_slice(b"{\"event\":{}}\n");
    payload.extend_from_slice(&line(1));
    payload.extend_from_slice(b"\xff\xfe\n");
    assert_eq!(rig.submit_lines(&lake, payload, 4, Duration::from_secs(15)).wait(), Outcome::Stored);
    wait_for(lake.close());
    let report = rig.compact();
    assert_eq!((report.rows, report.set_aside_lines), (2, 2));
    let set_aside = rig.data_dir.join("lake/damaged/00000000000000000001-lines.jsonl");
    assert_eq!(fs::read(set_aside).expect("reads"), b"{\"event\":{}}\n\xff\xfe\n");
    rig.assert_holds(0..2);
}

#[test]
fn what_is_no_packed_record_is_set_aside_and_counted() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    let (format, good) = payload_of(&[0, 1]);
    let payload = [&good[..], b"x is no entry"].concat();
    let (bucket, verdict) = bucket(&rig.in_flight, payload, 3, rig.clock.now() + Duration::from_secs(15));
    lake.submit(ClosedBucket { format, ..bucket });
    assert_eq!(verdict.wait(), Outcome::Stored);
    wait_for(lake.close());
    let report = rig.compact();
    assert_eq!((report.rows, report.set_aside_lines), (2, 1));
    let set_aside = rig.data_dir.join("lake/damaged/00000000000000000001-lines.jsonl");
    let line: serde_json::Value = serde_json::from_slice(&fs::read(set_aside).expect("reads")).expect("is JSON");
    assert_eq!(line["packed"], BASE64_STANDARD.encode("x is no entry"));
    assert_eq!(line["why"], "its first letter is not known");
    assert!(line["batch_ends"].as_str().is_some_and(|end| end.contains("request-0")), "{line}");
    rig.assert_holds(0..2);
}

/// On the operating system's own files.
#[test]
fn a_running_lake_compacts_when_asked_and_goes_on_taking_events() {
    let rig = Rig::new();
    let lake = rig.open(OsFiles);
    rig.store(&lake, 0..100);
    let report = wait_for(lake.compact_now()).expect("is open");
    assert_eq!((report.segments, report.rows, report.failed.len()), (1, 100, 0));
    assert_eq!(rig.rows().len(), 100);
    assert_eq!(wait_for(lake.compact_now()).expect("is open").segments, 0, "there is nothing left to do");
    rig.store(&lake, 100..200);
    assert_eq!(rig.metrics.gauge(Gauge::LakeSegments, &[]).get(), 1);
    assert_eq!(wait_for(lake.compact_now()).expect("is open").rows, 100);
    assert_eq!(rig.metrics.gauge(Gauge::LakeSegments, &[]).get(), 0);
    assert_eq!(rig.metrics.gauge(Gauge::LakeLogBytes, &[]).get(), 0);
    assert_eq!(rig.counter(Counter::LakeRowsCompacted, &[]), 200);
    wait_for(lake.close());
    rig.assert_holds(0..200);
}

/// Segments are sealed by size while events flow and by age when none do, and become Parquet by themselves.
#[test]
fn segments_become_parquet_by_themselves() {
    let mut rig = Rig::new();
    rig.settings.segment = Size(5_000);
    rig.settings.segment_age = Duration::from_millis(50);
    let lake = rig.open(rig.files());
    for bucket in 0..10 {
        rig.store(&lake, bucket * 10..bucket * 10 + 10);
    }
    eventually("every row is in Parquet", || rig.counter(Counter::LakeRowsCompacted, &[]) == 100);
    assert!(rig.counter(Counter::LakeSegmentsCompacted, &[]) > 2);
    wait_for(lake.close());
    rig.assert_holds(0..100);
}

/// Compaction fails for a while; ingest goes on, and when it works again it is done without being asked.
#[test]
fn a_compaction_that_fails_is_tried_again_and_never_stops_ingest() {
    let rig = Rig::new();
    let files = rig.power_cut_files(Survival::Nothing);
    let lake = rig.open(files.clone());
    rig.store(&lake, 0..10);
    rig.block_compaction();
    let report = wait_for(lake.compact_now()).expect("is open");
    assert_eq!((report.segments, report.failed.len()), (0, 1), "{report:?}");
    rig.store(&lake, 10..20);
    rig.unblock_compaction();
    eventually("the segment is compacted", || rig.counter(Counter::LakeRowsCompacted, &[]) == 10);
    wait_for(lake.close());
    rig.assert_holds(0..20);
}

/// More than one row group: the rows of a segment larger than what compaction holds in memory at once.
#[test]
fn a_large_segment_becomes_several_row_groups() {
    let rig = Rig::new();
    let lake = rig.open(rig.files());
    let events = 64_000_u64;
    let verdicts: Vec<_> =
        (0..events / 500).map(|bucket| rig.submit(&lake, bucket * 500..bucket * 500 + 500)).collect();
    assert!(verdicts.iter().all(|verdict| verdict.wait() == Outcome::Stored));
    wait_for(lake.close());
    rig.assert_holds(0..events);
    let path = &rig.parquet_files()[0];
    assert_eq!(reader(path).metadata().num_row_groups(), 2);
    let ids: Vec<u64> =
        read_rows(path).expect("opens").map(|row| super::rig::id_of(&row.expect("reads").event_id)).collect();
    assert!(ids.is_sorted(), "rows stay in the order in which they came");
}
