//! A segment: one file of the log. Eight bytes that say what it is, then frames.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::frame::{HEADER_LEN, Header};

pub(super) const MAGIC: [u8; 8] = *b"hgclog1\n";
const EXTENSION: &str = "log";
/// A frame holds a batch at most, and a batch is far smaller: a longer one is a length that was torn.
const FRAME_MAX: u32 = 64 << 20;
const BUFFER_MAX: usize = 256 << 10;

/// A segment's number; they count up.
pub(super) type Number = u64;

pub(super) fn path(folder: &Path, number: Number) -> PathBuf {
    folder.join(format!("{number:020}.{EXTENSION}"))
}

/// The segments of a folder, oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Number>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|extension| extension == EXTENSION);
        let number: Option<Number> = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        numbers.extend(number.filter(|_| ours));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Begins a segment, readable by its owner only: events may tell of players.
pub(super) fn create(folder: &Path, number: Number) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path(folder, number))?;
    file.write_all(&MAGIC)?;
    Ok(file)
}

/// Makes a new file's name survive a power cut, where folders can be synced.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// What a segment holds, one frame after the other, up to its end or the first that is not whole.
pub(super) struct Frames {
    file: BufReader<File>,
    at: u64,
    data: Vec<u8>,
}

/// Where a frame is, and what it is.
pub(super) struct Found<'a> {
    pub(super) header: Header,
    /// Of the frame, from the segment's beginning.
    pub(super) start: u64,
    pub(super) data: &'a [u8],
}

impl Found<'_> {
    pub(super) fn end(&self) -> u64 {
        self.start + (HEADER_LEN + self.data.len()) as u64
    }
}

impl Frames {
    /// All of a segment's.
    pub(super) fn all(path: &Path) -> io::Result<Self> {
        Self::from(path, 0, BUFFER_MAX)
    }

    /// Those between two ends of frames. No more is read than they are.
    pub(super) fn between(path: &Path, start: u64, end: u64) -> io::Result<Self> {
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(BUFFER_MAX);
        Self::from(path, start, len.min(BUFFER_MAX))
    }

    fn from(path: &Path, start: u64, buffer: usize) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let first = MAGIC.len() as u64;
        let mut magic = [0; MAGIC.len()];
        // A file that is none of ours, or whose first bytes were torn, has no frames.
        let ours = fill(&mut file, &mut magic)? && magic == MAGIC;
        let at = if ours { file.seek(SeekFrom::Start(start.max(first)))? } else { file.seek(SeekFrom::End(0))? };
        Ok(Self { file: BufReader::with_capacity(buffer, file), at, data: Vec::new() })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        let mut header = [0; HEADER_LEN];
        if !fill(&mut self.file, &mut header)? {
            return Ok(None);
        }
        let header = Header::read(&header);
        if header.len > FRAME_MAX {
            return Ok(None);
        }
        self.data.resize(header.len as usize, 0);
        if !fill(&mut self.file, &mut self.data)? || !header.fits(&self.data) {
            return Ok(None);
        }
        let start = self.at;
        self.at += (HEADER_LEN + self.data.len()) as u64;
        Ok(Some(Found { header, start, data: &self.data }))
    }
}

/// Whether there was enough to fill it.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
