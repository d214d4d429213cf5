//! Brings the log into order at the start, after whatever stopped the process or the machine.
//!
//! A torn tail, the rest of a write that was cut short, is cut off. Damage before good frames, or in what the
//! next segment's header says was durable, is set aside in `lake/damaged` and the good frames are kept. Both are
//! reported. A segment that can't be put in order now keeps its place in the queue; the start goes on.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use tracing::{error, info, warn};

use super::LakeError;
use super::compact::Sealed;
use super::erase::pending;
use super::files::{FileLayer, is_temporary, temporary_name};
use super::layout::{Layout, SegmentNumber};
use super::log::{Next, SEGMENT_HEADER, SegmentEnd, SegmentHeader, SegmentReader};
use super::manifest::Manifest;
use super::partition::EventWindow;
use super::retire::remove_segment;
use crate::metrics::{Counter, Metrics};

/// What was found at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Log segments that wait to be turned into Parquet.
    pub segments: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes of torn tails that were cut off; a write that is cut short was not acknowledged.
    pub torn_bytes: u64,
    /// Bytes that were damaged or are missing.
    pub damaged_bytes: u64,
}

/// The log, in order.
pub(super) struct Recovered {
    pub(super) waiting: Vec<Sealed>,
    /// The number for the next segment; higher than any that was ever used.
    pub(super) next: SegmentNumber,
    /// The last segment, for the header of the next.
    pub(super) last: Option<SegmentEnd>,
    pub(super) report: RecoveryReport,
}

/// What recovery works with.
pub(super) struct Recovery<'a> {
    pub(super) files: &'a dyn FileLayer,
    pub(super) layout: &'a Layout,
    pub(super) metrics: &'a Metrics,
    /// For a segment whose header is lost.
    pub(super) window: EventWindow,
}

