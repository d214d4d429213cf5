use std::fs;

use super::super::verify;
use super::rig::{Rig, wait_for};
use crate::delivery::Destination;

fn compacted() -> Rig {
    let rig = Rig::new();
    rig.log(&[0..50, 50..100]);
    rig.compact();
    assert!(check(&rig).is_good());
    rig
}

fn check(rig: &Rig) -> super::super::VerifyReport {
    verify(&rig.data_dir, |_, _| {}).expect("verifies")
}

fn problem(rig: &Rig) -> String {
    let report = check(rig);
    assert!(!report.is_good());
    let [problem] = report.problems.as_slice() else { panic!("{report:?}") };
    format!("{} {}", problem.path.display(), problem.problem)
}

#[test]
fn a_good_lake_is_counted() {
    let rig = compacted();
    let lake = rig.open(rig.files());
    rig.store(&lake, 100..110);
    let mut steps = Vec::new();
    let report = verify(&rig.data_dir, |done, all| steps.push((done, all))).expect("verifies");
    assert_eq!(steps, [(0, 1), (1, 1)]);
    assert_eq!((report.segments, report.files, report.rows), (1, 3, 100));
    let [waiting] = report.waiting.as_slice() else { panic!("{report:?}") };
    assert_eq!((waiting.segment, waiting.events, waiting.unreadable_bytes), (2, 10, 0));
    wait_for(lake.close());
}

#[test]
fn a_flipped_byte_is_found() {
    let rig = compacted();
    let path = &rig.parquet_files()[1];
    let mut content = fs::read(path).expect("reads");
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(path, content).expect("writes");
    assert!(problem(&rig).contains("checksum"), "{}", problem(&rig));
}

#[test]
fn a_missing_or_shortened_file_is_found() {
    let rig = compacted();
    let path = &rig.parquet_files()[0];
    let content = fs::read(path).expect("reads");
    fs::write(path, &content[..content.len() - 1]).expect("writes");
    assert!(problem(&rig).contains("bytes and should have"), "{}", problem(&rig));
    fs::remove_file(path).expect("removes");
    assert!(problem(&rig).contains("is not there"), "{}", problem(&rig));
}

#[test]
fn a_file_that_belongs_to_nobody_is_found() {
    let rig = compacted();
    let path = &rig.parquet_files()[0];
    let stray = path.with_file_name("00000000000000000099-00.parquet");
    fs::copy(path, &stray).expect("copies");
    let report = check(&rig);
    assert!(!report.is_good());
    assert_eq!(report.strays, [stray.strip_prefix(rig.data_dir.join("lake")).expect("is below")]);
    // While its segment waits, it is the file of a compaction that is going on.
    fs::write(rig.segment(99), b"").expect("writes");
    assert!(check(&rig).is_good());
}

#[test]
fn a_manifest_that_does_not_add_up_is_found() {
    let rig = compacted();
    let path = rig.data_dir.join("lake/manifest/00000000000000000001.json");
    let text = fs::read_to_string(&path).expect("reads");
    fs::write(&path, text.replace("\"events\": 100", "\"events\": 101")).expect("writes");
    assert!(problem(&rig).contains("101 events"), "{}", problem(&rig));
    fs::write(&path, &text[..text.len() / 2]).expect("writes");
    let report = check(&rig);
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.strays.len(), 3, "without their manifest its files belong to nobody");
}

#[test]
fn a_lake_that_is_not_there_is_an_error() {
    let rig = Rig::new();
    assert!(verify(&rig.data_dir, |_, _| {}).is_err());
}
