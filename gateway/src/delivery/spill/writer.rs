//! The thread that writes buckets: all that wait in one group, with one fsync, and only then are their verdicts given.
//! It also removes files that are done with.
//!
//! A group that can't be written is given up: its events are told that nobody knows, as they would have been without a
//! spill. For a second nothing more is taken, then the next bucket is the next try.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::Inner;
use super::frame::{self, FILE_HEADER, FrameHead};
use super::queue::{Taken, Work};
use super::shelf::Kept;
use super::store::{Place, Stored, frame_len};
use crate::delivery::lake::files::WriteFile;

/// A file is full at this size: what is delivered of a file that is not done with is sent once more after a restart.
const FILE_BYTES: u64 = 4 << 20;
/// Written with one fsync at most.
const GROUP_BYTES: u64 = 4 << 20;
/// After the disk has refused.
const PAUSE: Duration = Duration::from_secs(1);

struct OpenFile {
    number: u64,
    file: Box<dyn WriteFile>,
    /// Durable bytes.
    len: u64,
}

pub(super) struct Writer {
    inner: Arc<Inner>,
    open: Option<OpenFile>,
    next_file: u64,
    // A file could not be removed.
    tidy_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(inner: Arc<Inner>, next_file: u64) -> Self {
        Self { inner, open: None, next_file, tidy_at: None }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            self.inner.panicked();
            // Where it was in the file is not known.
            self.open = None;
        }
        for taken in self.inner.queue.finish() {
            self.give_up(&taken);
        }
    }

    fn work(&mut self) {
        loop {
            match self.inner.queue.next(self.tidy_at, GROUP_BYTES) {
                Work::Write(group) => self.write(group),
                Work::Tidy => self.tidy(),
                Work::Close => return,
            }
        }
    }

    fn write(&mut self, group: Vec<Taken>) {
        match self.append(&group) {
            Ok(stored) => {
                for (taken, stored) in group.into_iter().zip(stored) {
                    let Taken { promise, lane, overflow, .. } = taken;
                    // Before it may be sent: once kept, its verdict is unknown, even if it is delivered at once. Whatever
                    // a waiter does, the bucket is kept.
                    if catch_unwind(AssertUnwindSafe(|| promise.answer())).is_err() {
                        self.inner.panicked();
                    }
                    self.inner.shelf.put(Kept { stored, promise, lane, overflow });
                }
            }
            Err(error) => {
                warn!(%error, buckets = group.len(), "buckets can't be kept in the spill; their events may be lost");
                self.inner.queue.refuse_until(self.inner.clock.now() + PAUSE);
                group.iter().for_each(|taken| self.give_up(taken));
            }
        }
    }

    fn give_up(&self, taken: &Taken) {
        self.inner.space.give_back(taken.bytes);
        self.inner.lost.inc();
        taken.promise.give_up();
    }

    /// Makes a group durable and says where its buckets lie.
    fn append(&mut self, group: &[Taken]) -> io::Result<Vec<Stored>> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.begin()?,
        };
        let fresh = file.len == 0;
        match self.append_to(&mut file, group, fresh) {
            Ok((stored, len)) => {
                self.inner.shelf.grew(file.number, len - file.len);
                if fresh {
                    self.inner.space.count(FILE_HEADER as u64);
                }
                file.len = len;
                self.open = (file.len < FILE_BYTES).then_some(file);
                Ok(stored)
            }
            Err(error) => {
                self.undo(file, group);
                Err(error)
            }
        }
    }

    fn begin(&mut self) -> io::Result<OpenFile> {
        let number = self.next_file;
        self.next_file += 1;
        let file = self.inner.store.files.create_new(&self.inner.store.path(number))?;
        Ok(OpenFile { number, file, len: 0 })
    }

    fn append_to(&self, file: &mut OpenFile, group: &[Taken], fresh: bool) -> io::Result<(Vec<Stored>, u64)> {
        let mut len = file.len;
        if fresh {
            file.file.write_all(&frame::file_header(file.number))?;
            len += FILE_HEADER as u64;
        }
        let mut stored = Vec::with_capacity(group.len());
        for Taken { payload, format, events, .. } in group {
            let header = frame::frame_header(file.number, *events, *format, payload);
            let header = header.ok_or_else(|| io::Error::other("a bucket is too large for the spill"))?;
            file.file.write_all(&header)?;
            file.file.write_all(payload)?;
            #[allow(clippy::cast_possible_truncation, reason = "the header was made for this length")]
            let head = FrameHead { len: payload.len() as u32, events: *events, format: *format };
            stored.push(Stored { place: Place { file: file.number, offset: len }, head });
            len += frame_len(head);
        }
        file.file.sync_data()?;
        if fresh {
            self.inner.store.files.sync_dir(&self.inner.store.folder)?;
        }
        Ok((stored, len))
    }

    /// Takes back what may have been written of a group. What stays all the same may come back at the next start and be
    /// sent then: its verdict is unknown. Nothing is appended to the file any more: after a failed fsync nothing may be
    /// said of it.
    fn undo(&self, mut file: OpenFile, group: &[Taken]) {
        let inner = &self.inner;
        let undone = if file.len == 0 {
            let number = file.number;
            drop(file.file);
            inner.store.remove(number)
        } else {
            file.file.truncate(file.len).and_then(|()| file.file.sync_data())
        };
        if let Err(error) = undone {
            warn!(%error, file = file.number, "a failed write to the spill can't be taken back");
            let bytes = group.iter().map(|taken| taken.bytes).sum();
            inner.space.count(bytes);
            inner.shelf.grew(file.number, bytes);
            inner.queue.tidy();
        }
    }

    fn tidy(&mut self) {
        self.tidy_at = None;
        for (number, bytes) in self.inner.shelf.empty_files() {
            if self.open.as_ref().is_some_and(|open| open.number == number) {
                self.open = None;
            }
            match self.inner.store.remove(number) {
                Ok(()) => {
                    self.inner.shelf.forget(number);
                    self.inner.space.give_back(bytes);
                }
                Err(error) => {
                    error!(%error, file = number, "a spill file that is done with can't be removed; trying again");
                    self.tidy_at = Some(self.inner.clock.now() + PAUSE);
                }
            }
        }
    }
}
