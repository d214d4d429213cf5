//! Compaction and erasures without a gateway: for a lake that nobody has open. The caller holds the data folder's lock.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::compact::Compaction;
use super::compactor::{CompactReport, compact_one};
use super::erase::Erasing;
use super::layout::{Layout, SegmentNumber};
use super::partition::EventWindow;
use super::recover::Recovery;
use super::{LakeError, LakeParts};
use crate::config::LakeSettings;
use crate::delivery::erase::{EraseReport, Progressing, Subject};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Log segments done.
    pub done: u64,
    /// Log segments in all.
    pub segments: u64,
    /// Bytes of log done.
    pub bytes_done: u64,
    /// Bytes of log in all.
    pub bytes: u64,
}

/// Puts the log in order and turns all of it into Parquet. `progress` is told before each segment and at the end.
///
/// # Errors
/// If the lake's folders can't be made or listed. Segments that fail are named in the report.
pub fn compact_offline(
    data_dir: &Path,
    settings: &LakeSettings,
    parts: &LakeParts,
    mut progress: impl FnMut(Progress),
) -> Result<CompactReport, LakeError> {
    let layout = Layout::new(data_dir);
    layout.create(&*parts.files)?;
    let window = EventWindow::new(settings);
    let recovered = Recovery { files: &*parts.files, layout: &layout, metrics: &parts.metrics, window }.run()?;
    let compaction = Compaction::new(Arc::clone(&parts.files), layout, Arc::clone(&parts.names), window);

    let mut report = CompactReport::default();
    let segments = recovered.waiting.len() as u64;
    let bytes = recovered.waiting.iter().map(|sealed| sealed.len).sum();
    let mut state = Progress { done: 0, segments, bytes_done: 0, bytes };
    for sealed in recovered.waiting {
        progress(state);
        let result = compact_one(&compaction, &parts.metrics, &parts.clock, sealed);
        report.add(sealed.number, &result);
        state.done += 1;
        state.bytes_done += sealed.len;
    }
    progress(state);
    Ok(report)
}

/// As [`super::Lake::erase`], after the log was put in order and turned into Parquet.
///
/// # Errors
/// If the lake's folders can't be made or listed; [`LakeError::Closed`] if `stop` is given before the end. What could not
/// be done otherwise is in the report.
pub fn erase_offline(
    data_dir: &Path,
    settings: &LakeSettings,
    parts: &LakeParts,
    subject: &Subject,
    stop: &CancellationToken,
    progress: &Progressing,
) -> Result<EraseReport, LakeError> {
    let compacted = compact_offline(data_dir, settings, parts, |_| {})?;
    let layout = Layout::new(data_dir);
    let failed: Vec<u64> = compacted.failed.iter().map(|failed| failed.segment).collect();
    let files = &*parts.files;
    // What is still in the log is made again, files and manifest, when its turn comes.
    let is_busy = |number: SegmentNumber| failed.contains(&number.0) || files.len(&layout.segment(number)).is_ok();
    Erasing { files, layout: &layout, subject, stop, is_busy: &is_busy }.run(compacted, progress)
}
