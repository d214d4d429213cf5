//! Buckets that were taken and are not on the disk yet.
//!
//! Taking never blocks. Nothing is taken while what was taken a second ago is still not durable: the disk is too slow or
//! hangs, and what waits here is no longer part of the budget that admission took for it. The watch answers what has
//! waited so long: a verdict does not wait for the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::promise::{KeptLane, Promise};
use crate::clock::Clock;
use crate::gather::{BucketSink, ClosedBucket, Format};

/// A verdict waits this long for the disk.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A bucket in the writer's hands.
pub(super) struct Taken {
    pub(super) payload: Vec<u8>,
    pub(super) format: Format,
    pub(super) events: u32,
    pub(super) promise: Promise,
    pub(super) lane: Option<KeptLane>,
    pub(super) overflow: Option<Arc<dyn BucketSink>>,
    /// What it takes of the bound.
    pub(super) bytes: u64,
    since: Instant,
}

/// What the writer should do next.
pub(super) enum Work {
    /// Write these.
    Write(Vec<Taken>),
    /// See whether there are files to remove.
    Tidy,
    /// End.
    Close,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Taken>,
    // When the oldest bucket in the writer's hands was taken.
    writing_since: Option<Instant>,
    // Tickets to be answered by then, in order.
    due: VecDeque<(Instant, Promise)>,
    refuse_until: Option<Instant>,
    tidy: bool,
    closing: bool,
    finished: bool,
}

/// See the module.
pub(super) struct Queue {
    clock: Clock,
    state: Mutex<State>,
    for_writer: Condvar,
    for_watch: Condvar,
}

impl Queue {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default(), for_writer: Condvar::new(), for_watch: Condvar::new() }
    }

    /// Takes a bucket, for which `bytes` of the bound are taken; gives it back if it can't.
    pub(super) fn push(&self, bucket: ClosedBucket, bytes: u64) -> Result<(), Box<ClosedBucket>> {
        let now = self.clock.now();
        let mut state = self.lock();
        if !state.takes_any(now) {
            drop(state);
            return Err(Box::new(bucket));
        }
        let ClosedBucket { payload, format, events, ticket, lane, overflow, .. } = bucket;
        let promise = Promise::new(ticket);
        state.due.push_back((now + PATIENCE, promise.clone()));
        let lane = lane.map(KeptLane::new);
        state.waiting.push_back(Taken { payload, format, events, promise, lane, overflow, bytes, since: now });
        drop(state);
        self.for_writer.notify_one();
        self.for_watch.notify_one();
        Ok(())
    }

    /// There may be files to remove.
    pub(super) fn tidy(&self) {
        self.lock().tidy = true;
        self.for_writer.notify_one();
    }

    /// Takes no more buckets. The writer ends once the waiting ones are written.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.for_writer.notify_one();
    }

    /// Waits for work, at most until `until`. A group is at least one bucket, and beyond that at most `max_bytes`.
    pub(super) fn next(&self, until: Option<Instant>, max_bytes: u64) -> Work {
        let mut state = self.lock();
        state.writing_since = None;
        loop {
            if !state.waiting.is_empty() {
                return Work::Write(state.take_group(max_bytes));
            }
            let now = self.clock.now();
            if std::mem::take(&mut state.tidy) || until.is_some_and(|until| until <= now) {
                return Work::Tidy;
            }
            if state.closing {
                return Work::Close;
            }
            state = match until {
                None => self.for_writer.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    self.for_writer.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The disk refuses: nothing is taken before `until`, so that a bucket can be told what is sure of it.
    pub(super) fn refuse_until(&self, until: Instant) {
        self.lock().refuse_until = Some(until);
    }

    /// The writer has ended. What it left behind is given up.
    pub(super) fn finish(&self) -> VecDeque<Taken> {
        let mut state = self.lock();
        state.closing = true;
        state.finished = true;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        self.for_watch.notify_one();
        left
    }

    /// Waits until tickets are due and gives them out. `None`: the writer has ended.
    pub(super) fn due(&self) -> Option<Vec<Promise>> {
        let mut state = self.lock();
        loop {
            if state.finished {
                return None;
            }
            let now = self.clock.now();
            let mut due = Vec::new();
            while let Some((_, promise)) = state.due.pop_front_if(|(at, _)| *at <= now) {
                due.push(promise);
            }
            if !due.is_empty() {
                return Some(due);
            }
            state = match state.due.front() {
                None => self.for_watch.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some((at, _)) => {
                    let pause = *at - now;
                    self.for_watch.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn takes_any(&self, now: Instant) -> bool {
        let oldest = self.writing_since.or_else(|| self.waiting.front().map(|taken| taken.since));
        let behind = oldest.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        !self.closing && !behind && self.refuse_until.is_none_or(|until| until <= now)
    }

    fn take_group(&mut self, max_bytes: u64) -> Vec<Taken> {
        let mut group: Vec<Taken> = Vec::new();
        let mut bytes = 0;
        while let Some(taken) = self.waiting.pop_front_if(|next| bytes == 0 || bytes + next.bytes <= max_bytes) {
            bytes += taken.bytes;
            group.push(taken);
        }
        self.writing_since = group.first().map(|taken| taken.since);
        group
    }
}
