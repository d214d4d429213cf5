//! The files of a run's result: their folder and names, and that none is ever written over by another run or shard.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Failure;
use crate::config::RunConfig;
use crate::report;
use crate::result::{self, RunResult};
use crate::store::Name;

/// Where a run's result and report go.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    pub(super) json: PathBuf,
    pub(super) html: PathBuf,
}

impl Files {
    /// The files in this folder (none: one named after the scenario, the time and the shard), which is made. Shards may
    /// share a folder, since their files are named after them.
    pub(super) fn new(folder: Option<&Path>, config: &RunConfig, now: SystemTime) -> Result<Self, Failure> {
        let shard = Name::suffix(config.shard);
        let folder = folder.map_or_else(
            || {
                let time = humantime::format_rfc3339_seconds(now).to_string().replace(':', "");
                Path::new("headgate-loadtest").join(format!("{}-{time}{shard}", config.scenario))
            },
            Path::to_path_buf,
        );
        let json = folder.join(Name::Result(config.shard).text());
        let html = folder.join(format!("report{shard}.html"));
        if let Some(there) = [&json, &html].into_iter().find(|file| file.exists()) {
            let there = there.display();
            return Err(Failure::usage(format!(
                "{there} is there already: give another --result-dir, or move it away"
            )));
        }
        fs::create_dir_all(&folder).map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
        Ok(Self { folder, json, html })
    }

    /// Writes the result and its report, over those that this run wrote before. Returns what was written.
    pub(super) fn write(&self, result: &RunResult) -> Result<Vec<PathBuf>, Failure> {
        result::write(result, &self.json).map_err(Failure::internal)?;
        let failed = |error| Failure::internal(format!("{}: {error}", self.html.display()));
        fs::write(&self.html, report::html(result, &[])).map_err(failed)?;
        Ok(vec![self.json.clone(), self.html.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ShardOf;

    fn files(folder: Option<&Path>, index: u32, of: u32) -> Result<Files, Failure> {
        let config = RunConfig { shard: ShardOf { index, of }, ..RunConfig::default() };
        Files::new(folder, &config, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn shards_and_runs_never_write_over_one_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let result = crate::merge::sample::run(3, 1, |_, _, _| {});
        let mut written = Vec::new();
        for (index, of) in [(1, 1), (1, 2), (2, 2)] {
            let Ok(files) = files(Some(folder.path()), index, of) else { panic!("shard {index} of {of} is refused") };
            let Ok(paths) = files.write(&result) else { panic!("shard {index} of {of} can't be written") };
            assert!(files.write(&result).is_ok(), "a run may write its own again");
            written.extend(paths.into_iter().map(|path| path.file_name().expect("a name").to_owned()));
            let Err(again) = Files::new(
                Some(folder.path()),
                &RunConfig { shard: ShardOf { index, of }, ..RunConfig::default() },
                SystemTime::UNIX_EPOCH,
            ) else {
                panic!("another run may not")
            };
            assert_eq!(again.status, Failure::USAGE);
            assert!(again.what.contains("--result-dir"), "{}", again.what);
        }
        let names = ["result", "report", "result-1-of-2", "report-1-of-2", "result-2-of-2", "report-2-of-2"];
        let expected =
            names.iter().zip([".json", ".html"].into_iter().cycle()).map(|(name, kind)| format!("{name}{kind}"));
        assert_eq!(written, expected.map(Into::<std::ffi::OsString>::into).collect::<Vec<_>>());
    }
}