impl Recovery<'_> {
    /// Puts the whole log in order.
    pub(super) fn run(&self) -> Result<Recovered, LakeError> {
        // First, because what it needs bears temporary names.
        self.finish_erasures()?;
        for dir in [&self.layout.log, &self.layout.manifest, &self.layout.damaged] {
            self.remove_temporary_files(dir)?;
        }
        let segments = self.layout.segments(self.files)?;
        let ends = self.stated_ends(&segments);
        let mut recovered = Recovered {
            waiting: Vec::new(),
            next: self.next_number(&segments, &ends)?,
            last: None,
            report: RecoveryReport::default(),
        };
        for (number, len) in segments {
            let durable_end = ends.get(&number).copied();
            match self.settle_or_put_in_order(number, len, durable_end, &mut recovered.report) {
                Ok(Some(sealed)) => {
                    recovered.last = Some(SegmentEnd { number, len: sealed.len });
                    recovered.waiting.push(sealed);
                }
                Ok(None) => {}
                Err(error) => {
                    error!(%error, "a log segment can't be put in order now; it is tried again later");
                    // Where it ends is not known, so the next header must say nothing of it.
                    recovered.last = None;
                    let end = durable_end.map_or(len, |end| len.min(end));
                    recovered.waiting.push(Sealed { number, len: end, end_known: durable_end.is_some() });
                }
            }
        }
        recovered.report.segments = recovered.waiting.len() as u64;
        let RecoveryReport { segments, events, torn_bytes, damaged_bytes } = recovered.report;
        if segments > 0 || torn_bytes > 0 || damaged_bytes > 0 {
            info!(segments, events, torn_bytes, damaged_bytes, "the lake's log is in order again");
        }
        Ok(recovered)
    }

    /// Ends what an erasure had begun when the process or the machine stopped.
    fn finish_erasures(&self) -> Result<(), LakeError> {
        for number in self.layout.pending_manifests(self.files)? {
            match pending::finish(self.files, self.layout, number) {
                Ok(()) => info!(segment = number.0, "ended a deletion that was interrupted"),
                // The next erasure, or the next start, tries again.
                Err(error) => error!(segment = number.0, %error, "a deletion that was interrupted can't be ended now"),
            }
        }
        Ok(())
    }

    fn settle_or_put_in_order(
        &self,
        number: SegmentNumber,
        len: u64,
        durable_end: Option<u64>,
        report: &mut RecoveryReport,
    ) -> Result<Option<Sealed>, LakeError> {
        if Manifest::settles(self.files, self.layout, number) {
            self.remove(number)?;
            return Ok(None);
        }
        self.put_in_order(number, len, durable_end, report)
    }

    /// Puts one segment in order. `durable_end` is where its acknowledged frames end, where that is known. `None`: it
    /// held no frames and is gone.
    pub(super) fn put_in_order(
        &self,
        number: SegmentNumber,
        len: u64,
        durable_end: Option<u64>,
        report: &mut RecoveryReport,
    ) -> Result<Option<Sealed>, LakeError> {
        let path = self.layout.segment(number);
        let failed = |source| LakeError::file("recover", &path, source);
        let end = durable_end.map_or(len, |durable_end| len.min(durable_end));
        let file = self.files.open_read(&path).map_err(failed)?;
        let mut reader = SegmentReader::open(file, number, end).map_err(failed)?;
        let scan = Scan::of(&mut reader).map_err(failed)?;
        drop(reader);
        report.events += scan.events;

        // Acknowledged bytes that are not there at all can only be reported.
        let missing = durable_end.map_or(0, |durable_end| durable_end.saturating_sub(len));
        let torn_tail = if durable_end.is_none() { scan.bad_tail(end) } else { end..end };
        let damaged: Vec<Range<u64>> =
            scan.bad.iter().filter(|bad| durable_end.is_some() || bad.end != end).cloned().collect();
        let damaged_bytes = missing + damaged.iter().map(|bad| bad.end - bad.start).sum::<u64>();
        if damaged_bytes > 0 {
            error!(segment = number.0, damaged_bytes, "the lake's log is damaged; what is left of it is set aside");
            self.metrics.counter(Counter::LakeDamagedBytes, &[]).inc_by(damaged_bytes);
            report.damaged_bytes += damaged_bytes;
        }
        let torn_bytes = len - end + (torn_tail.end - torn_tail.start);
        if torn_bytes > 0 {
            warn!(segment = number.0, torn_bytes, "the end of a write that was cut short is cut off");
            self.metrics.counter(Counter::LakeTornBytes, &[]).inc_by(torn_bytes);
            report.torn_bytes += torn_bytes;
        }

        for bad in &damaged {
            self.set_aside(number, bad).map_err(failed)?;
        }
        if scan.frames.is_empty() {
            self.remove(number)?;
            return Ok(None);
        }
        let len = if damaged.is_empty() && scan.header.is_some() {
            if torn_bytes > 0 {
                let mut file = self.files.open_append(&path).map_err(failed)?;
                file.truncate(torn_tail.start).and_then(|()| file.sync_data()).map_err(failed)?;
            }
            torn_tail.start
        } else {
            self.rewrite(number, &scan).map_err(failed)?
        };
        Ok(Some(Sealed { number, len, end_known: true }))
    }

    /// Where segments end, as the headers of those after them say.
    fn stated_ends(&self, segments: &[(SegmentNumber, u64)]) -> HashMap<SegmentNumber, u64> {
        let headers = segments.iter().filter_map(|(number, len)| {
            let file = self.files.open_read(&self.layout.segment(*number)).ok()?;
            SegmentReader::open(file, *number, *len).ok()?.header
        });
        headers.filter_map(|header| header.previous).map(|previous| (previous.number, previous.len)).collect()
    }

    fn next_number(
        &self,
        segments: &[(SegmentNumber, u64)],
        ends: &HashMap<SegmentNumber, u64>,
    ) -> Result<SegmentNumber, LakeError> {
        let manifests: HashSet<SegmentNumber> = self.layout.manifests(self.files)?.into_iter().collect();
        let used = segments.iter().map(|(number, _)| *number).chain(manifests).chain(ends.keys().copied());
        Ok(SegmentNumber(used.map(|number| number.0).max().unwrap_or(0).saturating_add(1)))
    }

    fn remove_temporary_files(&self, dir: &std::path::Path) -> Result<(), LakeError> {
        let entries = self.files.list(dir).map_err(|source| LakeError::file("list", dir, source))?;
        for entry in entries.iter().filter(|entry| is_temporary(&entry.name)) {
            let path = dir.join::<&OsStr>(&entry.name);
            self.files.remove(&path).map_err(|source| LakeError::file("remove", &path, source))?;
        }
        Ok(())
    }

    fn remove(&self, number: SegmentNumber) -> Result<(), LakeError> {
        remove_segment(self.files, self.layout, number)
    }

    fn set_aside(&self, number: SegmentNumber, bad: &Range<u64>) -> io::Result<()> {
        let path = self.layout.damaged.join(format!("{number}-{}.bin", bad.start));
        let temporary = temporary_name(&path);
        let mut file = self.files.create(&temporary)?;
        self.copy(number, bad, &mut file)?;
        file.sync_data()?;
        self.files.rename(&temporary, &path)?;
        self.files.sync_dir(&self.layout.damaged)
    }

    /// Writes the segment again with its good frames only. Returns its new length.
    fn rewrite(&self, number: SegmentNumber, scan: &Scan) -> io::Result<u64> {
        let path = self.layout.segment(number);
        let temporary = temporary_name(&path);
        let header = scan.header.unwrap_or(SegmentHeader { number, window: self.window, previous: None });
        let mut file = self.files.create(&temporary)?;
        file.write_all(&header.encode())?;
        let mut len = SEGMENT_HEADER as u64;
        for frame in &scan.frames {
            self.copy(number, frame, &mut file)?;
            len += frame.end - frame.start;
        }
        file.sync_data()?;
        self.files.rename(&temporary, &path)?;
        self.files.sync_dir(&self.layout.log)?;
        Ok(len)
    }

    fn copy(&self, number: SegmentNumber, range: &Range<u64>, to: &mut dyn Write) -> io::Result<()> {
        let mut from = self.files.open_read(&self.layout.segment(number))?;
        from.seek(SeekFrom::Start(range.start))?;
        io::copy(&mut from.take(range.end - range.start), &mut { to })?;
        Ok(())
    }
}

