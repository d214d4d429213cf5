//! Sends buckets to a service that takes records in calls: Kinesis Data Streams and Firehose.
//!
//! A bucket is acknowledged when the service has answered success for every record of it, and never before. Only records
//! that failed are sent again, until the bucket's deadline; then its events are told to be sent again where surely nothing
//! was stored, and that nobody knows where something may have been. While the service fails, single probes find out when
//! it is well again, and [`Destination::health`] has new batches refused at the door.

pub(super) mod backoff;
mod breaker;
mod cost;
mod counts;
mod dispatch;
mod flow;
mod parcel;
mod parts;
mod refresh;
mod shards;
mod throttle;
mod trial;
pub mod wire;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use headgate_proto::aggregate;
use tokio::sync::{Notify, watch};

use self::counts::Counts;
use self::dispatch::{Call, CallRecord, Dispatcher, NotNow, Step};
use self::wire::{CallError, CallFailure, Describe, Entry, StreamDescription, StreamMode, Wire};
use super::{Destination, Health};
use crate::clock::Clock;
use crate::gather::{BucketSink, ClosedBucket, FailureReason, Outcome, Packing};
use crate::operate::tasks::Tasks;

pub use self::cost::Billing;
pub use self::parts::{Keeper, SenderLimits, SenderParts, StreamParts, StreamPrices};

/// Sends buckets.
pub struct Sender {
    name: &'static str,
    wire: Arc<dyn Wire>,
    packing: Packing,
    stream: Option<Stream>,
    billing: Mutex<Billing>,
    keeper: Option<Arc<dyn Keeper>>,
    books: Mutex<Dispatcher>,
    changed: Notify,
    emptied: Notify,
    // Steps that are being done.
    acting: AtomicUsize,
    // What the books said last of whether anything is taken: asked for every batch, and mostly they take everything.
    up: AtomicBool,
    clock: Clock,
    tasks: Tasks,
    counts: Counts,
}

struct Stream {
    describe: Arc<dyn Describe>,
    aggregates: bool,
    refresh_interval: Duration,
    look_again: Notify,
    current: watch::Sender<StreamDescription>,
    billing_of: fn(StreamMode, &StreamPrices) -> Billing,
    prices: StreamPrices,
}

impl Sender {
    /// To Firehose, or whatever else takes records without hash keys; lines go out as they are, many to a record.
    #[must_use]
    pub fn to_firehose(parts: SenderParts, keeper: Option<Arc<dyn Keeper>>) -> Arc<Self> {
        let now = parts.clock.now();
        let limits = parts.limits.for_dispatch(false, true);
        Self::new("firehose", parts, Dispatcher::single(limits, now), None, keeper)
    }

    /// To a Kinesis stream.
    #[must_use]
    pub fn to_stream(parts: SenderParts, stream: StreamParts, keeper: Option<Arc<dyn Keeper>>) -> Arc<Self> {
        let StreamParts { describe, stream, aggregates, keyed, refresh_interval, billing_of, prices } = stream;
        let limits = parts.limits.for_dispatch(keyed, false);
        let dispatcher = Dispatcher::stream(limits, &stream, aggregates, parts.clock.now());
        let stream = Stream {
            describe,
            aggregates,
            refresh_interval,
            look_again: Notify::new(),
            current: watch::Sender::new(stream),
            billing_of,
            prices,
        };
        Self::new("kinesis", parts, dispatcher, Some(stream), keeper)
    }

    fn new(
        name: &'static str,
        parts: SenderParts,
        mut dispatcher: Dispatcher,
        stream: Option<Stream>,
        keeper: Option<Arc<dyn Keeper>>,
    ) -> Arc<Self> {
        let SenderParts { wire, packing, limits: _, billing, clock, tasks, metrics } = parts;
        if keeper.is_some() {
            dispatcher.offer_expired();
        }
        Arc::new(Self {
            name,
            wire,
            packing,
            stream,
            billing: Mutex::new(billing),
            keeper,
            books: Mutex::new(dispatcher),
            changed: Notify::new(),
            emptied: Notify::new(),
            acting: AtomicUsize::new(0),
            up: AtomicBool::new(true),
            clock,
            tasks,
            counts: Counts::new(name, metrics),
        })
    }

