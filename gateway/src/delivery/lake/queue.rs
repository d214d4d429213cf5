//! Buckets between their submission and their outcome.
//!
//! The writer takes them in groups; the watch settles what is overdue, so that an event has its verdict by its deadline
//! even while the writer hangs in the kernel. Both work on the tickets under one lock, so a ticket is settled once. What
//! a bucket's ticket says depends on whether bytes of it may be in the log: not stored if surely not, else unknown.
//!
//! The queue is not bounded by itself: its bytes are part of the budget that admission took for them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::health::RETRY_AFTER;
use super::log::Form;
use crate::clock::Clock;
use crate::gather::{ClosedBucket, FailureReason, Format, Outcome, Ticket};

/// A bucket's records, in the writer's hands.
pub(super) struct Payload {
    pub(super) form: Form,
    pub(super) bytes: Vec<u8>,
    pub(super) events: u32,
}

/// What the writer should do next.
pub(super) enum Work {
    /// Store these buckets, whose tickets the queue holds.
    Group(Vec<Payload>),
    /// Seal the open segment and say so.
    Roll(oneshot::Sender<()>),
    /// Look after segment, disk and health.
    Tick,
    /// Seal the open segment and end.
    Close,
}

struct InGroup {
    ticket: Option<Ticket>,
    deadline: Instant,
    /// Bytes of it may be in the log, and may come back at the next start.
    maybe_written: bool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<ClosedBucket>,
    group: Vec<InGroup>,
    /// The last attempt to write failed.
    failing: bool,
    /// Since when the writer has been in a file operation.
    operation_since: Option<Instant>,
    submitted: u64,
    taken: u64,
    /// Requests to seal, each once everything submitted before it is stored.
    rolls: VecDeque<(u64, oneshot::Sender<()>)>,
    closing: bool,
    finished: bool,
}

