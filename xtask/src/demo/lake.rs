//! Reads the lake's Parquet files itself, with no query engine between, and holds them against what was acknowledged.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use headgate_loadtest::Ids;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use uuid::Uuid;

const ROWS_AT_ONCE: usize = 8_192;

/// What the lake holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// The id of every row, sorted.
    pub(super) ids: Vec<u128>,
    pub(super) rows_by_type: BTreeMap<String, u64>,
}

impl Contents {
    /// Reads every Parquet file below a folder.
    ///
    /// # Errors
    /// A file can't be read or is no file of this table, in words.
    pub(super) fn read(raw_events: &Path) -> Result<Self, String> {
        let mut contents = Self::default();
        for path in parquet_files(raw_events)? {
            contents.read_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        contents.ids.sort_unstable();
        Ok(contents)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        self.files += 1;
        self.bytes += file.metadata().map_err(|error| error.to_string())?.len();
        let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
        for index in 0..reader.num_row_groups() {
            let group = reader.get_row_group(index).map_err(|error| error.to_string())?;
            for id in strings(&*group, "event_id")? {
                let id = Uuid::try_parse_ascii(id.data()).map_err(|error| format!("event_id: {error}"))?;
                self.ids.push(id.as_u128());
            }
            for event_type in strings(&*group, "event_type")? {
                let event_type = String::from_utf8_lossy(event_type.data());
                match self.rows_by_type.get_mut(&*event_type) {
                    Some(rows) => *rows += 1,
                    None => {
                        self.rows_by_type.insert(event_type.into_owned(), 1);
                    }
                }
            }
        }
        Ok(())
    }
}

/// All values of a required column.
fn strings(group: &dyn RowGroupReader, name: &str) -> Result<Vec<ByteArray>, String> {
    let columns = group.metadata().columns();
    let place = columns.iter().position(|column| column.column_path().string() == name);
    let place = place.ok_or_else(|| format!("has no column {name}"))?;
    let reader = group.get_column_reader(place).map_err(|error| error.to_string())?;
    let mut reader = parquet::column::reader::get_typed_column_reader::<ByteArrayType>(reader);
    let rows = usize::try_from(group.metadata().num_rows()).map_err(|error| error.to_string())?;
    let mut values = Vec::with_capacity(rows);
    while values.len() < rows {
        let (read, _, _) =
            reader.read_records(ROWS_AT_ONCE, None, None, &mut values).map_err(|error| error.to_string())?;
        if read == 0 {
            return Err(format!("column {name} ends after {} of {rows} rows", values.len()));
        }
    }
    Ok(values)
}

/// The Parquet files below a folder; temporary ones, which begin with a dot, are none yet.
fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let in_words = |error: std::io::Error| format!("can't list {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(in_words)? {
        let path = entry.map_err(in_words)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() {
            files.extend(parquet_files(&path)?);
        } else if !hidden && path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The lake held against the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verification {
    /// Acknowledged, and there exactly once.
    pub(super) stored: u64,
    /// Acknowledged, and not there.
    pub(super) missing: u64,
    /// Rows beyond the first of an id.
    pub(super) doubled: u64,
    /// Rejected, and there all the same.
    pub(super) rejected_stored: u64,
    /// Never answered for certain, and there: allowed.
    pub(super) undecided_stored: u64,
    /// There, and never sent by this run.
    pub(super) foreign: u64,
}

impl Verification {
    pub(super) fn of(contents: &Contents, ids: &Ids) -> Self {
        let sorted = |ids: &[u128]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        let (acknowledged, rejected, undecided) =
            (sorted(&ids.acknowledged), sorted(&ids.rejected), sorted(&ids.undecided));
        let holds = |ids: &[u128], id: u128| ids.binary_search(&id).is_ok();
        let mut verification = Self::default();
        for same in contents.ids.chunk_by(|one, other| one == other) {
            let id = same[0];
            verification.doubled += same.len() as u64 - 1;
            if holds(&acknowledged, id) {
                verification.stored += u64::from(same.len() == 1);
            } else if holds(&rejected, id) {
                verification.rejected_stored += 1;
            } else if holds(&undecided, id) {
                verification.undecided_stored += 1;
            } else {
                verification.foreign += 1;
            }
        }
        verification.missing = acknowledged.iter().filter(|id| !holds(&contents.ids, **id)).count() as u64;
        verification
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    #[test]
    fn every_way_in_which_lake_and_answers_can_differ_is_told() {
        let ids = Ids { acknowledged: vec![1, 2, 3, 4], rejected: vec![10, 11], undecided: vec![20, 21] };
        let contents = Contents { ids: vec![1, 2, 2, 4, 11, 20, 30], ..Contents::default() };
        let expected =
            Verification { stored: 2, missing: 1, doubled: 1, rejected_stored: 1, undecided_stored: 1, foreign: 1 };
        assert_eq!(Verification::of(&contents, &ids), expected);
    }

    #[test]
    fn ids_and_types_are_read_from_every_partition_and_not_from_temporary_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let day = |day: &str| {
            let day = folder.path().join("year=2026/month=01").join(day);
            std::fs::create_dir_all(&day).expect("a folder");
            day
        };
        write(&day("day=01").join("1-00.parquet"), &[(7, "login"), (5, "logout")]);
        write(&day("day=02").join("1-01.parquet"), &[(6, "login")]);
        std::fs::write(day("day=02").join(".tmp-2-00.parquet"), b"half a file").expect("written");

        let contents = Contents::read(folder.path()).expect("reads");
        assert_eq!((contents.files, contents.ids), (2, vec![5, 6, 7]));
        assert_eq!(contents.rows_by_type, BTreeMap::from([("login".to_owned(), 2), ("logout".to_owned(), 1)]));

        std::fs::write(day("day=02").join("2-00.parquet"), b"half a file").expect("written");
        let error = Contents::read(folder.path()).expect_err("a broken file");
        assert!(error.contains("2-00.parquet"), "{error}");
    }

    fn write(path: &Path, rows: &[(u128, &str)]) {
        let schema = "message raw_events {
            required int64 event_timestamp; required binary event_type (STRING); required binary event_id (STRING);
        }";
        let schema = Arc::new(parse_message_type(schema).expect("a schema"));
        let file = File::create(path).expect("a file");
        let mut writer =
            SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).expect("a writer");
        let mut group = writer.next_row_group().expect("a row group");
        let mut column = group.next_column().expect("a column").expect("the first");
        let times = vec![0_i64; rows.len()];
        column.typed::<parquet::data_type::Int64Type>().write_batch(&times, None, None).expect("written");
        column.close().expect("closed");
        let types: Vec<String> = rows.iter().map(|(_, event_type)| (*event_type).to_owned()).collect();
        let ids: Vec<String> = rows.iter().map(|(id, _)| Uuid::from_u128(*id).to_string()).collect();
        for texts in [types, ids] {
            let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.as_str())).collect();
            let mut column = group.next_column().expect("a column").expect("the next");
            column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
            column.close().expect("closed");
        }
        group.close().expect("closed");
        writer.close().expect("closed");
    }
}
