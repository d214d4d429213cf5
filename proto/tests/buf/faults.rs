//! Faults that are put into a copy of the protos: each rule has to catch one, and each has to have one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::tool::{self, Finding};

/// The ingest API.
pub(crate) const INGEST: &str = "headgate/v1/ingest.proto";
/// The administration API.
pub(crate) const ADMIN: &str = "headgate/admin/v1/admin.proto";
/// Some of the library of events.
pub(crate) const ITEMS: &str = "headgate/events/v1/item.proto";
/// A file that is not there, for what the others have no place for.
pub(crate) const MORE: &str = "headgate/more/v1/more.proto";

/// A change to the protos.
pub(crate) enum Edit {
    /// The text, which stands there once, by another one.
    Replace(&'static str, &'static str, &'static str),
    /// Behind everything else.
    Append(&'static str, &'static str),
    /// A file.
    Add(&'static str, &'static str),
    /// A file.
    Remove(&'static str),
}

impl Edit {
    fn apply(&self, protos: &Path) {
        let read = |file: &str| fs::read_to_string(protos.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let write = |file: &str, text: String| {
            let path = protos.join(file);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder can be made");
            fs::write(path, text).expect("the file can be written");
        };
        match self {
            Self::Replace(file, old, new) => {
                let text = read(file);
                assert_eq!(text.matches(old).count(), 1, "{file}: {old:?} is to stand there once");
                write(file, text.replacen(old, new, 1));
            }
            Self::Append(file, text) => write(file, read(file) + text),
            Self::Add(file, text) => write(file, (*text).to_owned()),
            Self::Remove(file) => fs::remove_file(protos.join(file)).expect("the file is there"),
        }
    }
}

/// A change that breaks a rule.
pub(crate) struct Fault {
    pub(crate) rule: &'static str,
    /// What the protos lack to break it: changed beforehand.
    pub(crate) setting: &'static [Edit],
    pub(crate) edits: &'static [Edit],
}

/// A fault of the protos as they are.
pub(crate) const fn fault(rule: &'static str, edits: &'static [Edit]) -> Fault {
    Fault { rule, setting: &[], edits }
}

/// A folder with a `buf.yaml` and protos, gone with its value.
pub(crate) struct ProtoCopy(TempDir);

impl ProtoCopy {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ours = ours();
        fs::copy(ours.join("buf.yaml"), folder.path().join("buf.yaml")).expect("the settings can be copied");
        copy(&ours.join("proto"), &folder.path().join("proto"));
        Self(folder)
    }

    pub(crate) fn edited(self, edits: &[Edit]) -> Self {
        for edit in edits {
            edit.apply(&self.0.path().join("proto"));
        }
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }
}

/// The folder of the protos, of buf's settings and of what was released.
pub(crate) fn ours() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("the file can be copied");
        }
    }
}

/// Every rule that is on has a fault, and nothing else has: of a later version's rules somebody has to think.
pub(crate) fn assert_one_for_each_rule(kind: &str, faults: &[Fault]) {
    let on: BTreeSet<String> = tool::rules(&ours(), kind).into_iter().collect();
    let seeded: BTreeSet<String> = faults.iter().map(|fault| fault.rule.to_owned()).collect();
    let unproven: Vec<_> = on.difference(&seeded).collect();
    let off: Vec<_> = seeded.difference(&on).collect();
    assert!(unproven.is_empty() && off.is_empty(), "rules without a fault: {unproven:?}; faults of no rule: {off:?}");
}

/// What was found of each fault, or the assertion fails with all that were missed.
pub(crate) fn assert_caught(faults: &[Fault], check: impl Fn(&Fault) -> Vec<Finding>) {
    let mut missed = Vec::new();
    for fault in faults {
        let findings = check(fault);
        if !findings.iter().any(|finding| finding.rule == fault.rule) {
            let found: Vec<String> = findings.iter().map(Finding::line).collect();
            missed.push(format!("{}: found {found:?}", fault.rule));
        }
    }
    assert!(missed.is_empty(), "not caught:\n{}", missed.join("\n"));
}
