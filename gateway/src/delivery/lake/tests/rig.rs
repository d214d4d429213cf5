//! A lake on files of its own, buckets for it, and what it holds in the end.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headgate_proto::record::{EventFields, MeasuredRecord, RecordTail, TimestampText};
use tempfile::TempDir;

use super::super::files::{FileLayer, OsFiles};
use super::super::power_cut::{PowerCutFiles, Survival};
use super::super::{ApplicationNames, CompactReport, EventRow, Lake, LakeParts, compact_offline, read_rows, verify};
use crate::clock::Clock;
use crate::config::{GatherSettings, LakeSettings, Size};
use crate::delivery::Destination;
use crate::gather::testing::{Verdict, bucket};
use crate::gather::{BucketSink, ClosedBucket, Format, InFlight, Outcome};
use crate::metrics::Metrics;

/// When the events of tests are received.
pub(super) const RECEIVED_MS: i64 = 1_700_000_000_000;
pub(super) const APP: &str = "f0000000-0000-4000-8000-000000000001";

pub(super) struct Names;

impl ApplicationNames for Names {
    fn name(&self, application_id: &str) -> Option<String> {
        (application_id == APP).then(|| "Skyfall".to_owned())
    }
}

pub(super) struct Rig {
    /// Removed with everything in it when the test is over.
    _root: TempDir,
    pub(super) data_dir: PathBuf,
    pub(super) settings: LakeSettings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) clock: Clock,
}

impl Rig {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().expect("makes a folder");
        let data_dir = root.path().join("data");
        fs::create_dir(&data_dir).expect("makes a folder");
        let settings = LakeSettings {
            segment: Size::mib(64),
            segment_age: Duration::from_secs(3_600),
            min_free: Size(0),
            ..LakeSettings::default()
        };
        let (metrics, in_flight, clock) = (Metrics::new(), InFlight::new(), Clock::system());
        Self { _root: root, data_dir, settings, metrics, in_flight, clock }
    }

    pub(super) fn power_cut_files(&self, survival: Survival) -> PowerCutFiles {
        PowerCutFiles::new(&self.data_dir, survival).expect("opens")
    }

    /// Files that are never synced in earnest, which makes the tests fast.
    pub(super) fn files(&self) -> PowerCutFiles {
        self.power_cut_files(Survival::Everything)
    }

    pub(super) fn parts(&self, files: impl FileLayer + 'static) -> LakeParts {
        LakeParts {
            files: Arc::new(files),
            names: Arc::new(Names),
            metrics: Arc::clone(&self.metrics),
            clock: self.clock.clone(),
        }
    }

    pub(super) fn open(&self, files: impl FileLayer + 'static) -> Lake {
        let parts = self.parts(files);
        Lake::open(&self.data_dir, &self.settings, &GatherSettings::default(), parts).expect("opens")
    }

    /// Submits the events of these ids as one bucket, due in `deadline`.
    pub(super) fn submit_within(
        &self,
        lake: &Lake,
        ids: impl IntoIterator<Item = u64>,
        deadline: Duration,
    ) -> Arc<Verdict> {
        let ids: Vec<u64> = ids.into_iter().collect();
        let (format, payload) = payload_of(&ids);
        let events = u32::try_from(ids.len()).expect("few");
        let (bucket, verdict) = bucket(&self.in_flight, payload, events, self.clock.now() + deadline);
        lake.submit(ClosedBucket { format, ..bucket });
        verdict
    }

    /// Submits lines.
    pub(super) fn submit_lines(&self, lake: &Lake, payload: Vec<u8>, events: u32, deadline: Duration) -> Arc<Verdict> {
        let (bucket, verdict) = bucket(&self.in_flight, payload, events, self.clock.now() + deadline);
        lake.submit(bucket);
        verdict
    }

    pub(super) fn submit(&self, lake: &Lake, ids: impl IntoIterator<Item = u64>) -> Arc<Verdict> {
        self.submit_within(lake, ids, Duration::from_secs(15))
    }

    /// Stores events and waits for it.
    pub(super) fn store(&self, lake: &Lake, ids: impl IntoIterator<Item = u64>) {
        assert_eq!(self.submit(lake, ids).wait(), Outcome::Stored);
    }

    /// Makes a log of these buckets, one frame each, and leaves it on the disk.
    pub(super) fn log(&self, buckets: &[std::ops::Range<u64>]) {
        let lake = self.open(self.files());
        for ids in buckets {
            self.store(&lake, ids.clone());
        }
        wait_for(lake.close());
    }

    pub(super) fn compact(&self) -> CompactReport {
        let report =
            compact_offline(&self.data_dir, &self.settings, &self.parts(self.files()), |_| {}).expect("compacts");
        assert_eq!(report.failed, []);
        report
    }

    /// Everything the lake holds, once it is all in Parquet: how often each id is there. Each row must be the row of
    /// its id, and each file as its manifest says.
    pub(super) fn holds(&self) -> BTreeMap<u64, u32> {
        self.compact();
        let mut ids = BTreeMap::new();
        for row in self.rows() {
            let id = id_of(&row.event_id);
            assert_eq!(row, row_of(id));
            *ids.entry(id).or_default() += 1;
        }
        let report = verify(&self.data_dir, |_, _| {}).expect("verifies");
        assert!(report.is_good(), "{report:?}");
        assert_eq!(report.waiting, []);
        assert_eq!(report.rows, ids.values().map(|count| u64::from(*count)).sum::<u64>());
        ids
    }

    /// Holds exactly these events, each once.
    pub(super) fn assert_holds(&self, expected: impl IntoIterator<Item = u64>) {
        let expected: BTreeMap<u64, u32> = expected.into_iter().map(|id| (id, 1)).collect();
        assert_eq!(self.holds(), expected);
    }

    /// Puts something in the way of Parquet files, so that compaction fails until it is taken away again.
    pub(super) fn block_compaction(&self) {
        fs::remove_dir(self.data_dir.join("lake/raw_events")).expect("is empty");
        fs::write(self.data_dir.join("lake/raw_events"), b"in the way").expect("writes");
    }

    pub(super) fn unblock_compaction(&self) {
        fs::remove_file(self.data_dir.join("lake/raw_events")).expect("removes");
        // Compaction, which tries again by itself, may have made the folder in between.
        fs::create_dir_all(self.data_dir.join("lake/raw_events")).expect("makes a folder");
    }

    pub(super) fn rows(&self) -> Vec<EventRow> {
        let mut rows = Vec::new();
        for path in self.parquet_files() {
            rows.extend(read_rows(&path).expect("opens").map(|row| row.expect("reads")));
        }
        rows
    }

    pub(super) fn parquet_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.data_dir.join("lake/raw_events"), &mut files);
        files
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.data_dir.join(format!("lake/log/{number:020}.log"))
    }

    pub(super) fn counter(&self, metric: crate::metrics::Counter, labels: &[&str]) -> u64 {
        self.metrics.counter(metric, labels).get()
    }
}

