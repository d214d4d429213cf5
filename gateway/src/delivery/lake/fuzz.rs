//! The lake's files as a disk, or somebody, may hand them back.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::files::OsFiles;
use super::layout::{Layout, SegmentNumber};
use super::log::{
    FRAME_HEADER, Form, Frame, Next, SEGMENT_HEADER, SegmentEnd, SegmentHeader, SegmentReader, frame_header,
};
use super::manifest::Manifest;
use super::partition::EventWindow;
use super::recover::Recovery;
use crate::fuzz::Input;
use crate::metrics::Metrics;

const NUMBER: SegmentNumber = SegmentNumber(1);
const WINDOW: EventWindow = EventWindow { past_ms: 1_000, future_ms: 1_000 };

/// No frame is read whose checksum is wrong, and damage costs the frames that it is in and no other.
pub fn lake_log(data: &[u8]) {
    let _ = frames(data);
    let mut log = Log::build(&mut Input::new(data));
    let damage = log.damage.clone();
    let found = frames(&log.bytes);
    // What a fuzzer writes over a log may hold good frames of its own; then nobody can say what is to be found.
    if found.iter().all(|frame| log.frames.contains(frame)) {
        log.frames.retain(|frame| frame.place.end <= damage.start || damage.end <= frame.place.start);
        log.frames.retain(|frame| frame.place.end <= log.bytes.len() as u64);
        let missing = log.frames.iter().find(|frame| !found.contains(frame));
        assert_eq!(missing, None, "damage at {damage:?} costs no other frame");
    }
}

/// A start puts any log in order: what can be read stays, byte for byte, and the next start finds nothing to do.
pub fn lake_recovery(data: &[u8]) {
    ROOM.with_borrow(|room| {
        let mut input = Input::new(data);
        let with_next = input.byte() & 1 == 1;
        let log = if input.byte() & 1 == 0 { Log::build(&mut input).bytes } else { input.rest().to_vec() };
        let good = frames(&log);
        room.empty();
        fs::write(room.layout.segment(NUMBER), &log).expect("the folder takes it");
        if with_next {
            let previous = Some(SegmentEnd { number: NUMBER, len: log.len() as u64 });
            let next = SegmentNumber(2);
            let mut bytes = SegmentHeader { number: next, window: WINDOW, previous }.encode().to_vec();
            bytes.extend(framed(next, b"next\n"));
            fs::write(room.layout.segment(next), bytes).expect("the folder takes it");
        }
        let recover = || {
            let Room { layout, metrics, .. } = room;
            Recovery { files: &OsFiles, layout, metrics, window: WINDOW }.run().expect("a start goes on")
        };
        let first = recover();
        let kept = fs::read(room.layout.segment(NUMBER)).map_or_else(|_| Vec::new(), |bytes| frames(&bytes));
        assert!(kept.iter().map(content).eq(good.iter().map(content)), "good frames stay");
        assert_eq!(
            first.report.events,
            good.iter().map(|frame| u64::from(frame.events)).sum::<u64>() + u64::from(with_next)
        );
        let again = recover();
        assert_eq!(again.report.events, first.report.events);
        assert_eq!(again.report.torn_bytes, 0);
        if !with_next {
            assert_eq!(again.report.damaged_bytes, 0);
        }
    });
}

/// A manifest says after it was written what it said before, and names lead to their segments and back.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(data) {
        let text = serde_json::to_vec_pretty(&manifest).expect("it can be written");
        assert_eq!(serde_json::from_slice::<Manifest>(&text).expect("it was just written"), manifest);
    }
    let Ok(name) = std::str::from_utf8(data) else { return };
    if let Some(number) = SegmentNumber::of_name(OsStr::new(name), ".json") {
        assert_eq!(format!("{number}.json"), name);
    }
    let _ = SegmentNumber::of_parquet(OsStr::new(name));
}

fn content(frame: &Frame) -> (&[u8], u32) {
    (&frame.payload, frame.events)
}

/// Every frame of a segment; holds what is read to what is there.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut reader = SegmentReader::open(Cursor::new(bytes), NUMBER, bytes.len() as u64).expect("memory can be read");
    let (mut found, mut at) = (Vec::new(), 0);
    loop {
        match reader.read().expect("memory can be read") {
            Next::Frame(frame) => {
                assert!(frame.place.start >= at);
                at = frame.place.end;
                let there = &bytes[frame.place.start as usize..frame.place.end as usize];
                let header =
                    frame_header(NUMBER, frame.form, frame.events, &frame.payload).expect("it was short enough");
                assert_eq!(there, [&header[..], &frame.payload].concat(), "its checksum is right");
                found.push(frame);
            }
            Next::Bad { offset } => {
                assert!(offset >= at);
                at = reader.resume().expect("memory can be read");
                assert!(at > offset);
            }
            Next::End => return found,
        }
    }
}

/// Some one way, some the other.
fn form_of(payload: &[u8]) -> Form {
    if payload.len() % 4 > 1 { Form::Packed } else { Form::Lines }
}

fn framed(number: SegmentNumber, payload: &[u8]) -> Vec<u8> {
    let header = frame_header(number, form_of(payload), 1, payload).expect("short");
    [&header[..], payload].concat()
}

/// A log that was written well and then damaged in one place.
struct Log {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    damage: Range<u64>,
}

impl Log {
    fn build(input: &mut Input<'_>) -> Self {
        let mut bytes = SegmentHeader { number: NUMBER, window: WINDOW, previous: None }.encode().to_vec();
        let mut frames = Vec::new();
        for _ in 0..input.below(5) {
            let (payload, start) = (input.piece(), bytes.len() as u64);
            bytes.extend(framed(NUMBER, payload));
            frames.push(Frame {
                form: form_of(payload),
                payload: Bytes::copy_from_slice(payload),
                events: 1,
                place: start..bytes.len() as u64,
            });
        }
        // Behind the header: without it the same frames are found, which the tests beside the reader hold it to.
        let start = SEGMENT_HEADER + input.below(bytes.len() - SEGMENT_HEADER + 1);
        if input.byte() & 1 == 1 {
            bytes.truncate(start);
        }
        let over = input.rest();
        let end = bytes.len().min(start + over.len());
        bytes.splice(start..end, over.iter().copied());
        Self { damage: start as u64..(start + over.len()).max(end) as u64, bytes, frames }
    }
}

/// A folder for recoveries, one a thread.
struct Room {
    layout: Layout,
    metrics: Arc<Metrics>,
    _folder: TempDir,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room::new());
}

impl Room {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let layout = Layout::new(folder.path());
        layout.create(&OsFiles).expect("a folder");
        Self { layout, metrics: Metrics::new(), _folder: folder }
    }

    fn empty(&self) {
        for dir in [&self.layout.log, &self.layout.damaged, &self.layout.manifest] {
            for entry in fs::read_dir(dir).expect("it is there") {
                fs::remove_file(entry.expect("an entry").path()).expect("it can be removed");
            }
        }
    }
}

const _: () = assert!(FRAME_HEADER == 16 && SEGMENT_HEADER == 52);
