//! A segment's manifest: the Parquet files that hold its events. It is written after them and before the segment goes,
//! and so decides, after a crash, whether the segment's turn is over or comes again.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tracing::warn;
use uuid::Uuid;

use super::LakeError;
use super::files::{self, FileLayer};
use super::layout::{Layout, SegmentNumber};

/// What became of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Manifest {
    /// The form of this document; 1.
    pub version: u32,
    /// The segment's number.
    pub segment: u64,
    /// The segment's length, bytes.
    pub segment_bytes: u64,
    /// Events in the segment: the rows of all files and the lines set aside.
    pub events: u64,
    /// The Parquet files.
    pub files: Vec<ManifestFile>,
    /// Lines that are no stream records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<SetAside>,
    /// What was deleted since, by each erasure that found something here. `events`, `files` and `set_aside` are what is
    /// left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<Erased>,
}

/// What an erasure has deleted of a segment. It is written together with what is left, so an erasure that is done again
/// after a crash still counts everything once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Erased {
    /// The erasure's id; whose rows they were is not written here.
    pub erasure: Uuid,
    /// Rows deleted.
    pub rows: u64,
    /// Files written again without them.
    pub files_rewritten: u64,
    /// Files of which nothing was left.
    pub files_removed: u64,
    /// The length of these files before, bytes.
    pub bytes_before: u64,
    /// Their length after, bytes.
    pub bytes_after: u64,
    /// Lines deleted of those that were set aside.
    #[serde(default)]
    pub set_aside_lines: u64,
}

/// A Parquet file as its writer knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ManifestFile {
    /// Relative to the lake's folder.
    pub path: PathBuf,
    /// Rows.
    pub rows: u64,
    /// Length, bytes.
    pub bytes: u64,
    /// CRC-32C of the whole file.
    pub crc32c: Checksum,
    /// The earliest event time in it, milliseconds since 1970-01-01 UTC.
    pub min_event_time_ms: i64,
    /// The latest event time in it, milliseconds since 1970-01-01 UTC.
    pub max_event_time_ms: i64,
}

/// Lines of a segment that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SetAside {
    /// Relative to the lake's folder.
    pub path: PathBuf,
    /// How many.
    pub lines: u64,
}

/// A CRC-32C, written as eight hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(pub u32);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(&text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or_else(|| de::Error::custom("a checksum must be eight hexadecimal digits"))
    }
}

impl Manifest {
    /// Writes it, durably.
    pub(super) fn write(&self, files: &dyn FileLayer, layout: &Layout) -> Result<(), LakeError> {
        self.write_at(files, layout.manifest_file(SegmentNumber(self.segment)))
    }

    pub(super) fn write_at(&self, files: &dyn FileLayer, path: PathBuf) -> Result<(), LakeError> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|source| LakeError::Manifest { path: path.clone(), source })?;
        text.push(b'\n');
        files::write_atomically(files, &path, &text).map_err(|source| LakeError::file("write", &path, source))
    }

    /// Reads a segment's manifest.
    pub(super) fn read(files: &dyn FileLayer, layout: &Layout, number: SegmentNumber) -> Result<Self, LakeError> {
        Self::read_at(files, layout.manifest_file(number))
    }

    pub(super) fn read_at(files: &dyn FileLayer, path: PathBuf) -> Result<Self, LakeError> {
        let mut text = Vec::new();
        files
            .open_read(&path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .map_err(|source| LakeError::file("read", &path, source))?;
        serde_json::from_slice(&text).map_err(|source| LakeError::Manifest { path, source })
    }

    /// Whether a segment's turn is over: its manifest can be read and every file of it is there at its length. If not,
    /// everything that is made of the segment is made again.
    pub(super) fn settles(files: &dyn FileLayer, layout: &Layout, number: SegmentNumber) -> bool {
        if files.len(&layout.manifest_file(number)).is_err() {
            return false;
        }
        match Self::read(files, layout, number) {
            Ok(manifest) => manifest.is_complete(files, &layout.root),
            Err(error) => {
                warn!(%error, "the segment is still there, so its files and manifest are written again");
                false
            }
        }
    }

    fn is_complete(&self, files: &dyn FileLayer, root: &Path) -> bool {
        self.files.iter().all(|file| files.len(&root.join(&file.path)).is_ok_and(|len| len == file.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::OsFiles;
    use super::*;

    #[test]
    fn a_manifest_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().expect("makes a folder");
        let layout = Layout::new(dir.path());
        layout.create(&OsFiles).expect("creates");
        let manifest = Manifest {
            version: 1,
            segment: 9,
            segment_bytes: 1_000,
            events: 3,
            files: vec![ManifestFile {
                path: PathBuf::from("raw_events/year=2023/month=11/day=14/x.parquet"),
                rows: 2,
                bytes: 900,
                crc32c: Checksum(0x00ab_cdef),
                min_event_time_ms: -1,
                max_event_time_ms: 1,
            }],
            set_aside: Some(SetAside { path: PathBuf::from("damaged/x.jsonl"), lines: 1 }),
            erased: Vec::new(),
        };
        manifest.write(&OsFiles, &layout).expect("writes");
        assert_eq!(Manifest::read(&OsFiles, &layout, SegmentNumber(9)).expect("reads"), manifest);
        assert!(!Manifest::settles(&OsFiles, &layout, SegmentNumber(9)), "its file is not there");
        assert_eq!(layout.manifests(&OsFiles).expect("lists"), [SegmentNumber(9)]);
    }
}
