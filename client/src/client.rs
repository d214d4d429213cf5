//! The client: what game code calls.

mod giving;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;

use self::giving::Kind;
use crate::backoff::Backoff;
use crate::builder::Builder;
use crate::clock;
use crate::connect::Connector;
use crate::counters::Counters;
use crate::error::{BuildError, LogProblem, SendError};
use crate::event::Event;
use crate::failure::Undelivered;
use crate::key::Key;
use crate::limits::Overflow;
use crate::link::Links;
use crate::log::{self, Log};
use crate::shared::Shared;
use crate::store::Store;
use crate::worker::Worker;

/// A disk that takes longer than this for a write is as good as none.
const LOG_PATIENCE: Duration = Duration::from_secs(30);

/// Sends events to a gateway. Cheap to clone; clones are the same client. Usable from any thread, sync or async.
///
/// Dropping the last one closes it without waiting for the gateway, as [`Client::close`] with no time does.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// What became of an event that was given to [`Client::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its id: the one that it was given, or a new one. Nil if it was dropped and had none.
    pub id: Uuid,
    /// Where it is.
    pub standing: Standing,
}

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// In memory. It is sent until it has its end, as long as the process lives.
    Queued,
    /// On the log. It is sent until it has its end, by this process or by the next one with this log. Or it has its end
    /// by now.
    Durable,
    /// Nowhere: there was no room ([`Overflow::DropNewest`], [`Overflow::DropOldest`]).
    Dropped,
}

struct Handle {
    shared: Arc<Shared>,
    overflow: Overflow,
}

impl Client {
    /// Begins to make a client: of a gateway's address, `https://HOST:PORT` or `http://HOST:PORT`, and a key for it.
    pub fn builder(endpoint: impl Into<String>, key: Key) -> Builder {
        Builder::new(endpoint.into(), key)
    }

    pub(crate) fn start(
        shared: Shared,
        connector: Connector,
        key: MetadataValue<Ascii>,
        backoff: Backoff,
        overflow: Overflow,
        log: Option<&Log>,
    ) -> Result<Self, BuildError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(BuildError::Thread)?;
        let shared = Arc::new(shared);
        if let Some(log) = log {
            let opened = log::open(log, Arc::clone(&shared) as _)?;
            let mut store = shared.store();
            store.log = Some(opened.handle);
            store.recover(opened.batches, opened.next_batch);
        }
        let worker = Worker::new(Arc::clone(&shared), Links::new(connector), key, backoff);
        let of_thread = Arc::clone(&shared);
        let started = std::thread::Builder::new().name("headgate-client".to_owned()).spawn(move || {
            // A panic would be a bug of ours. Whoever waits is told that nothing comes any more.
            let worked = catch_unwind(AssertUnwindSafe(|| runtime.block_on(worker.run())));
            // A name that is still being resolved is not waited for.
            runtime.shutdown_background();
            finish(&of_thread, worked.is_err());
        });
        match started {
            Ok(_) => Ok(Self { handle: Arc::new(Handle { shared, overflow }) }),
            Err(error) => {
                finish(&shared, false);
                Err(BuildError::Thread(error))
            }
        }
    }

    /// Takes an event: encodes it into the open batch, and returns. Never waits for the network or the disk; waits for
    /// room only with [`Overflow::Wait`].
    ///
    /// # Errors
    /// If the event can't be taken: it breaks a rule, there is no room, the client is closed.
    pub fn send(&self, event: Event<'_>) -> Result<Receipt, SendError> {
        self.give_blocking(&event, Kind::Ordinary).map(|(receipt, _)| receipt)
    }

    /// The same for tasks: with [`Overflow::Wait`] the task waits and not its thread. In a Tokio runtime with its timer.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_async(&self, event: Event<'_>) -> Result<Receipt, SendError> {
        self.give_waiting(&event, Kind::Ordinary).await.map(|(receipt, _)| receipt)
    }

    /// Takes an event, and returns once it is on the log as its [`Fsync`](crate::Fsync) says: then neither a crash nor the
    /// gateway's absence loses it. Waits for the disk; threads that do so at the same time share its writes.
    ///
    /// # Errors
    /// As [`Client::send`], and without room it is [`SendError::Full`] where an ordinary event would be dropped;
    /// [`SendError::NoLog`]; [`SendError::NotDurable`] if the event was taken but the log is full or the disk refuses.
    pub fn send_durable(&self, event: Event<'_>) -> Result<Receipt, SendError> {
        self.needs_log()?;
        let (receipt, number) = self.give_blocking(&event, Kind::Durable)?;
        let ticket = self.shared().store().log_all();
        let written = self.shared().block(clock::deadline(LOG_PATIENCE), |store| on_log(store, ticket, number));
        durable(receipt, written)
    }

    /// The same for tasks. In a Tokio runtime with its timer.
    ///
    /// # Errors
    /// As [`Client::send_durable`].
    pub async fn send_durable_async(&self, event: Event<'_>) -> Result<Receipt, SendError> {
        self.needs_log()?;
        let (receipt, number) = self.give_waiting(&event, Kind::Durable).await?;
        let ticket = self.shared().store().log_all();
        let until = clock::deadline(LOG_PATIENCE);
        durable(receipt, self.shared().wait(until, |store| on_log(store, ticket, number)).await)
    }

    /// Returns once everything that was taken before is on the log, or has come to its end: after many [`Client::send`]s, in
    /// place of [`Client::send_durable`] for each.
    ///
    /// # Errors
    /// [`SendError::NoLog`]; [`SendError::NotDurable`] if something is in memory only.
    pub fn persist(&self) -> Result<(), SendError> {
        self.needs_log()?;
        let ticket = self.shared().store().log_all();
        let written = self.shared().block(clock::deadline(LOG_PATIENCE), |store| all_on_log(store, ticket));
        written.unwrap_or(Err(LogProblem::Slow)).map_err(SendError::NotDurable)
    }

    /// Returns once everything that was taken before has come to its end, or the time is up, with what had not. That goes on
    /// being sent.
    pub fn flush(&self, within: Duration) -> Undelivered {
        let (until, below) = (clock::deadline(within), self.begin_flush());
        self.shared().block(until, |store| is_over(store, below));
        self.shared().store().undelivered_below(below)
    }

    /// The same for tasks. In a Tokio runtime with its timer.
    pub async fn flush_async(&self, within: Duration) -> Undelivered {
        let (until, below) = (clock::deadline(within), self.begin_flush());
        self.shared().wait(until, |store| is_over(store, below)).await;
        self.shared().store().undelivered_below(below)
    }

    /// Takes no more events, waits until everything has come to its end or the time is up, and ends. Returns what had not:
    /// what is on the log is sent by the next client with this log; what is in memory alone is lost unless the caller keeps
    /// it. Called again, it returns the same.
    pub fn close(&self, within: Duration) -> Undelivered {
        let (until, below) = (clock::deadline(within), self.begin_close());
        self.shared().block(until, |store| is_over(store, below));
        self.handle.stop();
        self.shared().block(clock::deadline(LOG_PATIENCE), |store| store.stopped.then_some(()));
        self.shared().store().undelivered_below(u64::MAX)
    }

    /// The same for tasks. In a Tokio runtime with its timer.
    pub async fn close_async(&self, within: Duration) -> Undelivered {
        let (until, below) = (clock::deadline(within), self.begin_close());
        self.shared().wait(until, |store| is_over(store, below)).await;
        self.handle.stop();
        self.shared().wait(clock::deadline(LOG_PATIENCE), |store| store.stopped.then_some(())).await;
        self.shared().store().undelivered_below(u64::MAX)
    }

    /// What has happened so far, and how things stand.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared().store().counters()
    }

    /// Uses another key from now on: a stream is opened with it, and the one with the old key is read until its answers are
    /// in. Nothing is lost or waits.
    ///
    /// # Errors
    /// If it can't be used; then the old one stays.
    pub fn set_key(&self, key: Key) -> Result<(), BuildError> {
        let _good = key.read()?;
        self.shared().set_key(key);
        Ok(())
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    fn needs_log(&self) -> Result<(), SendError> {
        let store = self.shared().store();
        match (store.closed, &store.log) {
            (true, _) => Err(SendError::Closed),
            (false, None) => Err(SendError::NoLog),
            (false, Some(_)) => Ok(()),
        }
    }

    fn begin_flush(&self) -> u64 {
        let below = self.shared().store().begin_flush();
        self.shared().work.notify_one();
        below
    }

    fn begin_close(&self) -> u64 {
        self.shared().store().closed = true;
        // Whoever waits for room waits in vain.
        self.shared().progress();
        self.begin_flush()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("counters", &self.counters()).finish()
    }
}

