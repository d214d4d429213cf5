//! The log's thread: appends, marks, reads, and removes segments that nobody needs.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use bytes::Bytes;

use super::frame::{self, HEADER_LEN};
use super::handle::{Command, Handle, Sink, Written};
use super::segment::{self, Frames, Number};
use super::space::{Piece, Space};
use super::{Fsync, Log};
use crate::clock;
use crate::error::LogProblem;

/// So much of what waits is written in one go.
const GROUP_MAX: usize = 1 << 20;
const SEGMENT_MIN: u64 = 64 << 10;
const SEGMENT_MAX: u64 = 16 << 20;
/// Segments in a full log, so that space comes back in pieces and not all at once.
const SEGMENTS: u64 = 16;

pub(super) fn start(
    log: &Log,
    next_segment: Number,
    space: Space,
    lock: File,
    sink: Arc<dyn Sink>,
) -> io::Result<Handle> {
    let (commands, work) = channel();
    let (bytes, problems) = (Arc::new(AtomicU64::new(space.total())), Arc::new(AtomicU64::new(0)));
    let mut keeper = Keeper {
        folder: log.folder.clone(),
        max_bytes: log.max_bytes,
        segment_bytes: (log.max_bytes / SEGMENTS).clamp(SEGMENT_MIN, SEGMENT_MAX),
        fsync: log.fsync,
        space,
        active: None,
        next_segment,
        unsynced_since: None,
        group: Vec::new(),
        trouble: None,
        bytes: Arc::clone(&bytes),
        problems: Arc::clone(&problems),
        sink,
        _lock: lock,
    };
    keeper.clean();
    let thread = std::thread::Builder::new().name("headgate-log".to_owned()).spawn(move || keeper.run(&work))?;
    Ok(Handle { commands, bytes, problems, thread: Some(thread), settled: Vec::new() })
}

struct Keeper {
    folder: PathBuf,
    max_bytes: u64,
    segment_bytes: u64,
    fsync: Fsync,
    space: Space,
    active: Option<Active>,
    next_segment: Number,
    /// When the oldest bytes were written that no fsync has seen.
    unsynced_since: Option<Instant>,
    group: Vec<u8>,
    /// What went wrong since it was last told. Then nothing that was handed over in the meantime counts as written.
    trouble: Option<io::ErrorKind>,
    bytes: Arc<AtomicU64>,
    problems: Arc<AtomicU64>,
    sink: Arc<dyn Sink>,
    _lock: File,
}

struct Active {
    number: Number,
    file: File,
    len: u64,
}

