//! The log segment that is open for writing.

use std::io;
use std::path::Path;
use std::time::Instant;

use super::files::{FileLayer, WriteFile};
use super::layout::Layout;
use super::log::{SEGMENT_HEADER, SegmentHeader, frame_header};
use super::queue::Payload;

/// A file operation that failed, for the metric and the log.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) operation: &'static str,
    pub(super) error: io::Error,
}

pub(super) struct OpenSegment {
    pub(super) header: SegmentHeader,
    file: Box<dyn WriteFile>,
    /// Up to here everything is durable and may be acknowledged.
    durable_len: u64,
    written_len: u64,
    pub(super) opened_at: Instant,
}

impl OpenSegment {
    /// Makes the file and its name durable, before anything in it can be acknowledged. A file that fails is removed if
    /// possible; otherwise the next start does it.
    pub(super) fn create(
        files: &dyn FileLayer,
        layout: &Layout,
        header: SegmentHeader,
        now: Instant,
    ) -> Result<Self, Failure> {
        let path = layout.segment(header.number);
        let created = Self::create_file(files, &path, layout, &header);
        match created {
            Ok(file) => {
                let len = SEGMENT_HEADER as u64;
                Ok(Self { header, file, durable_len: len, written_len: len, opened_at: now })
            }
            Err(error) => {
                let _ = files.remove(&path);
                Err(Failure { operation: "open", error })
            }
        }
    }

    fn create_file(
        files: &dyn FileLayer,
        path: &Path,
        layout: &Layout,
        header: &SegmentHeader,
    ) -> io::Result<Box<dyn WriteFile>> {
        let mut file = files.create_new(path)?;
        file.write_all(&header.encode())?;
        file.sync_data()?;
        files.sync_dir(&layout.log)?;
        Ok(file)
    }

    pub(super) fn durable_len(&self) -> u64 {
        self.durable_len
    }

    /// Whether it holds any frame that may be acknowledged.
    pub(super) fn has_frames(&self) -> bool {
        self.durable_len > SEGMENT_HEADER as u64
    }

    /// Appends a bucket's records; they are not durable yet.
    pub(super) fn append(&mut self, payload: &Payload) -> Result<(), Failure> {
        let failed = |error| Failure { operation: "write", error };
        let header = frame_header(self.header.number, payload.form, payload.events, &payload.bytes)
            .ok_or_else(|| failed(io::Error::other("a bucket is larger than 4 GiB")))?;
        self.file.write_all(&header).and_then(|()| self.file.write_all(&payload.bytes)).map_err(failed)?;
        self.written_len += (header.len() + payload.bytes.len()) as u64;
        Ok(())
    }

    /// Makes everything appended durable. Returns how many bytes that were. After an error the segment must be given up.
    pub(super) fn sync(&mut self) -> Result<u64, Failure> {
        self.file.sync_data().map_err(|error| Failure { operation: "sync", error })?;
        let synced = self.written_len - self.durable_len;
        self.durable_len = self.written_len;
        Ok(synced)
    }

    /// Takes back what was appended since the last sync, durably, after a failed write. After an error the segment must
    /// be given up.
    pub(super) fn roll_back(&mut self) -> Result<(), Failure> {
        self.cut().map_err(|error| Failure { operation: "write", error })?;
        self.file.sync_data().map_err(|error| Failure { operation: "sync", error })?;
        self.written_len = self.durable_len;
        Ok(())
    }

    /// Cuts off what is not durable, without a promise that this is durable.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        self.file.truncate(self.durable_len)
    }
}
