//! Reads columns of the lake's Parquet files, with no query engine between.

use std::fs::File;
use std::path::Path;

use ::parquet::column::reader::get_typed_column_reader;
use ::parquet::data_type::{ByteArray, ByteArrayType};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

use super::super::destination::VerifyError;

const ROWS_AT_ONCE: usize = 8_192;

/// What is wrong with a Parquet file of the lake.
#[derive(Debug, Error)]
pub enum ParquetFault {
    /// It can't be read as Parquet.
    #[error("no Parquet file: {0}")]
    Parquet(#[from] ParquetError),
    /// A column is not there.
    #[error("has no column {0}")]
    Column(&'static str),
    /// A column has fewer values than the file has rows.
    #[error("column {column} ends after {read} of {rows} rows")]
    Short {
        /// Which.
        column: &'static str,
        /// Values in it.
        read: usize,
        /// Rows of its row group.
        rows: usize,
    },
    /// An id is none.
    #[error("event_id: {0}")]
    Id(#[from] uuid::Error),
}

/// Calls `each` with the id of every row.
pub(super) fn each_id(path: &Path, mut each: impl FnMut(u128) -> Result<(), VerifyError>) -> Result<(), VerifyError> {
    each_value(path, "event_id", |id| match Uuid::try_parse_ascii(id) {
        Ok(id) => each(id.as_u128()),
        Err(error) => Err(VerifyError::Parquet { path: path.to_path_buf(), error: error.into() }),
    })
}

/// Calls `each` with the id of every row of an application, in a file that is in memory, whoever wrote it: Firehose's columns
/// may be empty.
pub(crate) fn ids_of(file: Bytes, application_id: &str, mut each: impl FnMut(u128)) -> Result<(), ParquetFault> {
    let reader = SerializedFileReader::new(file)?;
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index)?;
        let applications = texts(&*group, "application_id")?;
        let ids = texts(&*group, "event_id")?;
        for (application, id) in applications.iter().zip(&ids) {
            let is_its_own = application.as_ref().is_some_and(|own| own.data() == application_id.as_bytes());
            if let (true, Some(id)) = (is_its_own, id) {
                each(Uuid::try_parse_ascii(id.data())?.as_u128());
            }
        }
    }
    Ok(())
}

/// A column of texts, each of which may be empty.
fn texts(group: &dyn RowGroupReader, column: &'static str) -> Result<Vec<Option<ByteArray>>, ParquetFault> {
    let place = group.metadata().columns().iter().position(|other| other.column_path().string() == column);
    let place = place.ok_or(ParquetFault::Column(column))?;
    let is_optional = group.metadata().column(place).column_descr().max_def_level() > 0;
    let mut reader = get_typed_column_reader::<ByteArrayType>(group.get_column_reader(place)?);
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
    let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::new());
    let mut read = 0;
    while read < rows {
        let defined = is_optional.then_some(&mut levels);
        let (records, _, _) = reader.read_records(rows - read, defined, None, &mut values)?;
        if records == 0 {
            return Err(ParquetFault::Short { column, read, rows });
        }
        read += records;
    }
    if !is_optional {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels.iter().map(|level| if *level > 0 { values.next() } else { None }).collect())
}

/// Calls `each` with every value of a required column of texts.
pub(super) fn each_value(
    path: &Path,
    column: &'static str,
    mut each: impl FnMut(&[u8]) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    let fault = |error: ParquetFault| VerifyError::Parquet { path: path.to_path_buf(), error };
    let file = File::open(path).map_err(|error| VerifyError::File { path: path.to_path_buf(), error })?;
    let reader = SerializedFileReader::new(file).map_err(|error| fault(error.into()))?;
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index).map_err(|error| fault(error.into()))?;
        each_of_group(&*group, column, &fault, &mut each)?;
    }
    Ok(())
}

fn each_of_group(
    group: &dyn RowGroupReader,
    column: &'static str,
    fault: &dyn Fn(ParquetFault) -> VerifyError,
    each: &mut impl FnMut(&[u8]) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    let place = group.metadata().columns().iter().position(|other| other.column_path().string() == column);
    let place = place.ok_or_else(|| fault(ParquetFault::Column(column)))?;
    let reader = group.get_column_reader(place).map_err(|error| fault(error.into()))?;
    let mut reader = get_typed_column_reader::<ByteArrayType>(reader);
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
    let mut values = Vec::with_capacity(ROWS_AT_ONCE.min(rows));
    let mut read = 0;
    while read < rows {
        values.clear();
        let (records, _, _) =
            reader.read_records(ROWS_AT_ONCE, None, None, &mut values).map_err(|error| fault(error.into()))?;
        if records == 0 {
            return Err(fault(ParquetFault::Short { column, read, rows }));
        }
        read += records;
        for value in &values {
            each(value.data())?;
        }
    }
    Ok(())
}
