//! Deletes rows: somebody asked to be forgotten.
//!
//! Segment by segment, each by its manifest: files that hold such rows are written again without them, under temporary
//! names, and then put in their places as [`pending`] says, so that a crash at whatever point leaves either the old files
//! or the new ones, and no row doubled or lost that was not to go. Files are skipped by their statistics, and read no
//! further than `application_id` and `event_data` unless there is something to delete; in memory is a row group at a time.
//!
//! A file that is not as its manifest says is left alone and named in the report: a new checksum would hide the damage.

mod aside;
pub(super) mod pending;
mod rewrite;

use std::collections::{BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::files::{FileLayer, parent_of, temporary_name};
use super::layout::{Layout, SegmentNumber};
use super::manifest::{Erased, Manifest, ManifestFile, SetAside};
use super::watch::panic_text;
use super::{CompactReport, FailedSegment, Lake, LakeError};
use crate::delivery::erase::{EraseReport, Progressing, Subject};
use rewrite::Became;

impl Lake {
    /// Deletes the subject's rows of everything that was submitted before: it is turned into Parquet first. Events go on
    /// being taken and compacted meanwhile. One erasure at a time; another one waits.
    ///
    /// # Errors
    /// [`LakeError::Closed`] if the lake is closed or `stop` is given before the end: what is done stays, and doing it
    /// again does the rest. What could not be done is in the report.
    pub async fn erase(
        &self,
        subject: Subject,
        stop: CancellationToken,
        progress: Arc<Progressing>,
    ) -> Result<EraseReport, LakeError> {
        let one_at_a_time = self.erasing.lock().await;
        let compacted = self.compact_now().await?;
        let compactor = Arc::clone(&self.compactor);
        let work = move || {
            let compaction = compactor.compaction();
            let erasing = Erasing {
                files: &*compaction.files,
                layout: &compaction.layout,
                subject: &subject,
                stop: &stop,
                // Its files are the compactor's, which may write them at this moment.
                is_busy: &|number| compactor.holds(number),
            };
            erasing.run(compacted, &*progress)
        };
        let done = tokio::task::spawn_blocking(work).await;
        drop(one_at_a_time);
        done.unwrap_or_else(|error| Err(LakeError::Panic(error.to_string())))
    }
}

/// One erasure.
pub(super) struct Erasing<'a> {
    pub(super) files: &'a dyn FileLayer,
    pub(super) layout: &'a Layout,
    pub(super) subject: &'a Subject,
    pub(super) stop: &'a CancellationToken,
    /// Whether a segment is not to be touched, because it may be turned into Parquet at any moment.
    pub(super) is_busy: &'a dyn Fn(SegmentNumber) -> bool,
}

impl Erasing<'_> {
    /// Deletes from every file. `compacted` says what could not be turned into Parquet before.
    pub(super) fn run(&self, compacted: CompactReport, progress: &Progressing) -> Result<EraseReport, LakeError> {
        let mut report = EraseReport { segments_not_covered: compacted.failed, ..EraseReport::default() };
        // In this order, as for verifying: whatever is made meanwhile has its log or its manifest in a later look.
        let mut present = Vec::new();
        super::verify::walk(&self.layout.root, Path::new("raw_events"), &mut present)?;
        let segments = self.layout.segments(self.files)?;
        let manifests = self.layout.manifests(self.files)?;
        let mut known = HashSet::new();
        for (done, number) in (0..).zip(&manifests) {
            progress(done, manifests.len() as u64);
            self.stop_if_asked()?;
            if (self.is_busy)(*number) {
                self.not_covered(*number, &mut report);
                continue;
            }
            let attempt = catch_unwind(AssertUnwindSafe(|| self.segment(*number, &mut known, &mut report)));
            match attempt.unwrap_or_else(|panic| Err(LakeError::Panic(panic_text(&*panic)))) {
                Ok(()) => {}
                Err(LakeError::Closed) => return Err(LakeError::Closed),
                Err(error) => self.failed(&self.layout.manifest_file(*number), &error, &mut report),
            }
        }
        progress(manifests.len() as u64, manifests.len() as u64);
        let waits = |path: &Path| {
            let number = path.file_name().and_then(SegmentNumber::of_parquet);
            number.is_some_and(|number| segments.iter().any(|(waiting, _)| *waiting == number))
        };
        for stray in present.iter().filter(|path| !known.contains(*path) && !waits(path)) {
            if self.files.len(&self.layout.root.join(stray)).is_ok() {
                let problem = "belongs to no segment, so it was not looked at; `headgate lake verify` names such files";
                report.problem(&Path::new("lake").join(stray), problem);
            }
        }
        self.look_at_damaged(&known, &mut report)?;
        Ok(report)
    }

    fn segment(
        &self,
        number: SegmentNumber,
        known: &mut HashSet<PathBuf>,
        report: &mut EraseReport,
    ) -> Result<(), LakeError> {
        // What an error has interrupted is ended first.
        pending::finish(self.files, self.layout, number)?;
        let before = Manifest::read(self.files, self.layout, number)?;
        known.extend(before.files.iter().map(|file| file.path.clone()));
        known.extend(before.set_aside.iter().map(|set_aside| set_aside.path.clone()));

        let mut found = Found::new(self);
        for file in &before.files {
            report.files_looked_at += 1;
            match rewrite::without_theirs(self, file) {
                Ok(Became::AsItWas) => found.files.push(file.clone()),
                Ok(Became::Rewritten(smaller)) => found.rewritten(file, smaller),
                Ok(Became::Nothing) => found.removed(file),
                Err(LakeError::Closed) => return Err(LakeError::Closed),
                Err(error) => {
                    self.failed(&self.layout.root.join(&file.path), &error, report);
                    found.files.push(file.clone());
                }
            }
        }
        let set_aside = match &before.set_aside {
            Some(set_aside) => self.without_their_lines(set_aside, report)?,
            None => None,
        };
        found.done.set_aside_lines = lines_of(before.set_aside.as_ref()).saturating_sub(lines_of(set_aside.as_ref()));
        let after = found.commit(&before, set_aside)?;
        // With what an earlier run of this erasure did here.
        let erasure = self.subject.erasure();
        after.erased.iter().filter(|done| done.erasure == erasure).for_each(|done| report.add(done));
        Ok(())
    }

    fn stop_if_asked(&self) -> Result<(), LakeError> {
        if self.stop.is_cancelled() { Err(LakeError::Closed) } else { Ok(()) }
    }

    fn not_covered(&self, number: SegmentNumber, report: &mut EraseReport) {
        if report.segments_not_covered.iter().all(|known| known.segment != number.0) {
            let error = "its log could not be removed yet".to_owned();
            report.segments_not_covered.push(FailedSegment { segment: number.0, error });
        }
    }

    fn failed(&self, path: &Path, error: &LakeError, report: &mut EraseReport) {
        warn!(erasure = %self.subject.erasure(), path = %path.display(), %error, "rows can't be deleted from it");
        let data_dir = parent_of(&self.layout.root);
        report.problem(path.strip_prefix(data_dir).unwrap_or(path), error);
    }
}

