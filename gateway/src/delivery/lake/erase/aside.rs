//! What the lake has set aside because it can't be read as events: lines, of which some may still be theirs, and bytes of
//! a damaged log, in which their name may stand.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Erasing;
use crate::delivery::erase::{EraseReport, Subject};
use crate::delivery::lake::LakeError;
use crate::delivery::lake::files::{is_temporary, write_atomically};
use crate::delivery::lake::manifest::SetAside;

const CHUNK: usize = 1 << 20;
const MAY_HOLD: &str = "holds what can't be read as events, and among it the text of this player's id: look at it, and \
                        remove by hand what is theirs";

impl Erasing<'_> {
    /// Writes a segment's lines that were set aside again without theirs. `None`: none is left, and the file goes once
    /// the manifest says so.
    pub(super) fn without_their_lines(
        &self,
        set_aside: &SetAside,
        report: &mut EraseReport,
    ) -> Result<Option<SetAside>, LakeError> {
        let path = self.layout.root.join(&set_aside.path);
        let mut text = Vec::new();
        if let Err(source) = self.files.open_read(&path).and_then(|mut file| file.read_to_end(&mut text)) {
            self.failed(&path, &LakeError::file("read", &path, source), report);
            return Ok(Some(set_aside.clone()));
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let mut is_doubtful = false;
        let left: Vec<&[u8]> = lines
            .iter()
            .copied()
            .filter(|line| match whose(line, self.subject) {
                Whose::Theirs => false,
                Whose::Others => true,
                Whose::Doubtful => {
                    is_doubtful = true;
                    true
                }
            })
            .collect();
        if is_doubtful {
            report.problem(&Path::new("lake").join(&set_aside.path), MAY_HOLD);
        }
        if left.is_empty() {
            return Ok(None);
        }
        if left.len() < lines.len() {
            write_atomically(self.files, &path, &left.concat())
                .map_err(|source| LakeError::file("write", &path, source))?;
        }
        // Counted anew: a crash may have come between the lines and their manifest.
        Ok(Some(SetAside { path: set_aside.path.clone(), lines: left.len() as u64 }))
    }

    /// Looks for their name in what no manifest knows.
    pub(super) fn look_at_damaged(&self, known: &HashSet<PathBuf>, report: &mut EraseReport) -> Result<(), LakeError> {
        let folder = &self.layout.damaged;
        let entries = self.files.list(folder).map_err(|source| LakeError::file("list", folder, source))?;
        for entry in entries.into_iter().filter(|entry| !entry.is_dir && !is_temporary(&entry.name)) {
            self.stop_if_asked()?;
            let below = Path::new("damaged").join(&entry.name);
            if known.contains(&below) {
                continue;
            }
            let path = Path::new("lake").join(below);
            match self.is_mentioned_in(&folder.join(&entry.name)) {
                Ok(false) => {}
                Ok(true) => report.problem(&path, MAY_HOLD),
                Err(error) => report.problem(&path, format!("can't be read: {error}")),
            }
        }
        Ok(())
    }

    fn is_mentioned_in(&self, path: &Path) -> io::Result<bool> {
        let mut file = self.files.open_read(path)?;
        let overlap = self.subject.texts().iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1);
        let mut window: Vec<u8> = Vec::new();
        loop {
            // The text may lie across the border of two chunks.
            window.drain(..window.len().saturating_sub(overlap));
            if (&mut file).take(CHUNK as u64).read_to_end(&mut window)? == 0 {
                return Ok(false);
            }
            if self.subject.is_mentioned(&window) {
                return Ok(true);
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Whose {
    Theirs,
    Others,
    /// It can't be read, and their name stands in it.
    Doubtful,
}

fn whose(line: &[u8], subject: &Subject) -> Whose {
    let read = serde_json::from_slice::<Value>(line).ok();
    let parts = read.as_ref().and_then(|value| {
        let application = value.get("application_id")?.as_str()?;
        Some((application, value.get("event")?.get("event_data")?.to_string()))
    });
    match parts {
        Some((application, _)) if !subject.is_application(application.as_bytes()) => Whose::Others,
        Some((_, data)) if subject.owns(data.as_bytes()) => Whose::Theirs,
        Some(_) => Whose::Others,
        None if subject.is_mentioned(line) => Whose::Doubtful,
        None => Whose::Others,
    }
}
