//! One Parquet file: whether it holds rows that are to go, and the file without them.

use std::fs::File;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use super::Erasing;
use super::pending::is_as_written;
use crate::delivery::erase::Subject;
use crate::delivery::lake::LakeError;
use crate::delivery::lake::files::temporary_name;
use crate::delivery::lake::manifest::ManifestFile;
use crate::delivery::lake::parquet_file::{ParquetFile, is_of_the_table};
use crate::delivery::lake::read_rows::guarded;
use crate::delivery::lake::row_group::SpareChunks;
use crate::delivery::lake::rows::{Rows, application_ids, event_data};

/// What becomes of a file.
pub(super) enum Became {
    /// It holds none of the rows.
    AsItWas,
    /// It stands, durable, under its temporary name.
    Rewritten(ManifestFile),
    /// Every row of it was to go.
    Nothing,
}

/// Of each row group, which rows stay; `None`: all of them.
type Stays = Vec<Option<Vec<bool>>>;

/// Writes a file again without the rows that are to go, unless it has none or nothing else.
pub(super) fn without_theirs(erasing: &Erasing<'_>, file: &ManifestFile) -> Result<Became, LakeError> {
    let path = erasing.layout.root.join(&file.path);
    let source = erasing.files.open_read(&path).map_err(|source| LakeError::file("open", &path, source))?;
    let reader = guarded(&path, || {
        let reader = SerializedFileReader::new(source)?;
        if !is_of_the_table(reader.metadata().file_metadata().schema()) {
            return Err(ParquetError::General("has other columns than this version writes".to_owned()));
        }
        Ok(reader)
    })?;
    let mut stays = Stays::new();
    for group in 0..reader.num_row_groups() {
        erasing.stop_if_asked()?;
        stays.push(guarded(&path, || rows_that_stay(&*reader.get_row_group(group)?, erasing.subject))?);
    }
    if stays.iter().all(Option::is_none) {
        // A crash may have left one, and nobody would ever replace it.
        let _ = erasing.files.remove(&temporary_name(&path));
        return Ok(Became::AsItWas);
    }
    if !is_as_written(erasing.files, &path, file).map_err(|source| LakeError::file("read", &path, source))? {
        let problem = "is not as its manifest says, so it is left as it is; `headgate lake verify` says more";
        return Err(LakeError::parquet(&path, ParquetError::General(problem.to_owned())));
    }
    if stays.iter().all(|stays| stays.as_ref().is_some_and(|stays| !stays.contains(&true))) {
        let _ = erasing.files.remove(&temporary_name(&path));
        return Ok(Became::Nothing);
    }
    let written = write_again(erasing, file, &reader, stays);
    if written.is_err() {
        let _ = erasing.files.remove(&temporary_name(&path));
    }
    written.map(Became::Rewritten)
}

fn rows_that_stay(group: &dyn RowGroupReader, subject: &Subject) -> Result<Option<Vec<bool>>, ParquetError> {
    let Some(applications) = application_ids(group, subject.application_id())? else { return Ok(None) };
    let is_of_application = |id: &parquet::data_type::ByteArray| subject.is_application(id.data());
    if !applications.iter().any(is_of_application) {
        return Ok(None);
    }
    let data = event_data(group)?;
    let is_theirs = |data: &parquet::data_type::ByteArray| subject.owns(data.data());
    let stays: Vec<bool> = applications
        .iter()
        .zip(&data)
        .map(|(id, data)| !(is_of_application(id) && data.as_ref().is_some_and(is_theirs)))
        .collect();
    if stays.len() != applications.len() {
        return Err(ParquetError::General("its columns are not of one length".to_owned()));
    }
    Ok(stays.contains(&false).then_some(stays))
}

fn write_again(
    erasing: &Erasing<'_>,
    file: &ManifestFile,
    reader: &SerializedFileReader<File>,
    stays: Stays,
) -> Result<ManifestFile, LakeError> {
    let path = erasing.layout.root.join(&file.path);
    let mut written = ParquetFile::create(erasing.files, erasing.layout, file.path.clone(), SpareChunks::default())?;
    let mut rows = Rows::default();
    for (group, stays) in stays.into_iter().enumerate() {
        erasing.stop_if_asked()?;
        guarded(&path, || {
            let group = reader.get_row_group(group)?;
            let all = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
            rows.read(&*group, &stays.unwrap_or_else(|| vec![true; all]))
        })?;
        written.add(&mut rows)?;
        written.end_row_group()?;
    }
    written.finish()
}
