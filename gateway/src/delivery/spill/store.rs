//! The spill's folder: one file for some MiB of buckets, numbered, never changed once another one is begun, and removed
//! when every bucket of it is delivered.

use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, info, warn};

use super::frame::{self, FILE_HEADER, FRAME_HEADER, FrameHead};
use crate::delivery::lake::files::{self, FileLayer};

const FOLDER: &str = "spill";
const ENDING: &str = ".spill";

/// Where a bucket lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The file's number.
    pub(super) file: u64,
    /// Where its frame begins.
    pub(super) offset: u64,
}

/// A bucket on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) place: Place,
    pub(super) head: FrameHead,
}

/// What was left by an earlier start.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Files that hold buckets, with their lengths in bytes.
    pub(super) files: Vec<(u64, u64)>,
    /// The buckets, oldest first.
    pub(super) buckets: Vec<Stored>,
    /// Bytes of files that are in no good frame: torn or damaged.
    pub(super) lost_bytes: u64,
    /// The number of the next file.
    pub(super) next_file: u64,
}

/// See the module.
pub(super) struct Store {
    pub(super) files: Arc<dyn FileLayer>,
    pub(super) folder: PathBuf,
}

impl Store {
    /// Makes `DATA_DIR/spill/NAME`, unless it is there.
    pub(super) fn open(files: Arc<dyn FileLayer>, data_dir: &Path, name: &str) -> io::Result<Self> {
        let below = Path::new(FOLDER).join(name);
        files::create_dirs(&*files, data_dir, &below)?;
        Ok(Self { files, folder: data_dir.join(below) })
    }

    pub(super) fn folder_of(data_dir: &Path, name: &str) -> PathBuf {
        data_dir.join(FOLDER).join(name)
    }

    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:012}{ENDING}"))
    }

    /// Reads what is left in the folder. Files without any bucket are removed.
    pub(super) fn recover(&self) -> io::Result<Left> {
        let mut left = Left { next_file: 1, ..Left::default() };
        for entry in self.files.list(&self.folder)? {
            let Some(number) = number_of(&entry.name).filter(|_| !entry.is_dir) else { continue };
            left.next_file = left.next_file.max(number + 1);
            let before = left.buckets.len();
            let lost = match self.read_file(number, &mut left.buckets) {
                Ok(lost) => lost,
                Err(error) => {
                    // One bad file must not keep the gateway from starting; the next start tries again.
                    let path = self.path(number);
                    error!(path = %path.display(), %error, "a spill file can't be read; it is left as it is");
                    left.buckets.truncate(before);
                    continue;
                }
            };
            if lost > 0 {
                // At the end, buckets that were being written when the process or the machine stopped, of which none was
                // told to be kept; else what the disk has damaged.
                warn!(path = %self.path(number).display(), bytes = lost, "a part of a spill file can't be read");
                left.lost_bytes += lost;
            }
            if left.buckets.len() == before {
                self.files.remove(&self.path(number))?;
            } else {
                left.files.push((number, entry.len));
            }
        }
        if !left.buckets.is_empty() {
            let folder = self.folder.display();
            info!(%folder, buckets = left.buckets.len(), "buckets were kept by an earlier start; they are delivered now");
        }
        Ok(left)
    }

    /// Finds the good frames of a file, which is a few MiB long, and returns how many of its bytes are in none.
    fn read_file(&self, number: u64, buckets: &mut Vec<Stored>) -> io::Result<u64> {
        let mut content = Vec::new();
        self.files.open_read(&self.path(number))?.read_to_end(&mut content)?;
        if !frame::read_file_header(&mut content.as_slice(), number)? {
            return Ok(content.len() as u64);
        }
        let (mut rest, mut lost, mut payload) = (content.get(FILE_HEADER..).unwrap_or_default(), 0, Vec::new());
        while !rest.is_empty() {
            let offset = (content.len() - rest.len()) as u64;
            let step = match frame::read_frame(&mut &*rest, number, rest.len() as u64, &mut payload)? {
                Some(head) => {
                    buckets.push(Stored { place: Place { file: number, offset }, head });
                    FRAME_HEADER + payload.len()
                }
                None => {
                    let step = frame::next_frame(rest);
                    lost += step as u64;
                    step
                }
            };
            rest = rest.get(step..).unwrap_or_default();
        }
        Ok(lost)
    }

    /// Reads a bucket back. `None`: it is damaged.
    pub(super) fn read(&self, stored: &Stored) -> io::Result<Option<Vec<u8>>> {
        let Stored { place, head } = stored;
        let mut source = self.files.open_read(&self.path(place.file))?;
        source.seek(SeekFrom::Start(place.offset))?;
        let (mut source, mut payload) = (source.take(frame_len(*head)), Vec::new());
        let found = frame::read_frame(&mut source, place.file, frame_len(*head), &mut payload)?;
        Ok((found == Some(*head)).then_some(payload))
    }

    /// Removes a file. Should a power cut bring it back, its buckets are sent once more.
    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        match self.files.remove(&self.path(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// What a frame takes in its file.
pub(super) fn frame_len(head: FrameHead) -> u64 {
    FRAME_HEADER as u64 + u64::from(head.len)
}

/// Whether a folder holds anything of a spill.
pub(super) fn holds_any(files: &dyn FileLayer, folder: &Path) -> io::Result<bool> {
    match files.list(folder) {
        Ok(entries) => Ok(entries.iter().any(|entry| number_of(&entry.name).is_some())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn number_of(name: &OsStr) -> Option<u64> {
    let number = name.to_str()?.strip_suffix(ENDING)?.parse::<u64>().ok()?;
    // The last number can't be anybody's: there would be none for the next file.
    (number < u64::MAX).then_some(number)
}
