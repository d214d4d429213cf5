//! The reply of a batch that somebody waits for.

use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use crate::admission::budget::Permit;
use crate::ingest::verdict::{BatchOutcome, Reply};

/// Polls to ready with the reply of a single batch.
pub struct OneReply {
    outcome: Mutex<Option<(BatchOutcome, Permit)>>,
    waker: AtomicWaker,
}

impl OneReply {
    /// Not settled yet.
    #[must_use]
    pub fn new() -> Self {
        Self { outcome: Mutex::new(None), waker: AtomicWaker::new() }
    }

    /// Waits for the outcome; the permit is to be held until it is on its way.
    pub async fn wait(&self) -> (BatchOutcome, Permit) {
        std::future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            match self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(outcome) => Poll::Ready(outcome),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Default for OneReply {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply for OneReply {
    fn settled(&self, _token: u64, outcome: BatchOutcome, permit: Permit) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some((outcome, permit));
        self.waker.wake();
    }
}
