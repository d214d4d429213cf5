//! Deletes somebody's bad rows: each file that holds some is written again without them, under its own name.
//!
//! A rejected event may be anything, so a row goes if its `event_data`, as it came or as somebody has repaired it, is
//! theirs, and also if it can't be read at all and their id stands in it as a JSON string.

use std::fmt::Display;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use headgate_proto::v1::Event;
use prost::Message;
use serde::de::IgnoredAny;
use tokio_util::sync::CancellationToken;

use super::row::BadRowLine;
use super::writer::{kept_files, paths};
use crate::delivery::erase::{EraseReport, Subject};
use crate::delivery::lake::files::{FileLayer, is_temporary, parent_of, write_atomically};

/// Deletes from `settled` files, or where that is `None`, from every file that an earlier start has left in the data
/// folder. Ends early on `stop`; doing it again does the rest.
pub fn erase_bad_rows(
    files: &dyn FileLayer,
    data_dir: &Path,
    settled: Option<Vec<PathBuf>>,
    subject: &Subject,
    stop: &CancellationToken,
    report: &mut EraseReport,
) {
    let found = match settled {
        Some(settled) => Ok(settled),
        None => match kept_files(files, data_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            kept => kept.map(paths),
        },
    };
    let mut failed = |path: &Path, problem: &dyn Display| {
        report.problem(path.strip_prefix(data_dir).unwrap_or(path), problem);
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return failed(Path::new("bad_rows"), &format!("can't be listed: {error}")),
    };
    let mut removed = 0;
    for path in found {
        if stop.is_cancelled() {
            break;
        }
        if path.file_name().is_some_and(is_temporary) {
            // A crash has left it.
            let _ = files.remove(&path);
            continue;
        }
        match erase_from(files, &path, subject) {
            Ok(done) => {
                removed += done.removed;
                if done.unreadable > 0 {
                    let lines = done.unreadable;
                    failed(&path, &format!("{lines} of its lines can't be read, so nobody can tell whose they are"));
                }
                if done.doubtful > 0 {
                    let lines = done.doubtful;
                    failed(
                        &path,
                        &format!(
                            "{lines} of its lines hold the id in data that can't be read: look at them, and remove them"
                        ),
                    );
                }
            }
            // `lake.bad_rows_keep` has come first.
            Err(error) if error.kind() == io::ErrorKind::NotFound && files.len(&path).is_err() => {}
            Err(error) => failed(&path, &error),
        }
    }
    report.bad_rows_removed += removed;
}

#[derive(Default)]
struct Done {
    removed: u64,
    unreadable: u64,
    // Those that may be theirs.
    doubtful: u64,
}

/// Whose a row is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Theirs,
    Others,
    /// The id stands somewhere in data that can't be read.
    Doubtful,
}

fn erase_from(files: &dyn FileLayer, path: &Path, subject: &Subject) -> io::Result<Done> {
    let mut text = Vec::new();
    files.open_read(path)?.read_to_end(&mut text)?;
    let mut done = Done::default();
    let mut left = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice::<BadRowLine>(line).map(|row| whose(&row, subject)) {
            Ok(Whose::Theirs) => {
                done.removed += 1;
                continue;
            }
            Ok(Whose::Doubtful) => done.doubtful += 1,
            Ok(Whose::Others) => {}
            Err(_) => done.unreadable += u64::from(!line.trim_ascii().is_empty()),
        }
        left.extend_from_slice(line);
    }
    if done.removed == 0 {
        return Ok(done);
    }
    if left.is_empty() {
        files.remove(path)?;
        files.sync_dir(parent_of(path))?;
    } else {
        write_atomically(files, path, &left)?;
    }
    Ok(done)
}

fn whose(row: &BadRowLine, subject: &Subject) -> Whose {
    if !subject.is_application(row.application_id.as_bytes()) {
        return Whose::Others;
    }
    let original = row.original();
    let event = original.as_ref().and_then(|bytes| Event::decode(&**bytes).ok());
    let repaired = row.event.as_ref().map(|event| event.event_data.as_bytes());
    let as_it_came = event.as_ref().map(|event| &*event.event_data);
    let data: Vec<&[u8]> = repaired.into_iter().chain(as_it_came).collect();
    let raw = if event.is_none() { original.as_deref() } else { None };
    if data.iter().any(|data| is_theirs(data, subject)) || raw.is_some_and(|bytes| is_quoted_in(bytes, subject)) {
        return Whose::Theirs;
    }
    let broken = data.into_iter().filter(|data| is_broken(data)).chain(raw);
    if broken.into_iter().any(|bytes| is_a_word_in(bytes, subject)) { Whose::Doubtful } else { Whose::Others }
}

fn is_theirs(data: &[u8], subject: &Subject) -> bool {
    // An object that somebody has put into a string.
    let within = || serde_json::from_slice::<String>(data).is_ok_and(|text| subject.owns(text.as_bytes()));
    subject.owns(data) || is_broken(data) && (is_quoted_in(data, subject) || within())
}

/// Whether bytes are no JSON object, so that nothing in them can be told by its name.
fn is_broken(data: &[u8]) -> bool {
    !data.trim_ascii_start().starts_with(b"{") || serde_json::from_slice::<IgnoredAny>(data).is_err()
}

fn is_quoted_in(bytes: &[u8], subject: &Subject) -> bool {
    subject.texts().iter().any(|id| memchr::memmem::find(bytes, &[b"\"", &**id, b"\""].concat()).is_some())
}

/// Whether the id stands there by itself, and not within a longer word.
fn is_a_word_in(bytes: &[u8], subject: &Subject) -> bool {
    let of_a_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = |at: usize| at.checked_sub(1).and_then(|at| bytes.get(at));
    subject.texts().iter().any(|id| {
        memchr::memmem::find_iter(bytes, id).any(|at| !of_a_word(before(at)) && !of_a_word(bytes.get(at + id.len())))
    })
}
