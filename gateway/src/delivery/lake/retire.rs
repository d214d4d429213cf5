//! Removes a log segment whose events are in Parquet, or that has none, without taking anything with it that others need.

use std::io;

use super::LakeError;
use super::files::FileLayer;
use super::layout::{Layout, SegmentNumber};
use super::log::{SegmentEnd, SegmentReader};

/// Removes a segment. Trying again after an error is safe.
pub(super) fn remove_segment(files: &dyn FileLayer, layout: &Layout, number: SegmentNumber) -> Result<(), LakeError> {
    // The manifest's name may be there and yet not be durable: then a power cut would take both.
    files.sync_dir(&layout.manifest).map_err(|source| LakeError::file("sync", &layout.manifest, source))?;
    cut_previous(files, layout, number)?;
    let path = layout.segment(number);
    files
        .remove(&path)
        .and_then(|()| files.sync_dir(&layout.log))
        .map_err(|source| LakeError::file("remove", &path, source))
}

/// The segment's header may be all that says where the one before it ends. If that one is still there with more than
/// that, what a failed write left behind its end would come back at the next start: so it is cut off first, durably.
fn cut_previous(files: &dyn FileLayer, layout: &Layout, number: SegmentNumber) -> Result<(), LakeError> {
    let path = layout.segment(number);
    let stated = stated_end(files, layout, number).map_err(|source| LakeError::file("read", &path, source))?;
    let Some(previous) = stated else { return Ok(()) };
    let path = layout.segment(previous.number);
    let len = match files.len(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        len => len.map_err(|source| LakeError::file("read", &path, source))?,
    };
    if len <= previous.len {
        return Ok(());
    }
    files
        .open_append(&path)
        .and_then(|mut file| {
            file.truncate(previous.len)?;
            file.sync_data()
        })
        .map_err(|source| LakeError::file("cut", &path, source))
}

fn stated_end(files: &dyn FileLayer, layout: &Layout, number: SegmentNumber) -> io::Result<Option<SegmentEnd>> {
    let path = layout.segment(number);
    let len = files.len(&path)?;
    let reader = SegmentReader::open(files.open_read(&path)?, number, len)?;
    Ok(reader.header.and_then(|header| header.previous))
}
