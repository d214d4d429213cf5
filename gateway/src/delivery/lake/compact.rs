//! Turns one log segment into Parquet files.
//!
//! Temporary files, their content made durable, their names, the names made durable, the manifest, and only then the
//! segment goes. The names come from the segment alone, so that doing it again after a crash, at whatever point, writes
//! the same files again: no row is lost and none is doubled. Memory is bounded: a row group ends at [`ROW_GROUP_BYTES`].

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use headgate_proto::record::{SplitRecord, Splitter, Unpacked, Unpacker, read_record};
use tracing::warn;

use super::files::{self, FileLayer, parent_of, temporary_name};
use super::layout::{Layout, SegmentNumber};
use super::log::{Form, Frame, Next, SegmentReader};
use super::manifest::{Manifest, ManifestFile, SetAside};
use super::parquet_file::ParquetFile;
use super::partition::{EventWindow, Partitions};
use super::retire::remove_segment;
use super::row_group::SpareChunks;
use super::rows::{Requests, Rows, event_time_ms};
use super::{ApplicationNames, LakeError};

/// Bytes of values after which every partition's row group ends. Until then the pages that they become are in memory,
/// about half of it, beside the budget.
const ROW_GROUP_BYTES: usize = 8 << 20;
/// Bytes of values after which they are encoded, while they are still in the processor's cache.
const ENCODED_BYTES: usize = 64 << 10;

/// A log segment that gets no more events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) number: SegmentNumber,
    /// Where its durable frames end. The file may be longer, after a failed write.
    pub(super) len: u64,
    /// Whether it is known that everything up to `len` was durable. If not, a bad end may be a torn one.
    pub(super) end_known: bool,
}

/// What a segment became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compacted {
    pub(super) rows: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) set_aside_lines: u64,
}

/// What turning segments into Parquet takes.
#[derive(Clone)]
pub(super) struct Compaction {
    pub(super) files: Arc<dyn FileLayer>,
    pub(super) layout: Layout,
    pub(super) names: Arc<dyn ApplicationNames>,
    /// For a segment whose header is lost.
    pub(super) window: EventWindow,
    spare: SpareChunks,
    /// Ends the work between two frames; the segment then stays.
    stopped: Arc<AtomicBool>,
}

impl Compaction {
    pub(super) fn new(
        files: Arc<dyn FileLayer>,
        layout: Layout,
        names: Arc<dyn ApplicationNames>,
        window: EventWindow,
    ) -> Self {
        Self { files, layout, names, window, spare: SpareChunks::default(), stopped: Arc::default() }
    }

    /// Has a run that is going on end with [`LakeError::Closed`], and every later one.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Gives back what is kept from one segment to the next.
    pub(super) fn rest(&self) {
        self.spare.clear();
    }

    /// Turns a segment into Parquet. After an error the segment is still there and its turn may come again.
    pub(super) fn run(&self, segment: Sealed) -> Result<Compacted, LakeError> {
        // A crash, or a removal that failed, may have left a segment whose turn was over.
        if Manifest::settles(&*self.files, &self.layout, segment.number) {
            self.remove(segment.number)?;
            return Ok(Compacted::default());
        }
        let mut open = OpenPartitions::new(self, segment.number);
        let read = self.read(segment, &mut open)?;
        if read.lines == 0 {
            self.remove(segment.number)?;
            return Ok(Compacted::default());
        }
        let manifest_files = open.commit()?;
        let set_aside = self.set_aside(segment.number, &read.bad_lines, read.bad_line_count)?;
        let compacted = Compacted {
            rows: manifest_files.iter().map(|file| file.rows).sum(),
            files: manifest_files.len() as u64,
            bytes: manifest_files.iter().map(|file| file.bytes).sum(),
            set_aside_lines: read.bad_line_count,
        };
        let manifest = Manifest {
            version: 1,
            segment: segment.number.0,
            segment_bytes: segment.len,
            events: read.lines,
            files: manifest_files,
            set_aside,
            erased: Vec::new(),
        };
        manifest.write(&*self.files, &self.layout)?;
        self.remove(segment.number)?;
        Ok(compacted)
    }

