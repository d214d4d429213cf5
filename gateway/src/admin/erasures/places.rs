//! Where an erasure looks: everything of the gateway's own on its disk. What lies elsewhere it names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::config::{BadRowsKind, LakeSettings, Settings};
use crate::delivery::erase::{EraseProblem, EraseReport, Progressing, Subject};
use crate::delivery::lake::{FileLayer, Lake, LakeError, LakeParts, erase_offline};
use crate::delivery::rejects::{Rejects, erase_bad_rows};

/// What an erasure works on. Whoever has it holds the data folder's lock.
pub struct Places {
    /// The data folder.
    pub data_dir: PathBuf,
    /// How the lake is kept.
    pub lake_settings: LakeSettings,
    /// What a lake works with, for one that nobody has open.
    pub lake_parts: LakeParts,
    /// The lake, where it is open.
    pub lake: Option<Arc<Lake>>,
    /// The bad rows, where they are being written.
    pub rejects: Option<Arc<Rejects>>,
    /// What is not on this disk, and what to do about it; see [`streamed`].
    pub streamed: Vec<String>,
}

impl Places {
    /// Deletes everywhere. `None`: stopped before the end.
    pub(super) async fn erase(
        self: &Arc<Self>,
        subject: Subject,
        stop: &CancellationToken,
        progress: Arc<Progressing>,
    ) -> Option<EraseReport> {
        let bad_rows = self.erase_bad_rows(subject.clone(), stop).await;
        let mut report = self.erase_lake(subject, stop, progress).await;
        report.bad_rows_removed = bad_rows.bad_rows_removed;
        report.errors.extend(bad_rows.errors);
        report.more_errors += bad_rows.more_errors;
        report.errors.extend(self.spilled());
        report.elsewhere.clone_from(&self.streamed);
        (!stop.is_cancelled()).then_some(report)
    }

    async fn erase_bad_rows(self: &Arc<Self>, subject: Subject, stop: &CancellationToken) -> EraseReport {
        let settled = match &self.rejects {
            Some(rejects) => rejects.settled_files().await,
            None => None,
        };
        let settled = match settled.transpose() {
            Ok(settled) => settled,
            Err(error) => return failed("bad_rows", format!("can't be listed: {error}")),
        };
        let (places, stop) = (Arc::clone(self), stop.clone());
        let work = move || {
            let mut report = EraseReport::default();
            let files = &*places.lake_parts.files;
            erase_bad_rows(files, &places.data_dir, settled, &subject, &stop, &mut report);
            report
        };
        spawn_blocking(work).await.unwrap_or_else(|error| failed("bad_rows", format!("a bug: {error}")))
    }

    async fn erase_lake(
        self: &Arc<Self>,
        subject: Subject,
        stop: &CancellationToken,
        progress: Arc<Progressing>,
    ) -> EraseReport {
        let erased = match &self.lake {
            Some(lake) => lake.erase(subject, stop.clone(), progress).await,
            None => {
                let (places, stop) = (Arc::clone(self), stop.clone());
                let work = move || places.erase_closed_lake(&subject, &stop, &*progress);
                let worked = spawn_blocking(work).await;
                worked.unwrap_or_else(|error| Err(LakeError::Panic(error.to_string())))
            }
        };
        erased.unwrap_or_else(|error| failed("lake", error.to_string()))
    }

    /// One that an earlier start has left, before its events went elsewhere, or that no gateway has open.
    fn erase_closed_lake(
        &self,
        subject: &Subject,
        stop: &CancellationToken,
        progress: &Progressing,
    ) -> Result<EraseReport, LakeError> {
        if !self.data_dir.join("lake").is_dir() {
            return Ok(EraseReport::default());
        }
        erase_offline(&self.data_dir, &self.lake_settings, &self.lake_parts, subject, stop, progress)
    }

    /// What waits to be delivered elsewhere. It is not looked into: it may be on its way at this moment.
    fn spilled(&self) -> Vec<EraseProblem> {
        let files = &*self.lake_parts.files;
        let spill = self.data_dir.join("spill");
        let names = files.list(&spill).unwrap_or_default().into_iter().filter(|entry| entry.is_dir);
        names.filter_map(|entry| in_spill(files, &spill, &entry.name.to_string_lossy())).collect()
    }
}

fn in_spill(files: &dyn FileLayer, spill: &Path, name: &str) -> Option<EraseProblem> {
    let kept: Vec<u64> =
        files.list(&spill.join(name)).ok()?.iter().filter(|entry| !entry.is_dir).map(|entry| entry.len).collect();
    let bytes: u64 = kept.iter().sum();
    (!kept.is_empty()).then(|| EraseProblem {
        what: format!("spill/{name}"),
        problem: format!(
            "{bytes} bytes of events wait there to be delivered to {name}, and were not looked at: once they are \
             delivered, delete there what is the player's"
        ),
    })
}

fn failed(what: &str, problem: String) -> EraseReport {
    EraseReport { errors: vec![EraseProblem { what: what.to_owned(), problem }], ..EraseReport::default() }
}

/// What the settings send elsewhere, where this gateway can't delete it, and what to do.
#[must_use]
pub fn streamed(settings: &Settings) -> Vec<String> {
    let mut elsewhere = Vec::new();
    let mut name = |what: String| {
        elsewhere.push(format!(
            "{what}: what was streamed is not this gateway's to delete; delete it in the S3 lake that it ends in \
             (docs/privacy.md)"
        ));
    };
    if !settings.kinesis.stream.is_empty() {
        name(format!("the Kinesis stream {}", settings.kinesis.stream));
    }
    if !settings.firehose.delivery_stream.is_empty() {
        name(format!("the Firehose delivery stream {}", settings.firehose.delivery_stream));
    }
    if settings.delivery.bad_rows == BadRowsKind::Firehose {
        name("the Firehose delivery stream of the bad rows".to_owned());
    }
    elsewhere
}