impl Keeper {
    fn run(&mut self, work: &Receiver<Command>) {
        let mut waiting: Vec<Command> = Vec::new();
        loop {
            match self.wait(work) {
                Ok(command) => waiting.push(command),
                Err(RecvTimeoutError::Timeout) => {
                    self.sync();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let mut size = 0;
            while size < GROUP_MAX
                && let Ok(command) = work.try_recv()
            {
                size += if let Command::Append { data, .. } = &command { data.len() } else { 0 };
                waiting.push(command);
            }
            if self.carry_out(&mut waiting) {
                break;
            }
        }
        self.finish();
    }

    fn wait(&self, work: &Receiver<Command>) -> Result<Command, RecvTimeoutError> {
        match (self.fsync, self.unsynced_since) {
            (Fsync::Every(interval), Some(since)) => {
                work.recv_timeout((since + interval).saturating_duration_since(clock::now()))
            }
            _ => work.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Whether it was told to close.
    fn carry_out(&mut self, waiting: &mut Vec<Command>) -> bool {
        let mut written = Vec::new();
        let mut close = false;
        let mut reads = Vec::new();
        let settled =
            |command: &Command| if let Command::Settled(batches) = command { batches.clone() } else { Vec::new() };
        let settled: HashSet<u64> = waiting.iter().flat_map(settled).collect();
        for command in waiting.drain(..) {
            match command {
                Command::Append { batch, events, data } => {
                    // What is stored by now needs no log: where the gateway is faster than the disk, little is written.
                    let needed = !settled.contains(&batch);
                    let result = if needed { self.append(batch, events, &data) } else { Ok(()) };
                    written.push(Written { batch, events, bytes: data.len(), result });
                }
                Command::Settled(batches) => batches.into_iter().for_each(|batch| self.mark(batch)),
                Command::Read { batch, reply } => reads.push((batch, reply)),
                Command::Close => close = true,
            }
        }
        self.write_group();
        let due = match self.fsync {
            Fsync::EachBatch => !written.is_empty(),
            Fsync::Every(interval) => self.unsynced_since.is_some_and(|since| since + interval <= clock::now()),
            Fsync::Never => false,
        };
        if due {
            self.sync();
        }
        if let Some(kind) = self.trouble.take() {
            for one in written.iter_mut().filter(|one| one.result.is_ok()) {
                one.result = Err(LogProblem::Io(kind));
            }
        }
        self.clean();
        if !written.is_empty() {
            self.sink.written(&written);
        }
        for (batch, reply) in reads {
            let _ = reply.send(self.read(batch));
        }
        close
    }

    /// Into the group that is written next. What goes wrong with the disk is in `trouble`.
    fn append(&mut self, batch: u64, events: u32, data: &Bytes) -> Result<(), LogProblem> {
        let len = (HEADER_LEN + data.len()) as u64;
        let fits = |keeper: &Self| keeper.space.total() + len + segment::MAGIC.len() as u64 <= keeper.max_bytes;
        if !fits(self) {
            self.make_room();
        }
        if !fits(self) {
            return Err(LogProblem::Full);
        }
        let Some((segment, start)) = self.place() else { return Ok(()) };
        frame::write(&mut self.group, batch, events, data);
        self.space.grow(segment, len);
        self.space.add(batch, Piece::of_frame(segment, start, data.len(), events));
        Ok(())
    }

    fn mark(&mut self, batch: u64) {
        // A mark that can't be written costs a resend after the next start, which the gateway recognises.
        if self.space.settle(batch)
            && let Some((segment, _)) = self.place()
        {
            frame::write(&mut self.group, batch, 0, &[]);
            self.space.grow(segment, HEADER_LEN as u64);
        }
    }

    /// Where the next frame comes to stand; nowhere, if no segment can be begun.
    fn place(&mut self) -> Option<(Number, u64)> {
        if self.active.as_ref().is_some_and(|active| self.end_of(active) >= self.segment_bytes) {
            self.write_group();
            if self.fsync != Fsync::Never {
                self.sync();
            }
            self.active = None;
        }
        if self.active.is_none() {
            let begun = self.begin();
            self.active = self.heed(begun);
        }
        self.active.as_ref().map(|active| (active.number, self.end_of(active)))
    }

    /// Where a segment ends once the group is written.
    fn end_of(&self, active: &Active) -> u64 {
        active.len + self.group.len() as u64
    }

    fn begin(&mut self) -> io::Result<Active> {
        let number = self.next_segment;
        self.next_segment += 1;
        let file = segment::create(&self.folder, number)?;
        if self.fsync != Fsync::Never {
            segment::sync_folder(&self.folder)?;
        }
        let len = segment::MAGIC.len() as u64;
        self.space.grow(number, len);
        Ok(Active { number, file, len })
    }

    fn write_group(&mut self) {
        if !self.group.is_empty()
            && let Some(active) = &mut self.active
        {
            let result = active.file.write_all(&self.group);
            if result.is_ok() {
                active.len += self.group.len() as u64;
                self.unsynced_since.get_or_insert_with(clock::now);
            } else {
                // Whatever of it was written is no end to go on from.
                let _ = active.file.set_len(active.len);
                self.active = None;
            }
            self.heed(result);
        }
        self.group.clear();
    }

    fn sync(&mut self) {
        self.unsynced_since = None;
        let Some(active) = &self.active else { return };
        let result = active.file.sync_data();
        if result.is_err() {
            // After a failed fsync nobody knows what of the file is on the disk; a later one would not tell.
            self.active = None;
        }
        self.heed(result);
    }

    fn heed<T>(&mut self, result: io::Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.trouble = Some(error.kind());
                self.problems.fetch_add(1, Ordering::Relaxed);
            })
            .ok()
    }

    /// Lets go of what is settled at once, the segment that is written included if nothing in it is needed.
    fn make_room(&mut self) {
        self.write_group();
        if self.space.is_settled() {
            self.active = None;
        }
        self.clean();
    }

    fn clean(&mut self) {
        let active = self.active.as_ref().map(|active| active.number);
        while let Some(number) = self.space.removable(active) {
            // What can't be removed is not needed all the same; the next start tries again.
            let _ = fs::remove_file(segment::path(&self.folder, number));
            self.space.removed(number);
        }
        self.bytes.store(self.space.total(), Ordering::Relaxed);
    }

    fn read(&self, batch: u64) -> io::Result<Bytes> {
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "the log no longer has a batch whole");
        let pieces = self.space.pieces(batch).ok_or_else(unreadable)?;
        let mut data = Vec::with_capacity(pieces.iter().map(|piece| piece.bytes).sum());
        for piece in pieces {
            let mut frames = Frames::between(&segment::path(&self.folder, piece.segment), piece.start, piece.end)?;
            let mut at = piece.start;
            while at < piece.end {
                let found = frames.next()?.filter(|found| found.header.batch == batch).ok_or_else(unreadable)?;
                data.extend_from_slice(found.data);
                at = found.end();
            }
        }
        Ok(data.into())
    }

    fn finish(&mut self) {
        self.write_group();
        if self.fsync != Fsync::Never {
            self.sync();
        }
        self.make_room();
    }
}
