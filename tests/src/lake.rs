//! Reads a lake as any consumer would: every Parquet file under `raw_events`, with the `parquet` crate and nothing of the
//! gateway's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

/// Rows read from a column in one go.
const RUN: usize = 4_096;

/// One row, with the partition it lies in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// `event_id`
    pub event_id: ByteArray,
    /// `event_type`
    pub event_type: ByteArray,
    /// `event_name`
    pub event_name: ByteArray,
    /// `event_version`
    pub event_version: Option<ByteArray>,
    /// `event_timestamp`, seconds since 1970-01-01 UTC.
    pub event_timestamp: i64,
    /// `app_version`
    pub app_version: Option<ByteArray>,
    /// `application_id`
    pub application_id: ByteArray,
    /// `event_data`
    pub event_data: Option<ByteArray>,
    /// `event_time_ms`
    pub event_time_ms: i64,
    /// The partition, such as `year=2026/month=03/day=09`.
    pub partition: String,
}

/// Every row of a lake (`DATA_DIR/lake`), one file after the other. Files that are still being written do not count.
///
/// # Panics
/// If a file can't be read: then the lake is broken, and the test with it.
#[must_use]
pub fn rows(lake: &Path) -> Vec<Row> {
    let raw_events = lake.join("raw_events");
    let mut rows = Vec::new();
    for path in parquet_files(&raw_events) {
        let dir = path.parent().expect("a file has a folder");
        let partition = dir.strip_prefix(&raw_events).expect("found below it").display().to_string();
        read_file(&path, &partition, &mut rows);
    }
    rows
}

/// The Parquet files below a folder, in the order of their paths.
#[must_use]
pub fn parquet_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path = entry.expect("the folder can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(parquet_files(&path));
        } else if name.ends_with(".parquet") && !name.starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read_file(path: &Path, partition: &str, rows: &mut Vec<Row>) {
    let read = |rows: &mut Vec<Row>| -> parquet::errors::Result<()> {
        let reader = SerializedFileReader::new(File::open(path)?)?;
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            let first = rows.len();
            let count = usize::try_from(group.metadata().num_rows()).expect("a count");
            rows.resize(first + count, Row { partition: partition.to_owned(), ..Row::default() });
            read_group(&*group, &mut rows[first..])?;
        }
        Ok(())
    };
    if let Err(error) = read(rows) {
        panic!("{} can't be read: {error}", path.display());
    }
}

fn read_group(group: &dyn RowGroupReader, rows: &mut [Row]) -> parquet::errors::Result<()> {
    for index in 0..group.num_columns() {
        let column = group.metadata().column(index).column_descr_ptr();
        let reader = group.get_column_reader(index)?;
        match (column.name(), reader) {
            ("event_id", ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, rows, |row, value| row.event_id = value.unwrap_or_default())?;
            }
            ("event_type", ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, rows, |row, value| row.event_type = value.unwrap_or_default())?;
            }
            ("event_name", ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, rows, |row, value| row.event_name = value.unwrap_or_default())?;
            }
            ("event_version", ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, rows, |row, value| row.event_version = value)?;
            }
            ("event_timestamp", ColumnReader::Int64ColumnReader(reader)) => {
                each(reader, rows, |row, value| row.event_timestamp = value.unwrap_or_default())?;
            }
            ("app_version", ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, rows, |row, value| row.app_version = value)?;
            }
            ("application_id", ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, rows, |row, value| row.application_id = value.unwrap_or_default())?;
            }
            ("event_data", ColumnReader::ByteArrayColumnReader(reader)) => {
                each(reader, rows, |row, value| row.event_data = value)?;
            }
            ("event_time_ms", ColumnReader::Int64ColumnReader(reader)) => {
                each(reader, rows, |row, value| row.event_time_ms = value.unwrap_or_default())?;
            }
            ("application_name" | "metadata", _) => {}
            (other, _) => panic!("the table has a column `{other}` that nobody knows, or of another type"),
        }
    }
    Ok(())
}

/// Reads a column and puts each row's value, or its absence, in place.
fn each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: &mut [Row],
    put: impl Fn(&mut Row, Option<T::T>),
) -> parquet::errors::Result<()> {
    let mut rows = rows.iter_mut();
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    loop {
        levels.clear();
        values.clear();
        let (records, read, _) = reader.read_records(RUN, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Ok(());
        }
        // A required column has no levels: each of its values is there.
        levels.resize(records, i16::from(read == records));
        let mut values = values.drain(..);
        // In this order: a zip that ends at its second side has lost an element of its first.
        for (level, row) in levels.iter().zip(rows.by_ref()) {
            let value = if *level == 1 { values.next() } else { None };
            put(row, value);
        }
    }
}
