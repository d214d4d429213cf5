//! The spill's files as a disk, or somebody, may hand them back.

use std::cell::RefCell;
use std::fs;
use std::sync::Arc;

use tempfile::TempDir;

use super::frame::{file_header, frame_header};
use super::store::{Store, frame_len};
use crate::delivery::lake::OsFiles;
use crate::fuzz::Input;
use crate::gather::Format;

/// No bucket is taken whose checksum is wrong, and all that stand before the first bad byte are.
pub fn spill_file(data: &[u8]) {
    ROOM.with_borrow(|(store, _)| {
        for entry in fs::read_dir(&store.folder).expect("it is there") {
            fs::remove_file(entry.expect("an entry").path()).expect("it can be removed");
        }
        let mut input = Input::new(data);
        let number = if input.byte() & 1 == 0 { 1 } else { input.number() };
        let mut bytes = Vec::new();
        let mut whole = 0;
        if input.byte() & 1 == 0 {
            bytes.extend(file_header(number));
            for _ in 0..input.below(4) {
                let formats = [Format::Lines, Format::Aggregate, Format::Packed];
                let format = formats[usize::from(input.byte()) % formats.len()];
                let payload = input.piece();
                bytes.extend(frame_header(number, 1, format, payload).expect("short"));
                bytes.extend_from_slice(payload);
                whole += 1;
            }
        }
        let good = bytes.len();
        bytes.extend_from_slice(input.rest());
        fs::write(store.path(number), &bytes).expect("the folder takes it");
        let left = store.recover().expect("a start goes on");
        if number == u64::MAX {
            return assert!(left.buckets.is_empty(), "a name that no file of a spill has");
        }
        assert!(left.buckets.len() >= whole);
        assert!(left.lost_bytes <= (bytes.len() - if whole > 0 { good } else { 0 }) as u64);
        for stored in &left.buckets {
            let payload = store.read(stored).expect("it can be read").expect("it was good a moment ago");
            let header = frame_header(number, stored.head.events, stored.head.format, &payload).expect("short");
            let place = stored.place.offset as usize;
            let there = &bytes[place..place + frame_len(stored.head) as usize];
            assert_eq!(there, [&header[..], &payload].concat(), "its checksum is right");
        }
    });
}

thread_local! {
    static ROOM: RefCell<(Store, TempDir)> = RefCell::new(room());
}

fn room() -> (Store, TempDir) {
    let folder = TempDir::new().expect("a folder");
    (Store::open(Arc::new(OsFiles), folder.path(), "fuzz").expect("a folder"), folder)
}
