//! How several files and their manifest change as one.
//!
//! The new files are durable under temporary names before the manifest that is to be, `NUMBER.erasing`, is written; that
//! is the moment from which the change holds. Then the files get their names, those that are to go are removed, and the
//! manifest to be becomes the manifest. Whoever finds one to be ends the change from whatever point it had got to: each
//! step leaves what was done before as it is.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::delivery::lake::LakeError;
use crate::delivery::lake::files::{FileLayer, parent_of, temporary_name};
use crate::delivery::lake::layout::{Layout, SegmentNumber};
use crate::delivery::lake::manifest::{Manifest, ManifestFile};
use crate::delivery::lake::verify::read_through;

/// The manifest to be of a segment that is being changed.
pub(in crate::delivery::lake) fn read(
    files: &dyn FileLayer,
    layout: &Layout,
    number: SegmentNumber,
) -> Result<Option<Manifest>, LakeError> {
    let path = layout.pending_manifest(number);
    match files.len(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LakeError::file("read", &path, source)),
        Ok(_) => match Manifest::read_at(files, path) {
            // Its turn has come in between.
            Err(LakeError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        },
    }
}

/// Ends a change that was begun, if there is one. Trying again after an error is safe.
pub(in crate::delivery::lake) fn finish(
    files: &dyn FileLayer,
    layout: &Layout,
    number: SegmentNumber,
) -> Result<(), LakeError> {
    let Some(after) = read(files, layout, number)? else { return Ok(()) };
    let before = Manifest::read(files, layout, number)?;
    let mut folders = BTreeSet::new();
    for file in after.files.iter().filter(|file| !before.files.contains(file)) {
        let path = layout.root.join(&file.path);
        put_in_place(files, &path, file).map_err(|source| LakeError::file("replace", &path, source))?;
        folders.insert(parent_of(&path).to_owned());
    }
    let is_left = |path: &Path| after.files.iter().any(|file| file.path == path);
    let files_gone = before.files.iter().map(|file| &file.path).filter(|path| !is_left(path));
    let lines_gone = before.set_aside.iter().filter(|_| after.set_aside.is_none()).map(|set_aside| &set_aside.path);
    for gone in files_gone.chain(lines_gone) {
        let path = layout.root.join(gone);
        match files.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|source| LakeError::file("remove", &path, source))?,
        }
        folders.insert(parent_of(&path).to_owned());
    }
    for folder in folders {
        files.sync_dir(&folder).map_err(|source| LakeError::file("sync", &folder, source))?;
    }
    let path = layout.manifest_file(number);
    files
        .rename(&layout.pending_manifest(number), &path)
        .and_then(|()| files.sync_dir(&layout.manifest))
        .map_err(|source| LakeError::file("replace", &path, source))
}

fn put_in_place(files: &dyn FileLayer, path: &Path, expected: &ManifestFile) -> io::Result<()> {
    if is_as_written(files, path, expected)? {
        return Ok(());
    }
    let temporary = temporary_name(path);
    if !is_as_written(files, &temporary, expected)? {
        return Err(io::Error::other("the file that was to take its place is damaged or gone"));
    }
    files.rename(&temporary, path)
}

/// Whether a file is there as the manifest says.
pub(super) fn is_as_written(files: &dyn FileLayer, path: &Path, expected: &ManifestFile) -> io::Result<bool> {
    let len = match files.len(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        len => len?,
    };
    if len != expected.bytes {
        return Ok(false);
    }
    let (bytes, checksum) = read_through(&mut files.open_read(path)?)?;
    Ok(bytes == expected.bytes && checksum == expected.crc32c)
}
