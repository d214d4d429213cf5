//! Checks the lake against its manifests: every file is there, has its length, its checksum and its rows. Reads only;
//! may run beside a gateway that writes and deletes, and after one that was killed while it did.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, Digest};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::Serialize;

use super::LakeError;
use super::erase::pending;
use super::files::{FileLayer, OsFiles, is_temporary};
use super::layout::{Layout, SegmentNumber};
use super::log::SegmentReader;
use super::manifest::{Checksum, Manifest, ManifestFile};
use super::recover::Scan;

/// What was checked and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Segments that have a manifest.
    pub segments: u64,
    /// Parquet files checked.
    pub files: u64,
    /// Rows in the files that are as they should be.
    pub rows: u64,
    /// Their length, bytes.
    pub bytes: u64,
    /// What is not as it should be. Empty: every file is as it was written.
    pub problems: Vec<Problem>,
    /// Parquet files that belong to no manifest, nor to a segment that waits: queries count their rows.
    pub strays: Vec<PathBuf>,
    /// Log segments that wait to be turned into Parquet; their events are not in the files yet.
    pub waiting: Vec<WaitingSegment>,
    /// Files in `lake/damaged`: what could not be read, set aside.
    pub set_aside: Vec<PathBuf>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Relative to the lake's folder.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
}

/// A log segment that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitingSegment {
    /// Its number.
    pub segment: u64,
    /// Its length, bytes.
    pub bytes: u64,
    /// Events in its good frames.
    pub events: u64,
    /// Bytes in no good frame. While a gateway runs, they may be a write that is going on.
    pub unreadable_bytes: u64,
}

impl VerifyReport {
    /// Whether everything is as it should be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.strays.is_empty()
    }
}

/// Checks the lake in `DATA_DIR/lake`. `progress` is told how many of how many manifests are done.
///
/// # Errors
/// If the lake's folders can't be listed. What is wrong with single files is in the report.
pub fn verify(data_dir: &Path, mut progress: impl FnMut(u64, u64)) -> Result<VerifyReport, LakeError> {
    let layout = Layout::new(data_dir);
    let mut report = VerifyReport::default();

    // In this order, because a running gateway writes files, then their manifest, and then removes the log: whatever
    // file is seen here has its log or its manifest in one of the later looks.
    let mut present = Vec::new();
    walk(&layout.root, Path::new("raw_events"), &mut present)?;
    let segments = layout.segments(&OsFiles)?;
    let manifests = layout.manifests(&OsFiles)?;

    let mut owners: HashMap<PathBuf, SegmentNumber> = HashMap::new();
    for (done, number) in (0..).zip(&manifests) {
        progress(done, manifests.len() as u64);
        check_manifest(&layout, *number, &mut owners, &mut report);
    }
    progress(manifests.len() as u64, manifests.len() as u64);

    let waits = |number: &SegmentNumber| segments.iter().any(|(waiting, _)| waiting == number);
    report.strays = present
        .into_iter()
        .filter(|path| !owners.contains_key(path))
        // One that was deleted meanwhile.
        .filter(|path| layout.root.join(path).exists())
        .filter(|path| !path.file_name().and_then(SegmentNumber::of_parquet).is_some_and(|number| waits(&number)))
        .collect();
    for (number, len) in &segments {
        // One whose manifest is there is only waiting to be removed.
        if manifests.binary_search(number).is_err() {
            report.waiting.extend(look_at_segment(&layout, *number, *len)?);
        }
    }
    let set_aside = OsFiles.list(&layout.damaged).map_err(|source| LakeError::file("list", &layout.damaged, source))?;
    report.set_aside = set_aside
        .into_iter()
        .filter(|entry| !is_temporary(&entry.name))
        .map(|entry| Path::new("damaged").join(entry.name))
        .collect();
    Ok(report)
}

