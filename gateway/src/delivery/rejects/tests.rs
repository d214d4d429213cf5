use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use headgate_proto::v1::Event;
use prost::Message;
use prost_types::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::config::Size;
use crate::delivery::lake::day::Day;
use crate::delivery::lake::files::{Entry, OsFiles, WriteFile};
use crate::delivery::lake::power_cut::{PowerCutFiles, Survival};

mod erase;
mod firehose;

struct Rig {
    dir: TempDir,
    settings: LakeSettings,
    metrics: Arc<Metrics>,
}

impl Rig {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("makes a folder"),
            settings: LakeSettings::default(),
            metrics: Metrics::new(),
        }
    }

    fn open(&self, files: impl FileLayer + 'static) -> Arc<Rejects> {
        let files: Arc<dyn FileLayer> = Arc::new(files);
        Rejects::open(&files, self.dir.path(), &self.settings, &self.metrics, &Clock::system()).expect("opens")
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for day in fs::read_dir(self.dir.path().join("bad_rows")).expect("lists") {
            for file in fs::read_dir(day.expect("reads").path()).expect("lists") {
                files.push(file.expect("reads").path());
            }
        }
        files.sort();
        files
    }

    fn lines(&self) -> Vec<BadRowLine> {
        let texts = self.files().into_iter().map(|path| fs::read_to_string(path).expect("reads"));
        texts
            .flat_map(|text| {
                text.lines().map(|line| serde_json::from_str(line).expect("is a bad row")).collect::<Vec<_>>()
            })
            .collect()
    }

    fn count(&self, metric: Counter) -> u64 {
        self.metrics.counter(metric, &[]).get()
    }
}

fn event() -> Event {
    Event {
        event_id: "not a uuid".to_owned(),
        event_type: "login".to_owned(),
        event_name: "login".to_owned(),
        event_timestamp: Some(Timestamp { seconds: -5, nanos: 2_000_000_000 }),
        event_version: String::new(),
        app_version: "1".to_owned(),
        event_data: (&b"{\"a\":\n1}"[..]).into(),
        partition_key: String::new(),
    }
}

fn row(index: u32, event: Vec<u8>) -> BadRow {
    BadRow {
        application_id: Uuid::from_u128(7),
        request_id: "request".to_owned(),
        index,
        reason: "not_a_uuid",
        field: "event_id".to_owned(),
        message: "event_id must be a hyphenated UUID".to_owned(),
        received_at_ms: 1_700_000_000_123,
        event,
    }
}

fn close(rejects: &Rejects) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("has a runtime");
    runtime.block_on(rejects.close());
}

#[test]
fn a_bad_row_says_what_was_wrong_and_holds_the_event_twice() {
    let rig = Rig::new();
    let rejects = rig.open(OsFiles);
    rejects.submit(row(0, event().encode_to_vec()));
    rejects.submit(row(1, b"\xff no protobuf".to_vec()));
    close(&rejects);
    let files = rig.files();
    let [path] = files.as_slice() else { panic!("{files:?}") };
    let text = fs::read_to_string(path).expect("reads");
    let first: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(text.lines().next().expect("has a line")).expect("is JSON");
    let keys: Vec<&str> = first.keys().map(String::as_str).collect();
    let expected =
        ["application_id", "event", "event_base64", "field", "index", "message", "reason", "received_at", "request_id"];
    assert_eq!(keys, expected);
    assert_eq!(first["received_at"], "2023-11-14T22:13:20.123Z");
    assert_eq!(first["event"]["event_timestamp"], serde_json::json!({"seconds": -5, "nanos": 2_000_000_000}));

    let lines = rig.lines();
    assert_eq!(lines[0].original(), Some(event().encode_to_vec()));
    assert_eq!(lines[0].event_to_send(), Some(event()));
    assert_eq!(lines[1].event, None);
    assert_eq!(lines[1].original(), Some(b"\xff no protobuf".to_vec()));
    assert_eq!(lines[1].event_to_send(), None);
    assert_eq!((rig.count(Counter::BadRowsWritten), rig.count(Counter::BadRowsDropped)), (2, 0));
}

