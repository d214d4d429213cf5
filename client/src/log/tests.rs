use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::handle::Sink;
use super::open::Recovered;
use super::{Fsync, Handle, Log, Written, frame, open, segment};
use crate::error::{LogError, LogProblem};

/// Hears what was written, and lets a test wait for it.
#[derive(Default)]
struct Ear {
    heard: Mutex<Vec<Written>>,
    more: Condvar,
}

impl Sink for Ear {
    fn written(&self, written: &[Written]) {
        self.heard.lock().expect("no panic").extend_from_slice(written);
        self.more.notify_all();
    }
}

impl Ear {
    fn wait(&self, count: usize) -> Vec<Written> {
        let heard = self.heard.lock().expect("no panic");
        let patience = Duration::from_secs(60);
        let (heard, late) = self.more.wait_timeout_while(heard, patience, |heard| heard.len() < count).unwrap();
        assert!(!late.timed_out(), "{} of {count} writes in {patience:?}", heard.len());
        heard.clone()
    }
}

struct House {
    handle: Handle,
    ear: Arc<Ear>,
    recovered: Vec<Recovered>,
    next_batch: u64,
}

impl House {
    fn open(log: &Log) -> Self {
        let ear = Arc::new(Ear::default());
        let opened = open(log, Arc::clone(&ear) as _).expect("the log opens");
        Self { handle: opened.handle, ear, recovered: opened.batches, next_batch: opened.next_batch }
    }

    fn close(mut self) {
        self.handle.close().expect("it runs").join().expect("it ends well");
    }

    fn read(&mut self, batch: u64) -> std::io::Result<Bytes> {
        self.handle.read(batch).blocking_recv().expect("an answer")
    }

    fn numbers(&self) -> Vec<u64> {
        self.recovered.iter().map(|batch| batch.number).collect()
    }
}

fn small(folder: &Path) -> Log {
    Log::new(folder).fsync(Fsync::Never)
}

fn chunk(byte: u8, len: usize) -> Bytes {
    vec![byte; len].into()
}

fn segments(folder: &Path) -> usize {
    segment::list(folder).expect("a folder").len()
}

#[test]
fn what_is_not_settled_is_given_back_and_what_is_settled_is_not() {
    for fsync in [Fsync::EachBatch, Fsync::Every(Duration::from_millis(1)), Fsync::Never] {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::new(folder.path()).fsync(fsync);
        let mut first = House::open(&log);
        assert_eq!((first.recovered.len(), first.next_batch), (0, 1));
        for batch in 1..=4 {
            first.handle.append(batch, 2, chunk(b'a', 10));
        }
        first.handle.append(4, 1, chunk(b'b', 5));
        first.handle.settled(2);
        assert!(first.ear.wait(5).iter().all(|written| written.result.is_ok()));
        first.close();

        let mut second = House::open(&log);
        assert_eq!(second.next_batch, 5);
        let expected = [(1, 2, 10), (3, 2, 10), (4, 3, 15)];
        assert_eq!(
            second.recovered,
            expected.map(|(number, events, bytes)| Recovered { number, events, bytes }),
            "{fsync:?}"
        );
        assert_eq!(second.read(4).expect("it is there"), [chunk(b'a', 10), chunk(b'b', 5)].concat());
        assert!(second.read(2).is_err(), "settled");
        for batch in [1, 3, 4] {
            second.handle.settled(batch);
        }
        second.close();
        assert_eq!(segments(folder.path()), 0, "nothing is left when everything is settled");
    }
}

/// A crash may leave any beginning of what was written. Whatever it left, the whole frames before the tear are given back,
/// the log goes on behind it, and nothing else is.
#[test]
fn a_tail_torn_at_any_byte_costs_only_what_was_torn() {
    let mut frames: Vec<(u64, u32, Bytes)> = Vec::new();
    for batch in 1..=4_u64 {
        frames.push((batch, 1, chunk(b'a' + batch as u8, 7 * batch as usize)));
    }
    frames.push((2, 0, Bytes::new()));
    frames.push((4, 2, chunk(b'z', 9)));
    let mut whole = segment::MAGIC.to_vec();
    let mut ends = Vec::new();
    for (batch, events, data) in &frames {
        frame::write(&mut whole, *batch, *events, data);
        ends.push(whole.len());
    }
    for end in 0..=whole.len() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(segment::path(folder.path(), 7), &whole[..end]).expect("it can be written");
        let complete = ends.iter().filter(|frame_end| **frame_end <= end).count();
        let mut expected: BTreeMap<u64, (u32, Vec<u8>)> = BTreeMap::new();
        for (batch, events, data) in &frames[..complete] {
            if *events == 0 {
                expected.remove(batch);
            } else {
                let (sum, bytes) = expected.entry(*batch).or_default();
                *sum += events;
                bytes.extend_from_slice(data);
            }
        }
        let mut house = House::open(&small(folder.path()));
        assert_eq!(house.numbers(), expected.keys().copied().collect::<Vec<_>>(), "torn at {end}");
        for ((number, (events, data)), found) in expected.iter().zip(house.recovered.clone()) {
            assert_eq!((found.events, found.bytes), (*events, data.len()), "torn at {end}");
            assert_eq!(house.read(*number).expect("it is there"), *data, "torn at {end}");
        }
        // Behind the tear it goes on.
        house.handle.append(100, 1, chunk(b'n', 3));
        house.ear.wait(1);
        house.close();
        let again = House::open(&small(folder.path()));
        let numbers: Vec<u64> = expected.keys().copied().chain([100]).collect();
        assert_eq!(again.numbers(), numbers, "torn at {end}");
        assert_eq!(again.next_batch, 101);
        again.close();
    }
}