fn check_manifest(
    layout: &Layout,
    number: SegmentNumber,
    owners: &mut HashMap<PathBuf, SegmentNumber>,
    report: &mut VerifyReport,
) {
    let manifest_path = Path::new("manifest").join(format!("{number}.json"));
    let manifest = match Manifest::read(&OsFiles, layout, number) {
        Ok(manifest) => manifest,
        Err(error) => {
            report.problems.push(Problem { path: manifest_path, problem: error.to_string() });
            return;
        }
    };
    report.segments += 1;
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let set_aside = manifest.set_aside.as_ref().map_or(0, |set_aside| set_aside.lines);
    if manifest.segment != number.0 || rows + set_aside != manifest.events {
        let problem = format!(
            "is of segment {} with {} events, but lists {rows} rows and {set_aside} lines set aside",
            manifest.segment, manifest.events
        );
        report.problems.push(Problem { path: manifest_path, problem });
    }
    for file in &manifest.files {
        if let Some(other) = owners.insert(file.path.clone(), number) {
            let problem = format!("belongs to the segments {} and {}", other.0, number.0);
            report.problems.push(Problem { path: file.path.clone(), problem });
        }
        let found = match check_file(&layout.root.join(&file.path), file) {
            Ok(()) => Ok(Some(file.clone())),
            Err(problem) => changed_by_erasure(layout, number, file).ok_or(problem),
        };
        match found {
            Ok(Some(file)) => {
                report.files += 1;
                report.rows += file.rows;
                report.bytes += file.bytes;
            }
            Ok(None) => {}
            Err(problem) => {
                report.files += 1;
                report.problems.push(Problem { path: file.path.clone(), problem });
            }
        }
    }
    if let Some(set_aside) = &manifest.set_aside
        && !layout.root.join(&set_aside.path).is_file()
        && later_manifests(layout, number).all(|later| later.set_aside.is_some())
    {
        let problem = format!("is not there, and with it {} lines that were set aside", set_aside.lines);
        report.problems.push(Problem { path: set_aside.path.clone(), problem });
    }
}

/// A file as an erasure leaves it that goes on beside this, or was interrupted: at first the manifest to be says so, and
/// then the manifest. `Some(None)`: it is gone, as it should be.
fn changed_by_erasure(layout: &Layout, number: SegmentNumber, file: &ManifestFile) -> Option<Option<ManifestFile>> {
    let path = layout.root.join(&file.path);
    later_manifests(layout, number).find_map(|later| match later.files.iter().find(|now| now.path == file.path) {
        Some(now) => (now != file && check_file(&path, now).is_ok()).then(|| Some(now.clone())),
        None => (!path.exists()).then_some(None),
    })
}

/// In this order, because the one becomes the other.
fn later_manifests(layout: &Layout, number: SegmentNumber) -> impl Iterator<Item = Manifest> {
    let pending = pending::read(&OsFiles, layout, number).ok().flatten();
    pending.into_iter().chain(Manifest::read(&OsFiles, layout, number).ok())
}

fn check_file(path: &Path, expected: &ManifestFile) -> Result<(), String> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("is not there".to_owned()),
        file => file.map_err(|error| format!("can't be opened: {error}"))?,
    };
    let (bytes, checksum) = read_through(&mut file).map_err(|error| format!("can't be read: {error}"))?;
    if bytes != expected.bytes {
        return Err(format!("has {bytes} bytes and should have {}", expected.bytes));
    }
    if checksum != expected.crc32c {
        return Err(format!("has the checksum {checksum} and should have {}", expected.crc32c));
    }
    let reader = SerializedFileReader::new(file).map_err(|error| format!("is no Parquet file: {error}"))?;
    let rows = reader.metadata().file_metadata().num_rows();
    if u64::try_from(rows) != Ok(expected.rows) {
        return Err(format!("has {rows} rows and should have {}", expected.rows));
    }
    Ok(())
}

pub(super) fn read_through(file: &mut File) -> io::Result<(u64, Checksum)> {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            // A 32-bit checksum, in the low half.
            return Ok((bytes, Checksum(digest.finalize() as u32)));
        }
        digest.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// `None` if the segment has gone since it was listed.
fn look_at_segment(layout: &Layout, number: SegmentNumber, len: u64) -> Result<Option<WaitingSegment>, LakeError> {
    let path = layout.segment(number);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file,
    };
    let scan = file.and_then(|file| Scan::of(&mut SegmentReader::open(file, number, len)?));
    let scan = scan.map_err(|source| LakeError::file("read", &path, source))?;
    let waiting = WaitingSegment {
        segment: number.0,
        bytes: len,
        events: scan.events,
        unreadable_bytes: scan.unreadable_bytes(),
    };
    Ok(Some(waiting))
}

/// Every file below a folder that queries would read: the names that end in `.parquet`.
pub(super) fn walk(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), LakeError> {
    let path = root.join(dir);
    for entry in OsFiles.list(&path).map_err(|source| LakeError::file("list", &path, source))? {
        let relative = dir.join(&entry.name);
        if entry.is_dir {
            walk(root, &relative, found)?;
        } else if relative.extension().is_some_and(|extension| extension == "parquet") {
            found.push(relative);
        }
    }
    Ok(())
}