pub(super) fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in OsFiles.list(dir).expect("lists") {
        let path = dir.join(&entry.name);
        if entry.is_dir { walk(&path, files) } else { files.push(path) }
    }
}

/// Polls until it is so; panics after 20 seconds.
pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::system();
    let until = clock.now() + Duration::from_secs(20);
    while !is_so() {
        assert!(clock.now() < until, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

pub(super) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("has a runtime");
    runtime.block_on(future)
}

/// When the event of this id happened: spread over three days.
pub(super) fn event_ms(id: u64) -> i64 {
    RECEIVED_MS - i64::try_from(id % 3).expect("is small") * 86_400_000 - 7
}

/// The records of a bucket: packed, as buckets come to the lake, but for every fourth, in lines as in older logs.
pub(super) fn payload_of(ids: &[u64]) -> (Format, Vec<u8>) {
    let mut payload = Vec::new();
    if ids.first().is_some_and(|first| first % 4 == 3) {
        ids.iter().for_each(|id| payload.extend_from_slice(&line(*id)));
        return (Format::Lines, payload);
    }
    for (place, id) in ids.iter().enumerate() {
        let tail = tail_of(*id);
        if place == 0 || id % 10 == 0 {
            tail.pack(&mut payload);
        }
        with_record(*id, event_ms(*id), &tail, |record| record.pack(&mut payload));
    }
    (Format::Packed, payload)
}

/// The record of an id: everything in it is a function of the id.
pub(super) fn line(id: u64) -> Vec<u8> {
    line_at(id, event_ms(id))
}

pub(super) fn line_at(id: u64, event_ms: i64) -> Vec<u8> {
    let mut line = Vec::new();
    with_record(id, event_ms, &tail_of(id), |record| record.write(&mut line));
    line
}

fn tail_of(id: u64) -> RecordTail {
    RecordTail::new(&format!("request-{}", id / 10), RECEIVED_MS, APP)
}

fn with_record(id: u64, event_ms: i64, tail: &RecordTail, put: impl FnOnce(&MeasuredRecord<'_>)) {
    let (event_id, event_data) = (event_id(id), event_data(id));
    let fields = EventFields {
        event_id: event_id.as_bytes(),
        event_type: b"user_report",
        event_name: b"report.sent",
        seconds: event_ms.div_euclid(1_000),
        nanos: u32::try_from(event_ms.rem_euclid(1_000)).expect("is below 1,000") * 1_000_000,
        event_version: if id.is_multiple_of(2) { b"1.0" } else { b"" },
        app_version: b"2.3.4",
        event_data: event_data.as_bytes(),
        data_has_line_breaks: false,
    };
    put(&MeasuredRecord::new(&fields, tail, &mut TimestampText::default()));
}

fn row_of(id: u64) -> EventRow {
    EventRow {
        event_id: event_id(id),
        event_type: "user_report".to_owned(),
        event_name: "report.sent".to_owned(),
        event_version: id.is_multiple_of(2).then(|| "1.0".to_owned()),
        app_version: Some("2.3.4".to_owned()),
        event_time_ms: event_ms(id),
        event_data: Some(event_data(id)),
        application_id: APP.to_owned(),
    }
}

pub(super) fn event_id(id: u64) -> String {
    format!("00000000-0000-4000-8000-{id:012x}")
}

pub(super) fn id_of(event_id: &str) -> u64 {
    u64::from_str_radix(&event_id[24..], 16).expect("is an id of a test")
}

fn event_data(id: u64) -> String {
    format!(r#"{{"player_id":"p{id}","report":"{}"}}"#, "é".repeat(usize::try_from(id % 40).expect("is small")))
}