impl Handle {
    fn stop(&self) {
        self.shared.store().stopping = true;
        self.shared.work.notify_one();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let stopped = {
            let mut store = self.shared.store();
            store.closed = true;
            store.seal();
            store.stopped
        };
        if !stopped {
            self.stop();
            // What was handed to the log is to be on it.
            self.shared.block(clock::deadline(LOG_PATIENCE), |store| store.stopped.then_some(()));
        }
    }
}

/// The client's thread has no more to do: the log is written to its end and closed, and whoever waits is told.
fn finish(shared: &Shared, panicked: bool) {
    let log_thread = {
        let mut store = shared.store();
        store.closed = true;
        store.seal();
        let _ticket = store.log_all();
        store.log.as_mut().and_then(log::Handle::close)
    };
    if let Some(thread) = log_thread {
        // It ends when it is told to; a panic of its own has been shown.
        let _ = thread.join();
    }
    let mut store = shared.store();
    store.stopped = true;
    store.count(|counters| {
        counters.connected = false;
        if panicked {
            counters.last_error = Some("the client's thread panicked; this is a bug".to_owned());
        }
    });
    drop(store);
    shared.progress();
}

fn is_over(store: &mut Store, below: u64) -> Option<()> {
    (store.stopped || store.is_settled_below(below)).then_some(())
}

fn on_log(store: &mut Store, ticket: u64, number: u64) -> Option<Result<(), LogProblem>> {
    dealt_with(store, ticket).map(|dealt| dealt.and_then(|()| store.log_problem(number).map_or(Ok(()), Err)))
}

fn all_on_log(store: &mut Store, ticket: u64) -> Option<Result<(), LogProblem>> {
    dealt_with(store, ticket).map(|dealt| dealt.and_then(|()| store.any_log_problem().map_or(Ok(()), Err)))
}

/// Whether the log has come to this, well or badly. What it had not dealt with when it ended, it never will.
fn dealt_with(store: &Store, ticket: u64) -> Option<Result<(), LogProblem>> {
    match (store.is_dealt_with(ticket), store.stopped) {
        (true, _) => Some(Ok(())),
        (false, true) => Some(Err(LogProblem::Slow)),
        (false, false) => None,
    }
}

fn durable(receipt: Receipt, written: Option<Result<(), LogProblem>>) -> Result<Receipt, SendError> {
    match written.unwrap_or(Err(LogProblem::Slow)) {
        Ok(()) => Ok(Receipt { standing: Standing::Durable, ..receipt }),
        Err(problem) => Err(SendError::NotDurable(problem)),
    }
}
