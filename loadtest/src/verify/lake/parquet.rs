//! Reads columns of the lake's Parquet files, with no query engine between.

use std::fs::File;
use std::path::Path;

use ::parquet::column::reader::get_typed_column_reader;
use ::parquet::data_type::ByteArrayType;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
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