    /// The stream as it was last described, where there is one; changes with it.
    #[must_use]
    pub fn stream(&self) -> Option<watch::Receiver<StreamDescription>> {
        self.stream.as_ref().map(|stream| stream.current.subscribe())
    }

    /// Sends what is submitted. To be run as a task.
    pub async fn run(self: Arc<Self>) {
        loop {
            let now = self.clock.now();
            let wake_at = self.take_step(|books| books.step(now));
            let woken = self.changed.notified();
            match wake_at {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at.into(), woken).await;
                }
                None => woken.await,
            }
        }
    }

    /// Keeps the shard map and the gauges up to date. To be run as a task.
    pub async fn look_after(self: Arc<Self>) {
        match &self.stream {
            Some(stream) => refresh::run(&self, stream).await,
            None => loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.show();
            },
        }
    }

    fn follow(&self, stream: &Stream, description: StreamDescription) {
        *self.billing.lock().unwrap_or_else(PoisonError::into_inner) =
            (stream.billing_of)(description.mode, &stream.prices);
        self.books().follow(&description, stream.aggregates, self.clock.now());
        stream.current.send_if_modified(|current| {
            let changed = *current != description;
            *current = description;
            changed
        });
        self.changed.notify_one();
    }

    fn billing(&self) -> Billing {
        *self.billing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn books(&self) -> MutexGuard<'_, Dispatcher> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step and does what it says; when to take the next one.
    fn take_step(self: &Arc<Self>, step: impl FnOnce(&mut Dispatcher) -> Step) -> Option<Instant> {
        let step = {
            let mut books = self.books();
            let step = step(&mut books);
            // Under the lock: what a step has taken out of the books is not gone before it is handed on.
            self.acting.fetch_add(1, Ordering::AcqRel);
            step
        };
        let acting = Acting(self);
        let wake_at = step.wake_at;
        self.act(step);
        drop(acting);
        wake_at
    }

    /// Does what a step says. Tickets are settled here, outside the books' lock: their waiters take locks of their own.
    fn act(self: &Arc<Self>, step: Step) {
        let Step { calls, settled, expired, overflowed, wake_at: _, notes } = step;
        notes.into_iter().for_each(|note| self.note(note));
        for call in calls {
            let sender = Arc::clone(self);
            drop(self.tasks.spawn("put", async move { sender.call(call).await }));
        }
        for (ticket, outcome) in settled {
            ticket.settle(&outcome);
        }
        self.give_up(expired);
        for mut bucket in overflowed {
            self.counts.overflowed.inc();
            match bucket.overflow.take() {
                Some(other) => other.submit(bucket),
                None => bucket.ticket.settle(&Outcome::Unknown { reason: FailureReason::DestinationUnavailable }),
            }
        }
    }

    /// Buckets whose time is over: kept by whoever keeps them, or answered for.
    fn give_up(&self, expired: Vec<(ClosedBucket, Outcome)>) {
        for (bucket, outcome) in expired {
            self.counts.expired.inc();
            // Whoever kept it before keeps it still.
            let keeper = self.keeper.as_ref().filter(|_| !bucket.kept);
            let Some(keeper) = keeper else {
                bucket.ticket.settle(&outcome);
                continue;
            };
            let lane = bucket.lane.clone();
            match keeper.keep(bucket) {
                Ok(()) => {
                    self.counts.kept.inc();
                }
                Err(bucket) => {
                    if let Some(lane) = lane {
                        lane.order().unkeep();
                    }
                    bucket.ticket.settle(&outcome);
                }
            }
        }
    }

    async fn call(self: Arc<Self>, call: Call) {
        let Call { id, records, timeout } = call;
        // Whatever happens to this task, its records are accounted for.
        let mut answer = Answer { sender: &self, call: id, given: false };
        self.counts.records_a_call.observe(records.len() as f64);
        let entries = sealed(records);
        let started = self.clock.now();
        let results = self.wire.put(entries, timeout).await;
        self.counts.put_seconds.observe((self.clock.now() - started).as_secs_f64());
        match &results {
            Ok(_) => self.counts.calls_ok.inc(),
            Err(_) => self.counts.calls_failed.inc(),
        };
        answer.give(results);
    }

    fn answered(self: &Arc<Self>, call: u64, results: Result<Vec<wire::EntryResult>, CallError>) {
        let _ = self.take_step(|books| books.answered(call, results, self.clock.now()));
        self.changed.notify_one();
    }
}

