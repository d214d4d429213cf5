//! Where the lake keeps what.
//!
//! ```text
//! lake/log/NUMBER.log                 events as they were acknowledged, not yet in Parquet
//! lake/raw_events/year=…/month=…/day=…/NUMBER-PART.parquet
//! lake/manifest/NUMBER.json           a segment's Parquet files: written last, it makes them count
//! lake/manifest/NUMBER.erasing        the manifest that is to be, while rows are being deleted from its files
//! lake/damaged/                       what could not be read, set aside for a look
//! ```

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::day::Day;
use super::{FileLayer, LakeError, files};

/// The number of a log segment; names everything that is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SegmentNumber(pub(crate) u64);

impl std::fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:020}", self.0)
    }
}

impl SegmentNumber {
    /// Reads 20 digits.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
        // The last number can't be anybody's: there would be none for the next segment.
        let number = if digits { text.parse().ok() } else { None };
        number.filter(|number| *number < u64::MAX).map(Self)
    }

    /// The segment of a file such as `NUMBER.log`.
    pub(crate) fn of_name(name: &OsStr, suffix: &str) -> Option<Self> {
        Self::parse(name.to_str()?.strip_suffix(suffix)?)
    }

    /// The segment of a Parquet file, `NUMBER-PART.parquet`.
    pub(crate) fn of_parquet(name: &OsStr) -> Option<Self> {
        let (number, part) = name.to_str()?.strip_suffix(".parquet")?.split_once('-')?;
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Self::parse(number) } else { None }
    }
}

/// The lake's folders.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) manifest: PathBuf,
    pub(crate) damaged: PathBuf,
    pub(crate) raw_events: PathBuf,
}

impl Layout {
    /// The lake of a data folder.
    pub(crate) fn new(data_dir: &Path) -> Self {
        let root = data_dir.join("lake");
        Self {
            log: root.join("log"),
            manifest: root.join("manifest"),
            damaged: root.join("damaged"),
            raw_events: root.join("raw_events"),
            root,
        }
    }

    /// Makes every folder, durably.
    pub(crate) fn create(&self, files: &dyn FileLayer) -> Result<(), LakeError> {
        let data_dir = files::parent_of(&self.root);
        for name in ["log", "manifest", "damaged", "raw_events"] {
            let below = Path::new("lake").join(name);
            files::create_dirs(files, data_dir, &below)
                .map_err(|source| LakeError::file("create", &data_dir.join(below), source))?;
        }
        Ok(())
    }

    pub(crate) fn segment(&self, number: SegmentNumber) -> PathBuf {
        self.log.join(format!("{number}.log"))
    }

    pub(crate) fn manifest_file(&self, number: SegmentNumber) -> PathBuf {
        self.manifest.join(format!("{number}.json"))
    }

    /// Where a manifest waits until the files are as it says; see `erase::pending`.
    pub(crate) fn pending_manifest(&self, number: SegmentNumber) -> PathBuf {
        self.manifest.join(format!("{number}.erasing"))
    }

    /// A Parquet file's path below [`Self::root`], with `/` between its parts on every system.
    pub(crate) fn parquet(number: SegmentNumber, day: Day, part: usize) -> PathBuf {
        Path::new("raw_events").join(day.partition()).join(format!("{number}-{part:02}.parquet"))
    }

    /// The log's segments, in order, with their lengths.
    pub(crate) fn segments(&self, files: &dyn FileLayer) -> Result<Vec<(SegmentNumber, u64)>, LakeError> {
        self.numbered(files, &self.log, ".log")
    }

    /// The segments that have a manifest, in order.
    pub(crate) fn manifests(&self, files: &dyn FileLayer) -> Result<Vec<SegmentNumber>, LakeError> {
        Ok(self.numbered(files, &self.manifest, ".json")?.into_iter().map(|(number, _)| number).collect())
    }

    /// The segments from whose files rows are being deleted, in order.
    pub(crate) fn pending_manifests(&self, files: &dyn FileLayer) -> Result<Vec<SegmentNumber>, LakeError> {
        Ok(self.numbered(files, &self.manifest, ".erasing")?.into_iter().map(|(number, _)| number).collect())
    }

    fn numbered(
        &self,
        files: &dyn FileLayer,
        dir: &Path,
        suffix: &str,
    ) -> Result<Vec<(SegmentNumber, u64)>, LakeError> {
        let entries = files.list(dir).map_err(|source| LakeError::file("list", dir, source))?;
        let mut numbered: Vec<_> = entries
            .into_iter()
            .filter(|entry| !entry.is_dir)
            .filter_map(|entry| Some((SegmentNumber::of_name(&entry.name, suffix)?, entry.len)))
            .collect();
        numbered.sort_unstable();
        Ok(numbered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_segment() {
        let number = SegmentNumber(42);
        assert_eq!(SegmentNumber::of_name(OsStr::new("00000000000000000042.log"), ".log"), Some(number));
        let path = Layout::parquet(number, Day(0), 7);
        assert_eq!(path, Path::new("raw_events/year=1970/month=01/day=01/00000000000000000042-07.parquet"));
        assert_eq!(SegmentNumber::of_parquet(path.file_name().expect("has a name")), Some(number));
        for foreign in
            ["42.log", "0000000000000000004x.log", "00000000000000000042.log.gz", ".00000000000000000042.log.tmp"]
        {
            assert_eq!(SegmentNumber::of_name(OsStr::new(foreign), ".log"), None, "{foreign}");
        }
        for foreign in ["00000000000000000042.parquet", "00000000000000000042-.parquet", "x-0.parquet"] {
            assert_eq!(SegmentNumber::of_parquet(OsStr::new(foreign)), None, "{foreign}");
        }
    }
}
