//! Reads events back out of the lake's Parquet files, for replay. A damaged file is an error that names it, also where the
//! Parquet library panics: its row iterator unwraps what it decodes.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Row, RowAccessor};

use super::LakeError;
use super::day::Day;
use super::files::{FileLayer, OsFiles};
use super::layout::Layout;
use super::watch::panic_text;

/// One row of the lake, as far as it is the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its UUID.
    pub event_id: String,
    /// What kind of event.
    pub event_type: String,
    /// Its name.
    pub event_name: String,
    /// Version of the event's shape.
    pub event_version: Option<String>,
    /// Version of the game.
    pub app_version: Option<String>,
    /// When it happened, milliseconds since 1970-01-01 UTC; the lake keeps nothing finer.
    pub event_time_ms: i64,
    /// The JSON object.
    pub event_data: Option<String>,
    /// The application that sent it.
    pub application_id: String,
}

/// The Parquet files of a range of days.
pub struct LakeFiles {
    /// In the order of days and segments.
    pub paths: Vec<PathBuf>,
    /// Log segments that are not in Parquet yet; their events are in no file.
    pub waiting_segments: u64,
}

impl LakeFiles {
    /// Those of the partitions `from` to `to`, both included.
    ///
    /// # Errors
    /// If there is no lake in the data folder, or its folders can't be listed.
    pub fn between(data_dir: &Path, from: Day, to: Day) -> Result<Self, LakeError> {
        let layout = Layout::new(data_dir);
        let waiting_segments = layout.segments(&OsFiles)?.len() as u64;
        let mut paths = Vec::new();
        for day in (from.0..=to.0).map(Day) {
            let dir = layout.raw_events.join(day.partition());
            if !dir.is_dir() {
                continue;
            }
            let entries = OsFiles.list(&dir).map_err(|source| LakeError::file("list", &dir, source))?;
            let files = entries.into_iter().map(|entry| dir.join(entry.name));
            paths.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")));
        }
        Ok(Self { paths, waiting_segments })
    }
}

/// The rows of one file, in its order. It is opened and read as far as it is asked.
///
/// # Errors
/// If the file can't be read; each row can fail too.
pub fn read_rows(path: &Path) -> Result<impl Iterator<Item = Result<EventRow, LakeError>> + use<>, LakeError> {
    let file = File::open(path).map_err(|source| LakeError::file("open", path, source))?;
    let (rows, columns) = guarded(path, || {
        let reader = SerializedFileReader::new(file)?;
        let columns = Columns::find(&reader)?;
        Ok((reader.into_iter(), columns))
    })?;
    Ok(Rows { path: path.to_owned(), rows: Some(rows), columns })
}

struct Rows {
    path: PathBuf,
    /// `None` after an error: what the library's iterator does then is not said.
    rows: Option<RowIter<'static>>,
    columns: Columns,
}

impl Iterator for Rows {
    type Item = Result<EventRow, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rows.as_mut()?;
        let columns = &self.columns;
        let row = guarded(&self.path, || rows.next().map(|row| columns.read(&row?)).transpose());
        if row.is_err() {
            self.rows = None;
        }
        row.transpose()
    }
}

/// Turns a panic of the Parquet library into an error.
pub(super) fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, LakeError> {
    // Nothing that `read` has changed is used after a panic.
    let result = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        Err(ParquetError::General(format!("damaged, can't be decoded: {}", panic_text(&*panic))))
    });
    result.map_err(|source| LakeError::parquet(path, source))
}

/// Where the columns stand.
struct Columns([usize; 8]);

impl Columns {
    fn find(reader: &SerializedFileReader<File>) -> Result<Self, ParquetError> {
        const NAMES: [&str; 8] = [
            "event_id",
            "event_type",
            "event_name",
            "event_version",
            "app_version",
            "event_time_ms",
            "event_data",
            "application_id",
        ];
        let schema = reader.metadata().file_metadata().schema_descr();
        let mut places = [0; 8];
        for (place, name) in places.iter_mut().zip(NAMES) {
            *place = schema
                .columns()
                .iter()
                .position(|column| column.name() == name)
                .ok_or_else(|| ParquetError::General(format!("has no column {name}")))?;
        }
        Ok(Self(places))
    }

    fn read(&self, row: &Row) -> Result<EventRow, ParquetError> {
        let [event_id, event_type, event_name, event_version, app_version, event_time_ms, event_data, application_id] =
            self.0;
        let optional = |column| if row.is_null(column)? { Ok(None) } else { row.get_string(column).cloned().map(Some) };
        Ok(EventRow {
            event_id: row.get_string(event_id)?.clone(),
            event_type: row.get_string(event_type)?.clone(),
            event_name: row.get_string(event_name)?.clone(),
            event_version: optional(event_version)?,
            app_version: optional(app_version)?,
            event_time_ms: row.get_long(event_time_ms)?,
            event_data: optional(event_data)?,
            application_id: row.get_string(application_id)?.clone(),
        })
    }
}
