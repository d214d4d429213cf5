//! Reads a row group back, column by column, without the rows that are to go.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;

use super::{OptionalColumn, Rows};

const APPLICATION_ID: usize = 6;
const EVENT_DATA: usize = 8;

type Read<T> = Result<T, ParquetError>;

impl Rows {
    /// Takes the rows of a group of the table ([`super::SCHEMA`]) for which `keep` says so, in the place of its own.
    pub(in crate::delivery::lake) fn read(&mut self, group: &dyn RowGroupReader, keep: &[bool]) -> Read<()> {
        *self = Self {
            event_id: required(group, 0, keep)?,
            event_type: required(group, 1, keep)?,
            event_name: required(group, 2, keep)?,
            event_version: optional(group, 3, keep)?,
            event_timestamp: numbers(group, 4, keep)?,
            app_version: optional(group, 5, keep)?,
            application_id: required(group, APPLICATION_ID, keep)?,
            application_name: optional(group, 7, keep)?,
            event_data: optional(group, EVENT_DATA, keep)?,
            metadata: required(group, 9, keep)?,
            event_time_ms: numbers(group, 10, keep)?,
        };
        Ok(())
    }
}

/// The application of each row. `None` if the group's statistics say that none is `sought`.
pub(in crate::delivery::lake) fn application_ids(
    group: &dyn RowGroupReader,
    sought: &str,
) -> Read<Option<Vec<ByteArray>>> {
    let statistics = group.metadata().column(APPLICATION_ID).statistics();
    let bounds = statistics.and_then(|statistics| Some((statistics.min_bytes_opt()?, statistics.max_bytes_opt()?)));
    // Bounds that were shortened are still bounds.
    if bounds.is_some_and(|(least, greatest)| sought.as_bytes() < least || greatest < sought.as_bytes()) {
        return Ok(None);
    }
    values(strings(group, APPLICATION_ID)?, rows_of(group)?).map(|(ids, _)| Some(ids))
}

/// The `event_data` of each row, where it has any.
pub(in crate::delivery::lake) fn event_data(group: &dyn RowGroupReader) -> Read<Vec<Option<ByteArray>>> {
    let (values, levels) = values(strings(group, EVENT_DATA)?, rows_of(group)?)?;
    let mut values = values.into_iter();
    Ok(levels.into_iter().map(|level| if level == 1 { values.next() } else { None }).collect())
}

fn required(group: &dyn RowGroupReader, column: usize, keep: &[bool]) -> Read<Vec<ByteArray>> {
    let (values, _) = values(strings(group, column)?, keep.len())?;
    Ok(kept(values, keep))
}

fn numbers(group: &dyn RowGroupReader, column: usize, keep: &[bool]) -> Read<Vec<i64>> {
    let ColumnReader::Int64ColumnReader(reader) = group.get_column_reader(column)? else { return Err(another_type()) };
    let (values, _) = values(reader, keep.len())?;
    Ok(kept(values, keep))
}

fn optional(group: &dyn RowGroupReader, column: usize, keep: &[bool]) -> Read<OptionalColumn> {
    let (values, levels) = values(strings(group, column)?, keep.len())?;
    let mut values = values.into_iter();
    let mut read = OptionalColumn::default();
    for (level, keep) in levels.into_iter().zip(keep) {
        let value = if level == 1 { values.next() } else { None };
        if *keep {
            read.push(value);
        }
    }
    Ok(read)
}

fn kept<T>(values: Vec<T>, keep: &[bool]) -> Vec<T> {
    values.into_iter().zip(keep).filter_map(|(value, keep)| keep.then_some(value)).collect()
}

fn strings(group: &dyn RowGroupReader, column: usize) -> Read<ColumnReaderImpl<ByteArrayType>> {
    match group.get_column_reader(column)? {
        ColumnReader::ByteArrayColumnReader(reader) => Ok(reader),
        _ => Err(another_type()),
    }
}

/// The values of so many rows and, of an optional column, which rows have one.
fn values<T: DataType>(mut reader: ColumnReaderImpl<T>, rows: usize) -> Read<(Vec<T::T>, Vec<i16>)> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut read = 0;
    while read < rows {
        let (records, ..) = reader.read_records(rows - read, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::General(format!("a column has {read} rows and should have {rows}")));
        }
        read += records;
    }
    Ok((values, levels))
}

fn rows_of(group: &dyn RowGroupReader) -> Read<usize> {
    usize::try_from(group.metadata().num_rows()).map_err(|_| ParquetError::General("less than no rows".to_owned()))
}

fn another_type() -> ParquetError {
    ParquetError::General("a column is of another type than this version writes".to_owned())
}