    fn read(&self, segment: Sealed, open: &mut OpenPartitions<'_>) -> Result<Lines, LakeError> {
        let path = self.layout.segment(segment.number);
        let failed = |source| LakeError::file("read", &path, source);
        let present = self.files.len(&path).map_err(failed)?;
        if present < segment.len {
            return Err(LakeError::Damaged { path, offset: present });
        }
        let file = self.files.open_read(&path).map_err(failed)?;
        let mut reader = SegmentReader::open(file, segment.number, segment.len).map_err(failed)?;
        if let Some(header) = reader.header {
            open.partitions = Partitions::new(header.window);
        }
        let mut lines = Lines::default();
        let mut requests = Requests::new(&*self.names);
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                return Err(LakeError::Closed);
            }
            match reader.read().map_err(failed)? {
                Next::End => return Ok(lines),
                Next::Bad { offset } => return Err(LakeError::Damaged { path, offset }),
                Next::Frame(frame) => {
                    let before = lines.lines;
                    open.add_frame(&frame, &mut requests, &mut lines)?;
                    if lines.lines - before != u64::from(frame.events) {
                        warn!(
                            segment = segment.number.0,
                            offset = frame.place.start,
                            lines = lines.lines - before,
                            events = frame.events,
                            "a frame's lines are not as many as its events"
                        );
                    }
                }
            }
        }
    }

    fn set_aside(&self, number: SegmentNumber, bad_lines: &[u8], count: u64) -> Result<Option<SetAside>, LakeError> {
        if count == 0 {
            return Ok(None);
        }
        let path = Path::new("damaged").join(format!("{number}-lines.jsonl"));
        let file = self.layout.root.join(&path);
        files::write_atomically(&*self.files, &file, bad_lines)
            .map_err(|source| LakeError::file("write", &file, source))?;
        Ok(Some(SetAside { path, lines: count }))
    }

    fn remove(&self, number: SegmentNumber) -> Result<(), LakeError> {
        remove_segment(&*self.files, &self.layout, number)
    }
}

#[derive(Default)]
struct Lines {
    lines: u64,
    bad_line_count: u64,
    bad_lines: Vec<u8>,
}

/// The partitions of a segment with the rows and the file of each. Dropped before the commit, it removes its files.
struct OpenPartitions<'a> {
    compaction: &'a Compaction,
    number: SegmentNumber,
    partitions: Partitions,
    open: Vec<(Rows, Option<ParquetFile>)>,
    /// Bytes of values that are in rows.
    buffered: usize,
    /// Bytes of values that are in the open row groups.
    encoded: usize,
}

impl<'a> OpenPartitions<'a> {
    fn new(compaction: &'a Compaction, number: SegmentNumber) -> Self {
        let partitions = Partitions::new(compaction.window);
        Self { compaction, number, partitions, open: Vec::new(), buffered: 0, encoded: 0 }
    }

    fn add_frame(&mut self, frame: &Frame, requests: &mut Requests<'_>, lines: &mut Lines) -> Result<(), LakeError> {
        match frame.form {
            Form::Packed => self.add_packed(&frame.payload, requests, lines),
            Form::Lines => self.add_lines(&frame.payload, requests, lines),
        }
    }

    fn add_packed(&mut self, frame: &Bytes, requests: &mut Requests<'_>, lines: &mut Lines) -> Result<(), LakeError> {
        let mut unpacker = Unpacker::new(frame);
        while let Some(event) = unpacker.next() {
            match event {
                Ok(Unpacked::Record(record)) => {
                    lines.lines += 1;
                    self.add_row(&record, frame, requests);
                }
                Ok(Unpacked::Line(line)) => {
                    let line = line.strip_suffix(b"\n").unwrap_or(line);
                    self.add_line(line, None, frame, requests, lines);
                }
                Err(error) => {
                    lines.lines += 1;
                    // Among lines that are set aside it has to be one, too.
                    let line = serde_json::json!({
                        "packed": BASE64_STANDARD.encode(error.bytes),
                        "batch_ends": unpacker.tail(),
                        "why": error.why,
                    });
                    self.set_line_aside(line.to_string().as_bytes(), &error, lines);
                }
            }
            self.encode_what_is_much()?;
        }
        Ok(())
    }

