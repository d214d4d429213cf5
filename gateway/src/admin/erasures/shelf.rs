//! The erasures on the disk: `DATA_DIR/erasures/ID.json`, each readable by its owner only, and whole or not there. An open
//! one holds the player's id, because a restart takes it up again; one that is over does not.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::job::Erasure;
use crate::registry::private_file;

const FOLDER: &str = "erasures";
/// Of those that are over, the newest so many are kept.
const KEPT: usize = 1_000;

pub(super) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER) }
    }

    /// Every erasure, oldest first. One that can't be read is left where it is and named in the log.
    pub(super) fn read(&self) -> io::Result<Vec<Erasure>> {
        let mut read = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(read),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let erasure = fs::read(&path).and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
            match erasure {
                Ok(erasure) => read.push(erasure),
                Err(error) => tracing::error!(path = %path.display(), %error, "a deletion can't be read"),
            }
        }
        read.sort_by_key(|erasure: &Erasure| (erasure.asked_at_ms, erasure.id));
        Ok(read)
    }

    /// Removes what a crash has left half written; it may hold a player's id.
    pub(super) fn tidy(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, erasure: &Erasure) -> io::Result<()> {
        if !self.folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let above = self.folder.parent().unwrap_or(Path::new("."));
            fs::File::open(above)?.sync_all()?;
        }
        let mut text = serde_json::to_vec_pretty(erasure)?;
        text.push(b'\n');
        private_file::write(&self.path(erasure.id), &text)
    }

    pub(super) fn remove(&self, id: Uuid) -> io::Result<()> {
        fs::remove_file(self.path(id))
    }

    /// The oldest that are over and beyond what is kept, of all there are, oldest first.
    pub(super) fn beyond(all: &[Erasure]) -> Vec<Uuid> {
        let over: Vec<Uuid> = all.iter().filter(|one| one.state.is_over()).map(|one| one.id).collect();
        over[..over.len().saturating_sub(KEPT)].to_vec()
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}