/// Where a segment's good frames are, and where nothing readable is.
pub(super) struct Scan {
    header: Option<SegmentHeader>,
    frames: Vec<Range<u64>>,
    bad: Vec<Range<u64>>,
    pub(super) events: u64,
}

impl Scan {
    pub(super) fn of<R: Read + Seek>(reader: &mut SegmentReader<R>) -> io::Result<Self> {
        let mut scan = Self { header: reader.header, frames: Vec::new(), bad: Vec::new(), events: 0 };
        loop {
            match reader.read()? {
                Next::End => return Ok(scan),
                Next::Bad { offset } => scan.bad.push(offset..reader.resume()?),
                Next::Frame(frame) => {
                    scan.events += u64::from(frame.events);
                    match scan.frames.last_mut() {
                        Some(last) if last.end == frame.place.start => last.end = frame.place.end,
                        _ => scan.frames.push(frame.place),
                    }
                }
            }
        }
    }

    pub(super) fn unreadable_bytes(&self) -> u64 {
        self.bad.iter().map(|bad| bad.end - bad.start).sum()
    }

    /// The bad bytes at the end of the segment; empty if its end is good.
    fn bad_tail(&self, end: u64) -> Range<u64> {
        self.bad.last().filter(|bad| bad.end == end).cloned().unwrap_or(end..end)
    }
}
