//! Bad rows that wait, bounded in bytes. One thread or one task takes them.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, oneshot};

use super::BadRow;
use crate::clock::Clock;

/// See the module.
pub(super) struct Queue {
    limit: usize,
    state: Mutex<QueueState>,
    for_thread: Condvar,
    for_task: Notify,
}

#[derive(Default)]
struct QueueState {
    rows: VecDeque<BadRow>,
    bytes: usize,
    closed: bool,
    /// Who waits for the file in hand to be laid aside.
    to_settle: VecDeque<Settling>,
}

/// Takes the files that get no more rows.
pub(super) type Settling = oneshot::Sender<io::Result<Vec<PathBuf>>>;

/// What a thread got.
pub(super) enum Taken {
    Rows(VecDeque<BadRow>),
    /// The file in hand is to be laid aside.
    Settle(Settling),
    Nothing,
    Closed,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), for_thread: Condvar::new(), for_task: Notify::new() }
    }

    /// Returns whether there was room for the row.
    pub(super) fn push(&self, row: BadRow) -> bool {
        let cost = row.cost();
        let mut state = self.lock();
        if state.closed || state.bytes + cost > self.limit {
            return false;
        }
        state.bytes += cost;
        state.rows.push_back(row);
        drop(state);
        self.changed();
        true
    }

    /// Has the thread lay its file aside once everything that was pushed before is in it. No answer comes from a thread
    /// that has ended.
    pub(super) fn settle(&self) -> oneshot::Receiver<io::Result<Vec<PathBuf>>> {
        let (settling, settled) = oneshot::channel();
        let mut state = self.lock();
        if !state.closed {
            state.to_settle.push_back(settling);
        }
        drop(state);
        self.changed();
        settled
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed();
    }

    /// For a thread: waits for rows, at most until `until`, and takes all of them.
    pub(super) fn take(&self, until: Option<Instant>, clock: &Clock) -> Taken {
        let mut state = self.lock();
        loop {
            if !state.rows.is_empty() {
                state.bytes = 0;
                return Taken::Rows(std::mem::take(&mut state.rows));
            }
            if let Some(settling) = state.to_settle.pop_front() {
                return Taken::Settle(settling);
            }
            if state.closed {
                return Taken::Closed;
            }
            let now = clock.now();
            state = match until {
                Some(until) if until <= now => return Taken::Nothing,
                Some(until) => {
                    self.for_thread.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.for_thread.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// For a task: waits until rows of so many bytes wait, or the queue is closed. Returns whether any row waits.
    pub(super) async fn holds(&self, bytes: usize) -> bool {
        loop {
            let changed = self.for_task.notified();
            {
                let state = self.lock();
                if state.closed || state.bytes >= bytes {
                    return !state.rows.is_empty();
                }
            }
            changed.await;
        }
    }

    /// For a task: takes rows of at most so many bytes, at least one if there is any.
    pub(super) fn take_up_to(&self, bytes: usize) -> Vec<BadRow> {
        let mut state = self.lock();
        let (mut taken, mut rows) = (0, Vec::new());
        while let Some(row) = state.rows.pop_front_if(|row| taken == 0 || taken + row.cost() <= bytes) {
            taken += row.cost();
            rows.push(row);
        }
        state.bytes -= taken;
        rows
    }

    fn changed(&self) {
        self.for_thread.notify_one();
        self.for_task.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