/// Makes records' envelopes, those of a call together.
fn sealed(records: Vec<CallRecord>) -> Vec<Entry> {
    let open: Vec<(&[u8], u128)> = records
        .iter()
        .filter(|record| record.sealed)
        .map(|record| (&record.payload[..], record.hash_key.unwrap_or(0)))
        .collect();
    let mut envelopes = aggregate::envelopes(&open).into_iter();
    let entry = |record: CallRecord| {
        let envelope = if record.sealed { envelopes.next() } else { None };
        Entry { envelope, payload: record.payload, hash_key: record.hash_key }
    };
    records.into_iter().map(entry).collect()
}

/// A step that is being done; also one that panics has an end.
struct Acting<'a>(&'a Sender);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        let sender = self.0;
        let idle = {
            let books = sender.books();
            sender.up.store(books.not_now(sender.clock.now()).is_none(), Ordering::Release);
            sender.acting.fetch_sub(1, Ordering::AcqRel) == 1 && books.is_empty()
        };
        if idle {
            sender.emptied.notify_waiters();
        }
    }
}

/// A call's answer, given once; a call that ends without one is ambiguous.
struct Answer<'a> {
    sender: &'a Arc<Sender>,
    call: u64,
    given: bool,
}

impl Answer<'_> {
    fn give(&mut self, results: Result<Vec<wire::EntryResult>, CallError>) {
        self.given = true;
        self.sender.answered(self.call, results);
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if !self.given {
            let message = "the call ended without an answer".to_owned();
            let error = CallError { failure: CallFailure::Ambiguous, code: "aborted".into(), message };
            self.sender.answered(self.call, Err(error));
        }
    }
}

impl BucketSink for Sender {
    fn submit(&self, bucket: ClosedBucket) {
        {
            let mut books = self.books();
            if books.is_closing() {
                drop(books);
                return bucket.refuse();
            }
            books.submit(bucket, self.clock.now());
        }
        self.changed.notify_one();
    }
}

#[async_trait]
impl Destination for Sender {
    fn name(&self) -> &'static str {
        self.name
    }

    fn packing(&self) -> Packing {
        self.packing
    }

    fn health(&self) -> Health {
        if self.up.load(Ordering::Acquire) {
            return Health::Up;
        }
        match self.books().not_now(self.clock.now()) {
            None => Health::Up,
            Some(NotNow { reason, retry_after, overload }) => {
                let reason = format!("{}: {reason}", self.name);
                if overload { Health::Overloaded { reason, retry_after } } else { Health::Down { reason, retry_after } }
            }
        }
    }

    fn trouble(&self) -> Option<String> {
        self.books().trouble().map(|reason| format!("{}: {reason}", self.name))
    }

    async fn close(&self) {
        self.books().close(self.clock.now());
        self.changed.notify_one();
        loop {
            let emptied = self.emptied.notified();
            if self.books().is_empty() && self.acting.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn abandon(&self) {
        let step = self.books().abandon(self.clock.now());
        self.give_up(step.expired);
    }
}
