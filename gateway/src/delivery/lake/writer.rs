//! The one thread that writes the log: everything that waits goes into one write and one fsync (group commit), and while
//! the disk works the next group gathers.
//!
//! A bucket is acknowledged when the fsync of its segment has succeeded. When a write fails, what was written of the
//! group is taken back; when that or an fsync fails, the segment is given up at its last durable byte, and the group
//! goes to a new one, whose header says where the old one ends. Until a write succeeds the lake is down, and the group
//! is tried again until its deadline. A disk that has recovered is found by a small write of the lake's own.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, error, warn};

use super::backoff::Backoff;
use super::compact::Sealed;
use super::compactor::Compactor;
use super::files::{FileLayer, temporary_name};
use super::health::{Concern, LakeHealth};
use super::layout::{Layout, SegmentNumber};
use super::log::{SEGMENT_HEADER, SegmentEnd, SegmentHeader};
use super::partition::EventWindow;
use super::queue::{Payload, Queue, Work};
use super::segment::{Failure, OpenSegment};
use super::watch::panic_text;
use crate::clock::Clock;
use crate::config::LakeSettings;
use crate::metrics::{Counter, CounterHandle, Gauge, GaugeHandle, Histogram, HistogramHandle, Metrics};

const SPACE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
const PROBE_BYTES: [u8; 4096] = [0; 4096];
const RETRY_BASE: Duration = Duration::from_millis(20);
const RETRY_CAP: Duration = Duration::from_secs(1);

/// What the writer works with.
pub(super) struct WriterParts {
    pub(super) files: Arc<dyn FileLayer>,
    pub(super) layout: Layout,
    pub(super) settings: LakeSettings,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) queue: Arc<Queue>,
    pub(super) health: Arc<LakeHealth>,
    pub(super) compactor: Arc<Compactor>,
    pub(super) next_number: SegmentNumber,
    pub(super) previous: Option<SegmentEnd>,
}

pub(super) struct Writer {
    parts: WriterParts,
    segment: Option<OpenSegment>,
    backoff: Backoff,
    next_space_check: Instant,
    next_probe: Instant,
    counted: Counted,
}

struct Counted {
    written: CounterHandle,
    syncs: CounterHandle,
    sync_seconds: HistogramHandle,
    sync_bytes: HistogramHandle,
    log_bytes: GaugeHandle,
    segments: GaugeHandle,
}

impl Writer {
    pub(super) fn new(parts: WriterParts) -> Self {
        let now = parts.clock.now();
        let counted = Counted {
            written: parts.metrics.counter(Counter::LakeWrittenBytes, &[]),
            syncs: parts.metrics.counter(Counter::LakeSyncs, &[]),
            sync_seconds: parts.metrics.histogram(Histogram::SyncSeconds),
            sync_bytes: parts.metrics.histogram(Histogram::SyncBytes),
            log_bytes: parts.metrics.gauge(Gauge::LakeLogBytes, &[]),
            segments: parts.metrics.gauge(Gauge::LakeSegments, &[]),
        };
        let backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
        Self { parts, segment: None, backoff, next_space_check: now, next_probe: now, counted }
    }

