//! Where a replay's events come from: files of bad rows, or the lake's Parquet files. They are read twice, first to count
//! them and to see whose they are, then to send them; nothing is held in memory but the batch in hand. Rows that can't be
//! read are counted and left out; a file that can't be read ends the replay.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use headgate_proto::v1::Event;
use prost::Message;
use prost_types::Timestamp;

use super::lines::{Line, Lines, MAX_LINE};
use crate::cli::CliError;
use crate::delivery::lake::day::Day;
use crate::delivery::lake::{EventRow, LakeFiles, read_rows};
use crate::delivery::rejects::BadRowLine;

/// Below the 4 MiB that a gateway takes by default.
const BATCH_BYTES: usize = 3 << 20;
/// So many rows that can't be read are named; a file of nothing else would bury the report.
const PROBLEMS_NAMED: usize = 100;

pub(super) struct Source {
    files: Files,
    /// Log segments of the lake whose events are in no file yet.
    pub(super) waiting_segments: u64,
}

enum Files {
    BadRows(Vec<RowFile>),
    Lake(Vec<PathBuf>),
}

#[derive(Clone)]
struct RowFile {
    path: PathBuf,
    /// What it held when it was chosen. A gateway that rejects what is sent appends that here.
    len: u64,
}

/// What there is to send.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) events: u64,
    pub(super) unreadable: u64,
    /// The first of the rows that can't be read, each with its place and what is wrong with it.
    pub(super) problems: Vec<String>,
}

struct Read {
    /// `None`: nobody can tell whose it is.
    application_id: Option<String>,
    /// If the row holds nothing that can be sent, where it is and why.
    event: Result<Event, String>,
}

type Reads = Box<dyn Iterator<Item = Result<Read, CliError>> + Send>;

impl Source {
    /// The files at these paths, and for a folder every `.jsonl` file below it.
    pub(super) fn bad_rows(paths: &[PathBuf]) -> Result<Self, CliError> {
        let mut files = Vec::new();
        for path in paths {
            collect(path, &mut files).map_err(|error| failed(path, &error))?;
        }
        Ok(Self { files: Files::BadRows(files), waiting_segments: 0 })
    }

    pub(super) fn lake(data_dir: &Path, from: Day, to: Day) -> Result<Self, CliError> {
        let files = LakeFiles::between(data_dir, from, to).map_err(CliError::failed)?;
        Ok(Self { files: Files::Lake(files.paths), waiting_segments: files.waiting_segments })
    }

    /// Counts what there is of an application, or, without one, of the only one there is.
    pub(super) fn survey(&self, app: Option<&str>, mut progress: impl FnMut(u64)) -> Result<Selected, CliError> {
        let mut selected = Selected::default();
        let mut applications: BTreeMap<String, u64> = BTreeMap::new();
        for read in self.reads(app) {
            let read = read?;
            match read.event {
                Ok(_) => selected.events += 1,
                Err(problem) => {
                    selected.unreadable += 1;
                    if selected.problems.len() < PROBLEMS_NAMED {
                        selected.problems.push(problem);
                    }
                }
            }
            if let Some(id) = read.application_id {
                match applications.get_mut(&id) {
                    Some(count) => *count += 1,
                    None => drop(applications.insert(id, 1)),
                }
            }
            progress(selected.events);
        }
        if applications.len() > 1 {
            let found: Vec<String> = applications.iter().map(|(id, events)| format!("{id} ({events})")).collect();
            return Err(CliError::usage(format!(
                "these are events of several applications, and a key is one application's: say --app with one of {}",
                found.join(", ")
            )));
        }
        Ok(selected)
    }

    /// The events in calls of at most `events`.
    pub(super) fn batches(
        &self,
        app: Option<&str>,
        events: usize,
    ) -> impl Iterator<Item = Result<Vec<Event>, CliError>> + Send + use<> {
        let reads = self.reads(app).filter_map(|read| read.map(|read| read.event.ok()).transpose());
        Batches { reads: Box::new(reads), next: None, events }
    }