/// What becomes of a segment's files. Dropped before the commit, it removes what was written.
struct Found<'a> {
    erasing: &'a Erasing<'a>,
    files: Vec<ManifestFile>,
    temporary: Vec<PathBuf>,
    done: Erased,
}

impl<'a> Found<'a> {
    fn new(erasing: &'a Erasing<'a>) -> Self {
        let erasure = erasing.subject.erasure();
        let done = Erased {
            erasure,
            rows: 0,
            files_rewritten: 0,
            files_removed: 0,
            bytes_before: 0,
            bytes_after: 0,
            set_aside_lines: 0,
        };
        Self { erasing, files: Vec::new(), temporary: Vec::new(), done }
    }

    fn rewritten(&mut self, before: &ManifestFile, after: ManifestFile) {
        self.done.rows += before.rows - after.rows;
        self.done.files_rewritten += 1;
        self.done.bytes_before += before.bytes;
        self.done.bytes_after += after.bytes;
        self.temporary.push(temporary_name(&self.erasing.layout.root.join(&after.path)));
        self.files.push(after);
    }

    fn removed(&mut self, before: &ManifestFile) {
        self.done.rows += before.rows;
        self.done.files_removed += 1;
        self.done.bytes_before += before.bytes;
    }

    /// Puts the files in their places. Returns the manifest that holds then.
    fn commit(mut self, before: &Manifest, set_aside: Option<SetAside>) -> Result<Manifest, LakeError> {
        let mut after = Manifest { files: std::mem::take(&mut self.files), set_aside, ..before.clone() };
        if after == *before {
            return Ok(after);
        }
        after.events = after.files.iter().map(|file| file.rows).sum::<u64>() + lines_of(after.set_aside.as_ref());
        match after.erased.iter_mut().find(|earlier| earlier.erasure == self.done.erasure) {
            Some(earlier) => earlier.add(&self.done),
            None => after.erased.push(self.done.clone()),
        }
        let Erasing { files, layout, .. } = self.erasing;
        // Once the manifest to be says so, the files must be found, whatever happens.
        let folders: BTreeSet<&Path> = self.temporary.iter().map(|path| parent_of(path)).collect();
        for folder in folders {
            files.sync_dir(folder).map_err(|source| LakeError::file("sync", folder, source))?;
        }
        let path = layout.pending_manifest(SegmentNumber(after.segment));
        let written = after.write_at(*files, path.clone());
        if written.is_ok() || files.len(&path).is_ok() {
            // From here on they are the files to be.
            self.temporary.clear();
        }
        written?;
        pending::finish(*files, layout, SegmentNumber(after.segment))?;
        info!(
            segment = after.segment,
            erasure = %self.done.erasure,
            rows = self.done.rows,
            files_rewritten = self.done.files_rewritten,
            files_removed = self.done.files_removed,
            "deleted rows"
        );
        Ok(after)
    }
}

impl Drop for Found<'_> {
    fn drop(&mut self) {
        for path in self.temporary.drain(..) {
            // What can't be removed now is replaced when its turn comes again.
            let _ = self.erasing.files.remove(&path);
        }
    }
}

impl Erased {
    fn add(&mut self, more: &Self) {
        self.rows += more.rows;
        self.files_rewritten += more.files_rewritten;
        self.files_removed += more.files_removed;
        self.bytes_before += more.bytes_before;
        self.bytes_after += more.bytes_after;
        self.set_aside_lines += more.set_aside_lines;
    }
}

fn lines_of(set_aside: Option<&SetAside>) -> u64 {
    set_aside.map_or(0, |set_aside| set_aside.lines)
}
