//! The one thread that turns sealed segments into Parquet. It takes them in order; one that fails waits and is tried
//! again while the others go on. Nothing here ever stops events from being taken.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::LakeError;
use super::backoff::Backoff;
use super::compact::{Compacted, Compaction, Sealed};
use super::layout::SegmentNumber;
use super::recover::{Recovery, RecoveryReport};
use super::watch::panic_text;
use crate::clock::Clock;
use crate::metrics::{Counter, Gauge, Histogram, Metrics};

const RETRY_BASE: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(60);

/// What a round of compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct CompactReport {
    /// Log segments turned into Parquet.
    pub segments: u64,
    /// Parquet files written.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their length, bytes.
    pub bytes: u64,
    /// Lines that are no stream records, set aside in `lake/damaged`.
    pub set_aside_lines: u64,
    /// Segments that could not be turned into Parquet; they stay and are tried again.
    pub failed: Vec<FailedSegment>,
}

/// A segment that could not be turned into Parquet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FailedSegment {
    /// Its number.
    pub segment: u64,
    /// Why.
    pub error: String,
}

impl CompactReport {
    pub(super) fn add(&mut self, number: SegmentNumber, result: &Result<Compacted, LakeError>) {
        match result {
            Ok(done) => {
                self.segments += 1;
                self.files += done.files;
                self.rows += done.rows;
                self.bytes += done.bytes;
                self.set_aside_lines += done.set_aside_lines;
            }
            Err(error) => self.failed.push(FailedSegment { segment: number.0, error: error.to_string() }),
        }
    }
}

struct Waiting {
    sealed: Sealed,
    not_before: Instant,
    backoff: Backoff,
}

struct Request {
    pending: BTreeSet<SegmentNumber>,
    report: CompactReport,
    reply: oneshot::Sender<CompactReport>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<SegmentNumber, Waiting>,
    running: Option<SegmentNumber>,
    requests: Vec<Request>,
    closing: bool,
}

/// See the module.
pub(super) struct Compactor {
    compaction: Compaction,
    metrics: Arc<Metrics>,
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
}

