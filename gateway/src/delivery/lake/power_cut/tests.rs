use std::fs;

use super::*;

fn root() -> tempfile::TempDir {
    tempfile::tempdir().expect("makes a folder")
}

fn files(root: &Path) -> PowerCutFiles {
    PowerCutFiles::new(root, Survival::Nothing).expect("opens")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = OsFiles.list(dir).expect("lists");
    entries
        .into_iter()
        .map(|entry| entry.name.to_string_lossy().into_owned())
        .filter(|name| name != ".power-cut")
        .collect()
}

#[test]
fn only_synced_bytes_under_synced_names_survive() {
    let root = root();
    let files = files(root.path());
    let mut kept = files.create_new(&root.path().join("kept")).expect("creates");
    kept.write_all(b"durable").expect("writes");
    kept.sync_data().expect("syncs");
    files.sync_dir(root.path()).expect("syncs");
    kept.write_all(b" and not").expect("writes");
    let mut nameless = files.create_new(&root.path().join("nameless")).expect("creates");
    nameless.write_all(b"synced, but its name is not").expect("writes");
    nameless.sync_data().expect("syncs");
    files.cut().expect("cuts");
    assert_eq!(names(root.path()), ["kept"]);
    assert_eq!(fs::read(root.path().join("kept")).expect("reads"), b"durable");
    assert!(kept.write_all(b"x").is_err() && kept.sync_data().is_err(), "there is no power");
    assert!(files.list(root.path()).is_err() && files.create(&root.path().join("x")).is_err());
}

#[test]
fn renames_removals_cuts_and_folders_come_back_unless_synced() {
    let root = root();
    for (name, content) in [("a", "old a"), ("b", "b"), ("c", "0123456789")] {
        fs::write(root.path().join(name), content).expect("writes");
    }
    let files = files(root.path());
    files.remove(&root.path().join("b")).expect("removes");
    let mut temporary = files.create_new(&root.path().join("t")).expect("creates");
    temporary.write_all(b"new a").expect("writes");
    temporary.sync_data().expect("syncs");
    files.rename(&root.path().join("t"), &root.path().join("a")).expect("renames");
    let mut cut = files.open_append(&root.path().join("c")).expect("opens");
    cut.truncate(4).expect("cuts");
    files.create_dir(&root.path().join("dir")).expect("creates");
    files.create_new(&root.path().join("dir/file")).expect("creates");
    files.sync_dir(&root.path().join("dir")).expect("syncs");
    assert_eq!(names(root.path()), ["a", "c", "dir"]);
    files.cut().expect("cuts");
    assert_eq!(names(root.path()), ["a", "b", "c"]);
    assert_eq!(fs::read(root.path().join("a")).expect("reads"), b"old a");
    assert_eq!(fs::read(root.path().join("c")).expect("reads"), b"0123456789");
}

#[test]
fn synced_renames_removals_cuts_and_folders_stay() {
    let root = root();
    for (name, content) in [("a", "old a"), ("b", "b"), ("c", "0123456789")] {
        fs::write(root.path().join(name), content).expect("writes");
    }
    let files = files(root.path());
    files.remove(&root.path().join("b")).expect("removes");
    let mut temporary = files.create_new(&root.path().join("t")).expect("creates");
    temporary.write_all(b"new a").expect("writes");
    temporary.sync_data().expect("syncs");
    files.rename(&root.path().join("t"), &root.path().join("a")).expect("renames");
    let mut cut = files.open_append(&root.path().join("c")).expect("opens");
    cut.truncate(4).expect("cuts");
    cut.sync_data().expect("syncs");
    files.create_dir(&root.path().join("dir")).expect("creates");
    files.sync_dir(root.path()).expect("syncs");
    files.cut().expect("cuts");
    assert_eq!(names(root.path()), ["a", "c", "dir"]);
    assert_eq!(fs::read(root.path().join("a")).expect("reads"), b"new a");
    assert_eq!(fs::read(root.path().join("c")).expect("reads"), b"0123");
}

#[test]
fn a_failed_sync_loses_its_bytes_even_if_a_later_one_succeeds() {
    let root = root();
    let files = files(root.path());
    let mut file = files.create_new(&root.path().join("log")).expect("creates");
    files.sync_dir(root.path()).expect("syncs");
    file.write_all(b"first ").expect("writes");
    file.sync_data().expect("syncs");
    file.write_all(b"second ").expect("writes");
    files.fail_sync(1);
    assert!(file.sync_data().is_err());
    assert!(file.sync_data().is_ok(), "the kernel forgets");
    files.cut().expect("cuts");
    assert_eq!(fs::read(root.path().join("log")).expect("reads"), b"first ");
}

#[test]
fn a_full_disk_takes_what_fits_and_heals_when_told() {
    let root = root();
    let files = files(root.path());
    let mut file = files.create_new(&root.path().join("log")).expect("creates");
    files.set_room(Some(3));
    let error = file.write_all(b"12345").expect_err("is full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(files.free_space(root.path()).expect("answers"), 0);
    assert_eq!(fs::read(root.path().join("log")).expect("reads"), b"123");
    files.set_room(None);
    file.write_all(b"45").expect("has room");
}

#[test]
fn some_of_what_was_not_durable_survives_and_a_seed_repeats_it() {
    let outcome = |seed| {
        let root = root();
        let files = PowerCutFiles::new(root.path(), Survival::Some(seed)).expect("opens");
        let mut file = files.create_new(&root.path().join("log")).expect("creates");
        file.write_all(b"durable ").expect("writes");
        file.sync_data().expect("syncs");
        files.sync_dir(root.path()).expect("syncs");
        file.write_all(b"volatile").expect("writes");
        files.cut_at(1);
        assert!(files.create_new(&root.path().join("late")).is_err());
        assert!(!files.is_powered());
        fs::read(root.path().join("log")).expect("reads")
    };
    let outcomes: Vec<Vec<u8>> = (0..40).map(outcome).collect();
    assert!(outcomes.iter().all(|content| content.starts_with(b"durable ")));
    assert!(outcomes.iter().any(|content| content.len() == 8) && outcomes.iter().any(|content| content.len() > 8));
    assert!(outcomes.iter().any(|content| content.ends_with(&[0])));
    assert_eq!(outcomes, (0..40).map(outcome).collect::<Vec<_>>());
}

#[test]
fn bytes_that_were_cut_off_may_come_back_until_the_cut_is_synced() {
    let outcome = |seed, synced| {
        let root = root();
        let files = PowerCutFiles::new(root.path(), Survival::Some(seed)).expect("opens");
        let mut file = files.create_new(&root.path().join("log")).expect("creates");
        file.write_all(b"durable").expect("writes");
        file.sync_data().expect("syncs");
        files.sync_dir(root.path()).expect("syncs");
        file.write_all(b" and not").expect("writes");
        file.truncate(7).expect("cuts");
        if synced {
            file.sync_data().expect("syncs");
        }
        files.cut().expect("cuts");
        fs::read(root.path().join("log")).expect("reads")
    };
    let unsynced: Vec<Vec<u8>> = (0..40).map(|seed| outcome(seed, false)).collect();
    assert!(unsynced.iter().all(|content| content.starts_with(b"durable")));
    assert!(unsynced.iter().any(|content| content == b"durable"));
    assert!(unsynced.iter().any(|content| content == b"durable and not"));
    assert!((0..40).all(|seed| outcome(seed, true) == b"durable"));
}