#[test]
fn a_repaired_event_is_sent_and_an_untouched_one_as_it_was() {
    let bytes_that_are_no_text = Event { event_data: (&b"{\xff}"[..]).into(), ..event() };
    let mut line = BadRowLine::new(&row(0, bytes_that_are_no_text.encode_to_vec()));
    assert_eq!(line.event_to_send(), Some(bytes_that_are_no_text));
    let repaired = "0d5f2a34-3f0a-4c6e-8a54-2f4a7c1b9e01";
    let event = line.event.as_mut().expect("can be decoded");
    event.event_id = repaired.to_owned();
    event.event_data = "{}".to_owned();
    event.event_timestamp = Some(BadRowTime { seconds: 3, nanos: 0 });
    let sent = line.event_to_send().expect("can be sent");
    assert_eq!((sent.event_id.as_str(), &*sent.event_data), (repaired, &b"{}"[..]));
    assert_eq!(sent.event_timestamp, Some(Timestamp { seconds: 3, nanos: 0 }));
    line.event_base64 = "!".to_owned();
    assert_eq!(line.event_to_send(), Some(sent));
    line.event = None;
    assert_eq!(line.event_to_send(), None);
}

#[test]
fn an_event_without_an_id_is_sent_with_the_same_one_each_time() {
    let line = |index, name: &str| {
        let event = Event { event_id: String::new(), event_name: name.to_owned(), ..event() };
        BadRowLine::new(&row(index, event.encode_to_vec()))
    };
    let id = |line: &BadRowLine| line.event_to_send().expect("can be sent").event_id;
    let first = line(0, "a");
    // It must stay the same in all versions, or rows that were sent before are stored again.
    assert_eq!(id(&first), "2fdf0553-15ee-8b45-b0b6-d7cb3754bd6b");
    let mut repaired = first.clone();
    repaired.event.as_mut().expect("can be decoded").event_name = "b".to_owned();
    assert_eq!(id(&repaired), id(&first), "a repair makes no other event of it");
    let others = [
        line(1, "a"),
        BadRowLine { request_id: "other".to_owned(), ..first.clone() },
        BadRowLine { application_id: Uuid::from_u128(8).to_string(), ..first.clone() },
        BadRowLine { request_id: String::new(), ..first.clone() },
        BadRowLine { request_id: String::new(), ..line(0, "b") },
    ];
    let ids: BTreeSet<String> = others.iter().chain([&first]).map(id).collect();
    assert_eq!(ids.len(), 6, "{ids:?}");
}

#[test]
fn bad_rows_survive_a_power_cut_after_their_fsync() {
    let rig = Rig::new();
    let files = PowerCutFiles::new(rig.dir.path(), Survival::Nothing).expect("opens");
    let rejects = rig.open(files.clone());
    for index in 0..100 {
        rejects.submit(row(index, event().encode_to_vec()));
    }
    close(&rejects);
    files.cut().expect("cuts");
    assert_eq!(rig.lines().len(), 100);
}

#[test]
fn a_full_queue_drops_and_counts_and_does_not_block() {
    let mut rig = Rig::new();
    rig.settings.bad_rows_queue = Size(10_000);
    let files = PowerCutFiles::new(rig.dir.path(), Survival::Nothing).expect("opens");
    let rejects = rig.open(files.clone());
    files.hold_syncs(true);
    for index in 0..2_000 {
        rejects.submit(row(index, vec![0; 500]));
    }
    files.hold_syncs(false);
    close(&rejects);
    let dropped = rig.count(Counter::BadRowsDropped);
    assert!(dropped > 0);
    assert_eq!(rig.count(Counter::BadRowsWritten) + dropped, 2_000);
    assert_eq!(rig.lines().len() as u64, rig.count(Counter::BadRowsWritten));
    rejects.submit(row(0, Vec::new()));
    assert_eq!(rig.count(Counter::BadRowsDropped), dropped + 1, "a closed queue takes nothing");
}

#[test]
fn rows_that_the_disk_refuses_are_dropped_and_counted_and_spoil_no_other() {
    let rig = Rig::new();
    let files = PowerCutFiles::new(rig.dir.path(), Survival::Nothing).expect("opens");
    let rejects = rig.open(files.clone());
    files.set_room(Some(1_500));
    for index in 0..10 {
        rejects.submit(row(index, event().encode_to_vec()));
    }
    let clock = Clock::system();
    let until = clock.now() + Duration::from_secs(20);
    while rig.count(Counter::BadRowsDropped) == 0 {
        assert!(clock.now() < until, "nothing was dropped");
        std::thread::yield_now();
    }
    files.set_room(None);
    rejects.submit(row(10, event().encode_to_vec()));
    close(&rejects);
    let lines = rig.lines();
    assert_eq!(lines.last().map(|line| line.index), Some(10));
    assert_eq!(lines.len() as u64, rig.count(Counter::BadRowsWritten));
    assert_eq!(rig.count(Counter::BadRowsWritten) + rig.count(Counter::BadRowsDropped), 11);
}