    fn add_lines(&mut self, frame: &Bytes, requests: &mut Requests<'_>, lines: &mut Lines) -> Result<(), LakeError> {
        let text = simdutf8::basic::from_utf8(frame).ok();
        let (mut start, mut splitter) = (0, Splitter::default());
        for end in memchr::memchr_iter(b'\n', frame).chain([frame.len()]) {
            if start < end {
                let split = text.and_then(|text| splitter.split(text.get(start..end)?));
                self.add_line(&frame[start..end], split, frame, requests, lines);
            }
            start = end + 1;
            self.encode_what_is_much()?;
        }
        Ok(())
    }

    /// Adds a line's row. The log's own lines can be taken apart as they were put together; whatever else a line may be,
    /// the strict reader tells.
    fn add_line(
        &mut self,
        line: &[u8],
        split: Option<SplitRecord<'_>>,
        frame: &Bytes,
        requests: &mut Requests<'_>,
        lines: &mut Lines,
    ) {
        lines.lines += 1;
        match split {
            Some(record) => self.add_row(&record, frame, requests),
            None => match read_record(line) {
                Ok(record) => self.add_row(&SplitRecord::from(&record), frame, requests),
                Err(error) => self.set_line_aside(line, &error, lines),
            },
        }
    }

    fn add_row(&mut self, record: &SplitRecord<'_>, frame: &Bytes, requests: &mut Requests<'_>) {
        let place = self.partitions.place(event_time_ms(record), record.request_time_ms);
        if place == self.open.len() {
            self.open.push((Rows::default(), None));
        }
        self.buffered += self.open[place].0.push(record, frame, requests.values(record)) + requests.take_made();
    }

    fn set_line_aside(&self, line: &[u8], error: &dyn Display, lines: &mut Lines) {
        warn!(segment = self.number.0, %error, "a line of the log is no stream record; it is set aside");
        lines.bad_line_count += 1;
        lines.bad_lines.extend_from_slice(line);
        lines.bad_lines.push(b'\n');
    }

    fn encode_what_is_much(&mut self) -> Result<(), LakeError> {
        if self.buffered >= ENCODED_BYTES { self.encode() } else { Ok(()) }
    }

    /// Adds what is in rows to the row groups, which end when they are large.
    fn encode(&mut self) -> Result<(), LakeError> {
        let Compaction { files, layout, spare, .. } = self.compaction;
        for (part, ((rows, file), day)) in self.open.iter_mut().zip(self.partitions.days()).enumerate() {
            if rows.is_empty() {
                continue;
            }
            let file = match file {
                Some(file) => file,
                None => {
                    let path = Layout::parquet(self.number, *day, part);
                    let dir = parent_of(&path);
                    files::create_dirs(&**files, &layout.root, dir)
                        .map_err(|source| LakeError::file("create", dir, source))?;
                    file.insert(ParquetFile::create(&**files, layout, path, spare.clone())?)
                }
            };
            file.add(rows)?;
        }
        self.encoded += std::mem::take(&mut self.buffered);
        if self.encoded >= ROW_GROUP_BYTES {
            self.encoded = 0;
            self.open.iter_mut().filter_map(|(_, file)| file.as_mut()).try_for_each(ParquetFile::end_row_group)?;
        }
        Ok(())
    }

    /// Gives the files their names, durably.
    fn commit(mut self) -> Result<Vec<ManifestFile>, LakeError> {
        self.encode()?;
        let Compaction { files, layout, .. } = self.compaction;
        let finished = self
            .open
            .iter_mut()
            .filter_map(|(_, file)| file.as_mut().map(ParquetFile::finish))
            .collect::<Result<Vec<_>, _>>()?;
        let mut dirs = BTreeSet::new();
        for file in &finished {
            let path = layout.root.join(&file.path);
            files.rename(&temporary_name(&path), &path).map_err(|source| LakeError::file("rename", &path, source))?;
            dirs.insert(parent_of(&path).to_owned());
        }
        for dir in dirs {
            files.sync_dir(&dir).map_err(|source| LakeError::file("sync", &dir, source))?;
        }
        self.open.clear();
        Ok(finished)
    }
}

impl Drop for OpenPartitions<'_> {
    fn drop(&mut self) {
        let paths: Vec<PathBuf> =
            self.open.drain(..).filter_map(|(_, file)| file.map(|file| file.path().to_owned())).collect();
        for path in paths {
            // What can't be removed now is replaced when the segment's turn comes again.
            let _ = self.compaction.files.remove(&temporary_name(&self.compaction.layout.root.join(path)));
        }
    }
}