/// The settled tickets of a step, told outside the lock.
type Settled = Vec<(Ticket, Outcome)>;

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

    /// Adds a bucket; a closed queue settles it at once.
    pub(super) fn submit(&self, mut bucket: ClosedBucket) {
        // While the disk stalls, buckets that lingered come by the thousand, each with room for a full one: their memory
        // must be in proportion to the bytes that admission counted.
        if bucket.payload.len() < bucket.payload.capacity() / 4 {
            bucket.payload.shrink_to_fit();
        }
        let mut state = self.lock();
        if state.closing {
            drop(state);
            let reason = FailureReason::DestinationUnavailable;
            bucket.ticket.settle(&Outcome::NotStored { reason, retry_after: RETRY_AFTER });
            return;
        }
        let was_idle = state.is_idle();
        state.waiting.push_back(bucket);
        state.submitted += 1;
        drop(state);
        self.for_writer.notify_one();
        if was_idle {
            self.for_watch.notify_one();
        }
    }

    /// Asks for the open segment to be sealed once everything submitted before is stored. `None` if the queue is closed.
    pub(super) fn request_roll(&self) -> Option<oneshot::Receiver<()>> {
        let (done, when_done) = oneshot::channel();
        let mut state = self.lock();
        if state.closing {
            return None;
        }
        let submitted = state.submitted;
        state.rolls.push_back((submitted, done));
        drop(state);
        self.for_writer.notify_one();
        Some(when_done)
    }

    /// Takes no more buckets. The writer ends once the waiting ones are settled.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.for_writer.notify_one();
    }

    /// The writer has ended: nothing that is still here will be written.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.finished = true;
        state.rolls.clear();
        let mut settled = state.settle_group(None);
        let waiting = std::mem::take(&mut state.waiting);
        settled.extend(waiting.into_iter().map(|bucket| (bucket.ticket, State::not_stored(true))));
        drop(state);
        tell(settled);
        self.for_watch.notify_one();
    }

    /// Waits for work, at most until `until`. A group is at least one bucket, and beyond that at most `max_bytes`.
    pub(super) fn next(&self, until: Instant, max_bytes: usize) -> Work {
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            let taken = state.taken;
            if let Some((_, done)) = state.rolls.pop_front_if(|(position, _)| *position <= taken) {
                return Work::Roll(done);
            }
            let settled = state.expire_waiting(now);
            if !settled.is_empty() {
                drop(state);
                tell(settled);
                state = self.lock();
                continue;
            }
            if !state.waiting.is_empty() {
                return Work::Group(state.take_group(max_bytes));
            }
            if state.closing {
                return Work::Close;
            }
            if until <= now {
                return Work::Tick;
            }
            state = self.wait(state, until - now);
        }
    }

    /// The writer is about to try. Returns whether any bucket of the group still wants it.
    pub(super) fn begin_attempt(&self) -> bool {
        let mut state = self.lock();
        let wanted = state.group.iter().any(|bucket| bucket.ticket.is_some());
        if wanted {
            state.operation_since = Some(self.clock.now());
        }
        wanted
    }

    /// The writer is about to write the group: says which buckets still want it. From now on bytes of these may be in
    /// the log.
    pub(super) fn begin_write(&self) -> Vec<bool> {
        let mark = |bucket: &mut InGroup| {
            let wanted = bucket.ticket.is_some();
            bucket.maybe_written |= wanted;
            wanted
        };
        self.lock().group.iter_mut().map(mark).collect()
    }

    /// Nothing of the group is in the log, nor can it come back: it was taken back durably, or the log says durably that
    /// it does not count.
    pub(super) fn surely_not_written(&self) {
        for bucket in &mut self.lock().group {
            bucket.maybe_written = false;
        }
    }

    /// The attempt to write the group failed, and the writer is out of the kernel.
    pub(super) fn attempt_failed(&self) {
        let mut state = self.lock();
        state.failing = true;
        state.operation_since = None;
    }

    /// The group is stored; what was overdue in it has its outcome already.
    pub(super) fn stored(&self) {
        let mut state = self.lock();
        state.failing = false;
        state.operation_since = None;
        let settled = state.settle_group(Some(Outcome::Stored));
        drop(state);
        tell(settled);
    }

    /// Gives the group up: every bucket of it gets the outcome that is sure.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.operation_since = None;
        let settled = state.settle_group(None);
        drop(state);
        tell(settled);
    }

    /// Marks the begin and the end of a file operation that is not about a group.
    pub(super) fn operating(&self, operating: bool) {
        let mut state = self.lock();
        state.operation_since = operating.then(|| self.clock.now());
        drop(state);
        if operating {
            self.for_watch.notify_one();
        }
    }

    /// Waits before the group is tried again; ends early when no bucket of it wants to be.
    pub(super) fn pause(&self, duration: Duration) {
        let until = self.clock.now() + duration;
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            if until <= now || state.group.iter().all(|bucket| bucket.ticket.is_none()) {
                return;
            }
            state = self.wait(state, until - now);
        }
    }

    /// Settles what is overdue. Returns since when the writer has been in a file operation.
    pub(super) fn expire(&self) -> Option<Instant> {
        let now = self.clock.now();
        let mut state = self.lock();
        let mut settled = state.expire_waiting(now);
        let failing = state.failing;
        for bucket in state.group.iter_mut().filter(|bucket| bucket.deadline <= now) {
            if let Some(ticket) = bucket.ticket.take() {
                settled.push((ticket, State::sure(bucket.maybe_written, failing)));
            }
        }
        let since = state.operation_since;
        drop(state);
        if !settled.is_empty() {
            tell(settled);
            self.for_writer.notify_one();
        }
        since
    }

    /// Waits until there may be something to expire, or, if `awake`, no longer than the interval. Returns whether the
    /// watch should end.
    pub(super) fn watch(&self, interval: Duration, awake: bool) -> bool {
        let mut state = self.lock();
        while state.is_idle() && !awake && !state.finished {
            state = self.for_watch.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.finished {
            state = self.for_watch.wait_timeout(state, interval).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.finished
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, duration: Duration) -> MutexGuard<'a, State> {
        self.for_writer.wait_timeout(state, duration).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.group.is_empty() && self.operation_since.is_none()
    }

    fn take_group(&mut self, max_bytes: usize) -> Vec<Payload> {
        let mut payloads = Vec::new();
        let mut bytes = 0;
        while let Some(bucket) =
            self.waiting.pop_front_if(|next| payloads.is_empty() || bytes + next.payload.len() <= max_bytes)
        {
            let (form, bucket) = match bucket.format {
                Format::Packed => (Form::Packed, bucket),
                Format::Lines => (Form::Lines, bucket),
                Format::Aggregate => (Form::Lines, bucket.into_lines()),
            };
            bytes += bucket.payload.len();
            payloads.push(Payload { form, bytes: bucket.payload, events: bucket.events });
            let ticket = Some(bucket.ticket);
            self.group.push(InGroup { ticket, deadline: bucket.deadline, maybe_written: false });
            self.taken += 1;
        }
        payloads
    }

    fn expire_waiting(&mut self, now: Instant) -> Settled {
        if self.waiting.iter().all(|bucket| now < bucket.deadline) {
            return Vec::new();
        }
        let (overdue, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|bucket| bucket.deadline <= now);
        self.waiting = waiting;
        self.taken += overdue.len() as u64;
        let failing = self.failing;
        overdue.into_iter().map(|bucket| (bucket.ticket, Self::not_stored(failing))).collect()
    }

    /// Empties the group. Without an outcome every bucket gets the one that is sure.
    fn settle_group(&mut self, outcome: Option<Outcome>) -> Settled {
        let failing = self.failing;
        let group = std::mem::take(&mut self.group);
        group
            .into_iter()
            .filter_map(|bucket| {
                let sure = || Self::sure(bucket.maybe_written, failing);
                Some((bucket.ticket?, outcome.clone().unwrap_or_else(sure)))
            })
            .collect()
    }

    fn sure(maybe_written: bool, failing: bool) -> Outcome {
        if maybe_written { Outcome::Unknown { reason: Self::reason(failing) } } else { Self::not_stored(failing) }
    }

    fn not_stored(failing: bool) -> Outcome {
        Outcome::NotStored { reason: Self::reason(failing), retry_after: RETRY_AFTER }
    }

    fn reason(failing: bool) -> FailureReason {
        if failing { FailureReason::DestinationUnavailable } else { FailureReason::Deadline }
    }
}

fn tell(settled: Settled) {
    for (ticket, outcome) in settled {
        ticket.settle(&outcome);
    }
}