#[test]
fn the_oldest_files_go_when_there_are_too_many() {
    let mut rig = Rig::new();
    rig.settings.bad_rows_keep = Size::mib(20);
    for (day, name) in [
        ("2023-01-01", "000000000-000000.jsonl"),
        ("2023-01-01", "000000001-000000.jsonl"),
        ("2023-02-01", "000000000-000000.jsonl"),
    ] {
        let dir = rig.dir.path().join("bad_rows").join(day);
        fs::create_dir_all(&dir).expect("makes a folder");
        fs::write(dir.join(name), vec![b'\n'; 3 << 20]).expect("writes");
    }
    fs::write(rig.dir.path().join("bad_rows/notes.txt"), b"not ours").expect("writes");
    let rejects = rig.open(OsFiles);
    rejects.submit(row(0, event().encode_to_vec()));
    close(&rejects);
    fs::remove_file(rig.dir.path().join("bad_rows/notes.txt")).expect("is still there");
    let names: Vec<String> = rig
        .files()
        .iter()
        .map(|path| path.parent().expect("has one").file_name().expect("has a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[0], "2023-02-01");
}

/// Files whose names in the folder of a day can't be made durable.
#[derive(Clone, Default)]
struct UnsyncedDays {
    failing: Arc<AtomicBool>,
    created: Arc<AtomicU64>,
}

impl FileLayer for UnsyncedDays {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.created.fetch_add(1, Ordering::Relaxed);
        OsFiles.create_new(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        OsFiles.create(path)
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        OsFiles.open_append(path)
    }
    fn open_read(&self, path: &Path) -> io::Result<File> {
        OsFiles.open_read(path)
    }
    fn len(&self, path: &Path) -> io::Result<u64> {
        OsFiles.len(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        OsFiles.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        OsFiles.create_dir(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let is_day = dir.file_name().and_then(|name| Day::parse(name.to_str()?)).is_some();
        if is_day && self.failing.load(Ordering::Relaxed) {
            return Err(io::Error::other("the folder can't be synced"));
        }
        OsFiles.sync_dir(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFiles.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFiles.remove(path)
    }
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        OsFiles.free_space(dir)
    }
}

#[test]
fn while_no_file_can_be_opened_rows_are_dropped_without_a_try_for_each_and_no_file_is_left() {
    let rig = Rig::new();
    let files = UnsyncedDays::default();
    files.failing.store(true, Ordering::Relaxed);
    let rejects = rig.open(files.clone());
    let clock = Clock::system();
    let start = clock.now();
    let until = start + Duration::from_secs(20);
    let wait_for = |settled: &dyn Fn() -> bool| {
        while !settled() {
            assert!(clock.now() < until, "nothing happened");
            std::thread::yield_now();
        }
    };
    for index in 0..1_000 {
        rejects.submit(row(index, event().encode_to_vec()));
    }
    wait_for(&|| rig.count(Counter::BadRowsDropped) == 1_000);
    let tries = files.created.load(Ordering::Relaxed);
    assert!((1..=1 + (clock.now() - start).as_secs()).contains(&tries), "{tries} tries");
    assert_eq!(rig.files(), Vec::<PathBuf>::new());

    files.failing.store(false, Ordering::Relaxed);
    let mut sent = 1_000;
    while rig.files().is_empty() {
        let dropped = rig.count(Counter::BadRowsDropped);
        rejects.submit(row(sent, event().encode_to_vec()));
        sent += 1;
        wait_for(&|| rig.count(Counter::BadRowsDropped) > dropped || !rig.files().is_empty());
    }
    close(&rejects);
    assert_eq!(rig.count(Counter::BadRowsWritten) + rig.count(Counter::BadRowsDropped), u64::from(sent));
    assert_eq!(rig.lines().len() as u64, rig.count(Counter::BadRowsWritten));
    assert!(!rig.lines().is_empty());
}
