//! Where a replay's events come from: files of bad rows, or the lake's Parquet files. They are read twice, first to count
//! them and to see whose they are, then to send them; nothing is held in memory but the batch in hand.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use headgate_proto::v1::Event;
use prost::Message;
use prost_types::Timestamp;

use crate::cli::CliError;
use crate::delivery::lake::day::Day;
use crate::delivery::lake::{EventRow, LakeFiles, read_rows};
use crate::delivery::rejects::BadRowLine;

/// Below the 4 MiB that a gateway takes by default.
const BATCH_BYTES: usize = 3 << 20;

pub(super) struct Source {
    paths: Vec<PathBuf>,
    kind: Kind,
    /// Log segments of the lake whose events are in no file yet.
    pub(super) waiting_segments: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    BadRows,
    Lake,
}

/// What there is to send.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) events: u64,
    pub(super) unreadable: u64,
}

struct Read {
    application_id: String,
    /// `None`: the row holds nothing that can be sent.
    event: Option<Event>,
}

type Reads = Box<dyn Iterator<Item = Result<Read, CliError>> + Send>;

impl Source {
    /// The files at these paths, and for a folder every `.jsonl` file below it.
    pub(super) fn bad_rows(paths: &[PathBuf]) -> Result<Self, CliError> {
        let mut files = Vec::new();
        for path in paths {
            collect(path, &mut files).map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
        }
        Ok(Self { paths: files, kind: Kind::BadRows, waiting_segments: 0 })
    }

    pub(super) fn lake(data_dir: &Path, from: Day, to: Day) -> Result<Self, CliError> {
        let files = LakeFiles::between(data_dir, from, to).map_err(CliError::failed)?;
        Ok(Self { paths: files.paths, kind: Kind::Lake, waiting_segments: files.waiting_segments })
    }

    /// Counts what there is of an application, or, without one, of the only one there is.
    pub(super) fn survey(&self, app: Option<&str>, mut progress: impl FnMut(u64)) -> Result<Selected, CliError> {
        let mut selected = Selected::default();
        let mut applications: BTreeMap<String, u64> = BTreeMap::new();
        for read in self.reads(app) {
            let read = read?;
            match read.event {
                Some(_) => selected.events += 1,
                None => selected.unreadable += 1,
            }
            match applications.get_mut(&read.application_id) {
                Some(count) => *count += 1,
                None => drop(applications.insert(read.application_id, 1)),
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
        let reads = self.reads(app).filter_map(|read| read.map(|read| read.event).transpose());
        Batches { reads: Box::new(reads), next: None, events }
    }

    fn reads(&self, app: Option<&str>) -> Reads {
        let kind = self.kind;
        let app = app.map(str::to_owned);
        let reads = self.paths.clone().into_iter().flat_map(move |path| match kind {
            Kind::BadRows => bad_rows_of(path),
            Kind::Lake => lake_rows_of(path),
        });
        Box::new(reads.filter(move |read| match (read, &app) {
            (Ok(read), Some(app)) => read.application_id.eq_ignore_ascii_case(app),
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

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        // Said by name, so it is taken whatever it is called; opening it tells if it is not there.
        File::open(path)?;
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "jsonl") {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn bad_rows_of(path: PathBuf) -> Reads {
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => return failed(&path, &error),
    };
    let lines = BufReader::new(file).lines().enumerate();
    let lines = lines.filter(|(_, line)| line.as_ref().map_or(true, |line| !line.trim().is_empty()));
    Box::new(lines.map(move |(number, line)| {
        let at = |problem: &dyn std::fmt::Display| {
            CliError::failed(format!("{}, line {}: {problem}", path.display(), number + 1))
        };
        let line = line.map_err(|error| at(&error))?;
        let row: BadRowLine = serde_json::from_str(&line).map_err(|error| at(&error))?;
        Ok(Read { event: row.event_to_send(), application_id: row.application_id })
    }))
}

fn lake_rows_of(path: PathBuf) -> Reads {
    match read_rows(&path) {
        Ok(rows) => Box::new(rows.map(|row| {
            let row = row.map_err(CliError::failed)?;
            Ok(Read { application_id: row.application_id.clone(), event: Some(event_of(row)) })
        })),
        Err(error) => Box::new(std::iter::once(Err(CliError::failed(error)))),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Reads {
    Box::new(std::iter::once(Err(CliError::failed(format!("{}: {error}", path.display())))))
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
