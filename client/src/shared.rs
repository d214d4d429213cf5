//! What a client's handles, its thread and its log's thread share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::clock;
use crate::failure::Failure;
use crate::key::Key;
use crate::log::{Sink, Written};
use crate::store::{Ends, Store};
use crate::stored::Stored;

/// Who is told of ends.
#[derive(Default)]
pub(crate) struct Callees {
    /// Of events that are stored.
    pub(crate) on_stored: Option<Box<dyn Fn(Stored) + Send + Sync>>,
    /// Of events that will never be stored.
    pub(crate) on_failure: Option<Box<dyn Fn(Failure) + Send + Sync>>,
}

pub(crate) struct Shared {
    store: Mutex<Store>,
    /// Wakes the client's thread.
    pub(crate) work: Notify,
    /// Wake whoever waits for room, for an end, or for the log: threads, and tasks.
    threads: Condvar,
    tasks: Notify,
    callees: Callees,
    key: Mutex<Key>,
    /// Counts changes of the key.
    key_version: AtomicU64,
}

impl Shared {
    pub(crate) fn new(store: Store, callees: Callees, key: Key) -> Self {
        Self {
            store: Mutex::new(store),
            work: Notify::new(),
            threads: Condvar::new(),
            tasks: Notify::new(),
            callees,
            key: Mutex::new(key),
            key_version: AtomicU64::new(0),
        }
    }

    /// A panic under the lock would be a bug of ours; what is in the store is still the best there is.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed that someone may wait for.
    pub(crate) fn progress(&self) {
        self.threads.notify_all();
        self.tasks.notify_waiters();
    }

    /// Holds the thread until `ask` has an answer; none when the time is up.
    pub(crate) fn block<T>(&self, until: Instant, mut ask: impl FnMut(&mut Store) -> Option<T>) -> Option<T> {
        let mut store = self.store();
        loop {
            if let Some(answer) = ask(&mut store) {
                return Some(answer);
            }
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return None;
            }
            store = self.threads.wait_timeout(store, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The same for tasks.
    pub(crate) async fn wait<T>(&self, until: Instant, mut ask: impl FnMut(&mut Store) -> Option<T>) -> Option<T> {
        let asking = async {
            loop {
                let changed = self.tasks.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(answer) = ask(&mut self.store()) {
                    return answer;
                }
                changed.await;
            }
        };
        tokio::time::timeout_at(until.into(), asking).await.ok()
    }

    /// Tells whoever wants to know. Not under the lock: the callee may well send events.
    pub(crate) fn report(&self, Ends { stored, failures }: Ends) {
        // A callee's panic is the callee's; events go on being sent.
        if let (Some(on_stored), Some(stored)) = (&self.callees.on_stored, stored) {
            let _ = catch_unwind(AssertUnwindSafe(|| on_stored(stored)));
        }
        if let Some(on_failure) = &self.callees.on_failure {
            for failure in failures {
                let _ = catch_unwind(AssertUnwindSafe(|| on_failure(failure)));
            }
        }
    }

    pub(crate) fn key(&self) -> (Key, u64) {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        (key.clone(), self.key_version())
    }

    pub(crate) fn key_version(&self) -> u64 {
        self.key_version.load(Ordering::Acquire)
    }

    pub(crate) fn set_key(&self, key: Key) {
        let mut current = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        *current = key;
        // Under the lock, so that no key is ever taken for a later one.
        self.key_version.fetch_add(1, Ordering::Release);
        drop(current);
        self.work.notify_one();
    }
}

impl Sink for Shared {
    fn written(&self, written: &[Written]) {
        self.store().written(written);
        self.progress();
    }
}