    fn reads(&self, app: Option<&str>) -> Reads {
        let app = app.map(str::to_owned);
        let reads: Reads = match &self.files {
            Files::BadRows(files) => Box::new(files.clone().into_iter().flat_map(bad_rows_of)),
            Files::Lake(paths) => Box::new(paths.clone().into_iter().flat_map(lake_rows_of)),
        };
        Box::new(reads.filter(move |read| match (read, &app) {
            (Ok(Read { application_id: Some(id), .. }), Some(app)) => id.eq_ignore_ascii_case(app),
            _ => true,
        }))
    }
}

struct Batches {
    reads: Box<dyn Iterator<Item = Result<Event, CliError>> + Send>,
    next: Option<Event>,
    events: usize,
}

impl Iterator for Batches {
    type Item = Result<Vec<Event>, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let event = match self.next.take().map(Ok).or_else(|| self.reads.next()) {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Some(Err(error)),
                None => return (!batch.is_empty()).then_some(Ok(batch)),
            };
            let len = event.encoded_len();
            if !batch.is_empty() && (batch.len() == self.events || bytes + len > BATCH_BYTES) {
                self.next = Some(event);
                return Some(Ok(batch));
            }
            bytes += len;
            batch.push(event);
        }
    }
}

fn collect(path: &Path, files: &mut Vec<RowFile>) -> io::Result<()> {
    if !path.is_dir() {
        // Said by name, so it is taken whatever it is called; opening it tells if it is not there.
        let metadata = File::open(path)?.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it has to be read twice, save it as a file"));
        }
        files.push(RowFile { path: path.to_owned(), len: metadata.len() });
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "jsonl") {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn bad_rows_of(file: RowFile) -> Reads {
    match Lines::open(&file.path, file.len) {
        Ok(lines) => Box::new(lines.map(move |line| match line {
            Ok(line) => Ok(bad_row(&file.path, &line)),
            Err(error) => Err(failed(&file.path, &error)),
        })),
        Err(error) => Box::new(std::iter::once(Err(failed(&file.path, &error)))),
    }
}

fn bad_row(path: &Path, line: &Line) -> Read {
    let at = |problem: &dyn std::fmt::Display| format!("{}, line {}: {problem}", path.display(), line.number);
    let Some(text) = &line.text else {
        let problem = format!("longer than {} MiB", MAX_LINE >> 20);
        return Read { application_id: None, event: Err(at(&problem)) };
    };
    match serde_json::from_slice::<BadRowLine>(text) {
        Ok(row) => Read {
            event: row.event_to_send().ok_or_else(|| at(&"its bytes are no event, and it was not repaired")),
            application_id: Some(row.application_id),
        },
        Err(error) => Read { application_id: None, event: Err(at(&error)) },
    }
}

fn lake_rows_of(path: PathBuf) -> Reads {
    match read_rows(&path) {
        Ok(rows) => Box::new(rows.map(|row| {
            let row = row.map_err(CliError::failed)?;
            Ok(Read { application_id: Some(row.application_id.clone()), event: Ok(event_of(row)) })
        })),
        Err(error) => Box::new(std::iter::once(Err(CliError::failed(error)))),
    }
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("{}: {error}", path.display()))
}

fn event_of(row: EventRow) -> Event {
    let millis = i32::try_from(row.event_time_ms.rem_euclid(1_000)).unwrap_or(0);
    Event {
        event_id: row.event_id,
        event_type: row.event_type,
        event_name: row.event_name,
        event_timestamp: Some(Timestamp { seconds: row.event_time_ms.div_euclid(1_000), nanos: millis * 1_000_000 }),
        event_version: row.event_version.unwrap_or_default(),
        app_version: row.app_version.unwrap_or_default(),
        event_data: row.event_data.unwrap_or_default().into_bytes().into(),
        partition_key: String::new(),
    }
}