#[test]
fn damage_ends_the_reading_of_its_segment_and_of_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, batches) in [(1, [1_u64, 2, 3]), (2, [4, 5, 6])] {
        let mut bytes = segment::MAGIC.to_vec();
        for batch in batches {
            frame::write(&mut bytes, batch, 1, &chunk(b'x', 20));
        }
        if number == 1 {
            bytes[segment::MAGIC.len() + 40 + 30] ^= 1;
        }
        fs::write(segment::path(folder.path(), number), &bytes).expect("it can be written");
    }
    // None of ours.
    fs::write(folder.path().join("notes.txt"), "hello").expect("it can be written");
    fs::write(segment::path(folder.path(), 3), "not a segment at all, though its name is one").expect("written");
    let house = House::open(&small(folder.path()));
    assert_eq!(house.numbers(), [1, 4, 5, 6]);
    house.close();
}

#[test]
fn segments_go_when_they_and_all_older_ones_are_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut house = House::open(&small(folder.path()).max_bytes(1 << 20));
    // A segment of this log is closed at 64 KiB.
    for batch in 1..=6 {
        house.handle.append(batch, 1, chunk(b'x', 70 << 10));
    }
    house.ear.wait(6);
    assert_eq!(segments(folder.path()), 6);
    let mut settle = |batch| {
        house.handle.settled(batch);
        let _ = house.read(batch);
        segments(folder.path())
    };
    // Its mark needs a segment of its own.
    assert_eq!(settle(2), 7, "an older one is not settled");
    assert_eq!(settle(1), 5, "both go");
    assert_eq!(settle(3), 4);
    assert!(house.handle.bytes() < 4 * (71 << 10), "{}", house.handle.bytes());
    house.close();
    assert_eq!(House::open(&small(folder.path())).numbers(), [4, 5, 6]);
}

#[test]
fn a_full_log_says_so_and_has_room_again_once_something_is_settled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut house = House::open(&small(folder.path()).max_bytes(1 << 20));
    for batch in 1..=12 {
        house.handle.append(batch, 1, chunk(b'x', 100 << 10));
    }
    let results: Vec<_> = house.ear.wait(12).iter().map(|written| written.result).collect();
    assert!(results[..10].iter().all(Result::is_ok), "{results:?}");
    assert_eq!(results[10..], [Err(LogProblem::Full); 2]);
    assert!(house.handle.bytes() <= 1 << 20);
    for batch in 1..=12 {
        house.handle.settled(batch);
    }
    house.handle.append(13, 1, chunk(b'x', 100 << 10));
    assert_eq!(house.ear.wait(13)[12].result, Ok(()));
    house.close();
}

#[test]
fn a_disk_that_refuses_is_told_and_tried_again() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("log");
    let mut house = House::open(&small(&folder));
    fs::remove_dir_all(&folder).expect("it can be removed");
    house.handle.append(1, 1, chunk(b'x', 10));
    let first = house.ear.wait(1)[0];
    assert_eq!(first.result, Err(LogProblem::Io(std::io::ErrorKind::NotFound)));
    assert_eq!(house.handle.problems(), 1);
    fs::create_dir(&folder).expect("it can be made");
    house.handle.append(2, 1, chunk(b'y', 10));
    assert_eq!(house.ear.wait(2)[1].result, Ok(()));
    assert_eq!(house.read(2).expect("it is there"), chunk(b'y', 10));
    house.close();
}

#[test]
fn a_log_has_one_client_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(&small(folder.path()));
    let second = open(&small(folder.path()), Arc::new(Ear::default()));
    assert!(matches!(second.err(), Some(LogError::InUse(_))));
    house.close();
    House::open(&small(folder.path())).close();
}

#[test]
fn durable_events_one_by_one_take_one_place_in_the_books() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut house = House::open(&small(folder.path()));
    for n in 0..1_000_u32 {
        house.handle.append(1, 1, Bytes::from(n.to_le_bytes().to_vec()));
    }
    house.ear.wait(1_000);
    let expected: Vec<u8> = (0..1_000_u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(house.read(1).expect("it is there"), expected);
    house.close();
    let mut again = House::open(&small(folder.path()));
    assert_eq!(again.recovered, [Recovered { number: 1, events: 1_000, bytes: 4_000 }]);
    assert_eq!(again.read(1).expect("it is there"), expected);
    again.close();
}