impl Compactor {
    pub(super) fn new(compaction: Compaction, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self { compaction, metrics, clock, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a segment.
    pub(super) fn add(&self, sealed: Sealed) {
        let backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
        let waiting = Waiting { sealed, not_before: self.clock.now(), backoff };
        self.lock().waiting.insert(sealed.number, waiting);
        self.changed.notify_one();
    }

    /// Has every waiting segment turned into Parquet now. The answer comes when each was tried; none comes if the
    /// compactor is closed before.
    pub(super) fn request(&self) -> oneshot::Receiver<CompactReport> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        if state.closing {
            return answer;
        }
        let pending: BTreeSet<_> = state.waiting.keys().copied().chain(state.running).collect();
        if pending.is_empty() {
            let _ = reply.send(CompactReport::default());
            return answer;
        }
        let now = self.clock.now();
        for waiting in state.waiting.values_mut() {
            waiting.not_before = now;
        }
        state.requests.push(Request { pending, report: CompactReport::default(), reply });
        drop(state);
        self.changed.notify_one();
        answer
    }

    /// Whether a segment waits to be turned into Parquet or is being, so that its files are the compactor's alone. One of
    /// which this is not true, and which has a manifest, never becomes so again.
    pub(super) fn holds(&self, number: SegmentNumber) -> bool {
        let state = self.lock();
        state.running == Some(number) || state.waiting.contains_key(&number)
    }

    /// What it works with.
    pub(super) fn compaction(&self) -> &Compaction {
        &self.compaction
    }

    /// Ends the thread soon; what is not yet in Parquet waits for the next start.
    pub(super) fn close(&self) {
        self.compaction.stop();
        self.lock().closing = true;
        self.changed.notify_one();
    }

    /// Works until it is closed.
    pub(super) fn run(&self) {
        while let Some(mut segment) = self.next() {
            let number = segment.sealed.number;
            let result = compact_one(&self.compaction, &self.metrics, &self.clock, segment.sealed);
            let mut state = self.lock();
            state.running = None;
            state.answer(number, &result);
            if let Err(error) = &result
                && !matches!(error, LakeError::Closed)
            {
                let pause = segment.backoff.next();
                warn!(segment = number.0, ?pause, "the segment is tried again");
                segment.not_before = self.clock.now() + pause;
                state.pause_others(error, segment.not_before);
                state.waiting.insert(number, segment);
            }
        }
    }

    fn next(&self) -> Option<Waiting> {
        let mut state = self.lock();
        loop {
            if state.closing {
                state.requests.clear();
                return None;
            }
            let now = self.clock.now();
            let due = state.waiting.iter().find(|(_, waiting)| waiting.not_before <= now).map(|(number, _)| *number);
            if let Some(segment) = due.and_then(|number| state.waiting.remove(&number)) {
                state.running = Some(segment.sealed.number);
                return Some(segment);
            }
            self.compaction.rest();
            let next = state.waiting.values().map(|waiting| waiting.not_before).min();
            state = match next {
                Some(next) => self.changed.wait_timeout(state, next - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a disk refuses one segment it refuses the others too: trying each of them would burn a core.
    fn pause_others(&mut self, error: &LakeError, until: Instant) {
        let of_the_disk = match error {
            // A form that is not known is that segment's alone.
            LakeError::File { source, .. } if source.kind() == io::ErrorKind::Unsupported => false,
            LakeError::File { .. } | LakeError::Parquet { .. } | LakeError::Manifest { .. } => true,
            LakeError::Damaged { .. } | LakeError::Panic(_) | LakeError::Closed | LakeError::Thread(_) => false,
        };
        // Someone who asked gets an answer for each.
        if of_the_disk && self.requests.is_empty() {
            for waiting in self.waiting.values_mut() {
                waiting.not_before = waiting.not_before.max(until);
            }
        }
    }

    fn answer(&mut self, number: SegmentNumber, result: &Result<Compacted, LakeError>) {
        for request in &mut self.requests {
            if request.pending.remove(&number) {
                request.report.add(number, result);
            }
        }
        for request in self.requests.extract_if(.., |request| request.pending.is_empty()) {
            // Whoever asked may have gone.
            let _ = request.reply.send(request.report);
        }
    }
}

/// Turns one segment into Parquet. One that turns out to be damaged is put in order first; a panic is an error.
pub(super) fn compact_one(
    compaction: &Compaction,
    metrics: &Metrics,
    clock: &Clock,
    sealed: Sealed,
) -> Result<Compacted, LakeError> {
    let started = clock.now();
    let caught = catch_unwind(AssertUnwindSafe(|| match compaction.run(sealed) {
        Err(LakeError::Damaged { .. }) => {
            put_in_order(compaction, metrics, sealed)?.map_or(Ok(Compacted::default()), |sealed| compaction.run(sealed))
        }
        result => result,
    }));
    let result = caught.unwrap_or_else(|panic| {
        metrics.counter(Counter::Panics, &["lake-compactor"]).inc();
        Err(LakeError::Panic(panic_text(&*panic)))
    });
    match &result {
        Ok(done) => {
            let seconds = (clock.now() - started).as_secs_f64();
            info!(segment = sealed.number.0, rows = done.rows, files = done.files, seconds, "compacted a log segment");
            metrics.counter(Counter::LakeRowsCompacted, &[]).inc_by(done.rows);
            metrics.counter(Counter::LakeSegmentsCompacted, &[]).inc();
            metrics.histogram(Histogram::CompactSeconds).observe(seconds);
            metrics.gauge(Gauge::LakeSegments, &[]).dec();
            metrics.gauge(Gauge::LakeLogBytes, &[]).dec_by(sealed.len.cast_signed());
        }
        Err(LakeError::Closed) => {}
        Err(error) => {
            error!(segment = sealed.number.0, %error, "a log segment can't be turned into Parquet");
            metrics.counter(Counter::LakeErrors, &["compact"]).inc();
        }
    }
    result
}

fn put_in_order(compaction: &Compaction, metrics: &Metrics, sealed: Sealed) -> Result<Option<Sealed>, LakeError> {
    let Compaction { files, layout, window, .. } = compaction;
    let path = layout.segment(sealed.number);
    let len = files.len(&path).map_err(|source| LakeError::file("recover", &path, source))?;
    let recovery = Recovery { files: &**files, layout, metrics, window: *window };
    let durable_end = sealed.end_known.then_some(sealed.len);
    recovery.put_in_order(sealed.number, len, durable_end, &mut RecoveryReport::default())
}