    /// Works until the queue is closed and empty. A panic costs the group in hand its certainty, and nothing else.
    pub(super) fn run(mut self) {
        let queue = Arc::clone(&self.parts.queue);
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.work())) {
                Ok(()) => break,
                Err(panic) => {
                    error!(panic = panic_text(&*panic), "a bug in the lake's writer; it goes on with a new segment");
                    self.parts.metrics.counter(Counter::Panics, &["lake-writer"]).inc();
                    self.abandon();
                    queue.give_up();
                }
            }
        }
        queue.finish();
    }

    fn work(&mut self) {
        loop {
            let until = self.next_tick();
            match self.parts.queue.next(until, self.parts.settings.sync_batch.as_usize()) {
                Work::Group(group) => self.store(&group),
                Work::Roll(done) => {
                    self.seal();
                    let _ = done.send(());
                }
                Work::Tick => {}
                Work::Close => {
                    self.seal();
                    return;
                }
            }
            self.tick();
        }
    }

    /// Writes a group until it is stored or none of its buckets wants to be any more.
    fn store(&mut self, group: &[Payload]) {
        let queue = Arc::clone(&self.parts.queue);
        while queue.begin_attempt() {
            match self.attempt(group) {
                Ok(()) => {
                    self.parts.health.set(Concern::Writing, None);
                    self.backoff.reset();
                    queue.stored();
                    return;
                }
                Err(failure) => {
                    self.failed(&failure);
                    queue.attempt_failed();
                    let pause = self.backoff.next();
                    debug!(?pause, "the group is tried again");
                    queue.pause(pause);
                }
            }
        }
        queue.give_up();
    }

    fn attempt(&mut self, group: &[Payload]) -> Result<(), Failure> {
        if self.segment.is_none() {
            self.segment = Some(self.open()?);
            // The new segment's header says where the last one ends: what an earlier attempt left there is void.
            self.parts.queue.surely_not_written();
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let wanted = self.parts.queue.begin_write();
        let payloads = group.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(payload, _)| payload);
        let appended = payloads.map(|payload| segment.append(payload)).find(Result::is_err).unwrap_or(Ok(()));
        if let Err(failure) = appended {
            match segment.roll_back() {
                Ok(()) => self.parts.queue.surely_not_written(),
                Err(worse) => {
                    self.failed(&worse);
                    self.abandon();
                }
            }
            return Err(failure);
        }
        let started = self.parts.clock.now();
        match segment.sync() {
            Ok(bytes) => {
                self.counted.sync_seconds.observe((self.parts.clock.now() - started).as_secs_f64());
                self.counted.sync_bytes.observe(bytes as f64);
                self.counted.written.inc_by(bytes);
                self.counted.syncs.inc();
                self.counted.log_bytes.inc_by(bytes.cast_signed());
                Ok(())
            }
            Err(failure) => {
                self.abandon();
                Err(failure)
            }
        }
    }

    fn open(&mut self) -> Result<OpenSegment, Failure> {
        // A number is used once, even by a segment that could not be made: its file may still be there.
        let number = self.parts.next_number;
        self.parts.next_number = SegmentNumber(number.0 + 1);
        let window = EventWindow::new(&self.parts.settings);
        let header = SegmentHeader { number, window, previous: self.parts.previous };
        let segment = OpenSegment::create(&*self.parts.files, &self.parts.layout, header, self.parts.clock.now())?;
        self.counted.segments.inc();
        self.counted.log_bytes.inc_by(SEGMENT_HEADER as i64);
        Ok(segment)
    }

    /// Closes the open segment and hands it on.
    fn seal(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        let end = SegmentEnd { number: segment.header.number, len: segment.durable_len() };
        self.parts.previous = Some(end);
        self.parts.compactor.add(Sealed { number: end.number, len: end.len, end_known: true });
    }

    /// Gives the open segment up: nothing behind its last durable byte counts, whatever becomes of it on the disk.
    fn abandon(&mut self) {
        if let Some(segment) = &mut self.segment
            && let Err(error) = segment.cut()
        {
            debug!(%error, "what is left behind the segment's durable end is cut off at the next start");
        }
        self.seal();
    }

    fn failed(&mut self, failure: &Failure) {
        let Failure { operation, error } = failure;
        warn!(operation, %error, "the lake's log can't be written");
        self.parts.metrics.counter(Counter::LakeErrors, &[operation]).inc();
        self.parts.health.set(Concern::Writing, Some(format!("can't {operation} the lake's log: {error}")));
        self.next_probe = self.parts.clock.now() + PROBE_INTERVAL;
    }

    fn next_tick(&self) -> Instant {
        let mut next = self.next_space_check;
        if self.parts.health.is_wrong(Concern::Writing) {
            next = next.min(self.next_probe);
        }
        // One without frames is not sealed, however old it is.
        if let Some(segment) = self.segment.as_ref().filter(|segment| segment.has_frames()) {
            next = next.min(segment.opened_at + self.parts.settings.segment_age);
        }
        next
    }

    fn tick(&mut self) {
        let now = self.parts.clock.now();
        if let Some(segment) = &self.segment {
            let full = segment.durable_len() >= self.parts.settings.segment.0;
            let old = segment.opened_at + self.parts.settings.segment_age <= now;
            if segment.has_frames() && (full || old) {
                self.seal();
            }
        }
        if self.next_space_check <= now {
            self.next_space_check = now + SPACE_CHECK_INTERVAL;
            self.check_space();
        }
        if self.next_probe <= now && self.parts.health.is_wrong(Concern::Writing) {
            self.next_probe = now + PROBE_INTERVAL;
            self.probe();
        }
    }

    fn check_space(&self) {
        self.parts.queue.operating(true);
        let free = self.parts.files.free_space(&self.parts.layout.log);
        self.parts.queue.operating(false);
        let min_free = self.parts.settings.min_free;
        let problem = match free {
            Ok(free) if free < min_free.0 => {
                Some(format!("the disk has {free} bytes free and must have {min_free} left (lake.min_free)"))
            }
            Ok(_) => None,
            Err(error) => {
                // Nothing is known; writing itself will tell.
                debug!(%error, "can't ask for the free space");
                return;
            }
        };
        self.parts.health.set(Concern::Space, problem);
    }

    /// Writes a little and takes it away again: with nobody sending, nothing else would show that the disk works.
    fn probe(&mut self) {
        let path = temporary_name(&self.parts.layout.log.join("probe"));
        self.parts.queue.operating(true);
        let written = self.parts.files.create(&path).and_then(|mut file| {
            file.write_all(&PROBE_BYTES)?;
            file.sync_data()
        });
        let removed = self.parts.files.remove(&path);
        self.parts.queue.operating(false);
        match written.and(removed) {
            Ok(()) => self.parts.health.set(Concern::Writing, None),
            Err(error) => debug!(%error, "the disk still can't be written"),
        }
    }
}
