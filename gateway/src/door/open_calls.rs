//! How many calls a connection has open, so that a drain does not wait for a connection that has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A connection's open calls.
#[derive(Clone, Debug, Default)]
pub struct OpenCalls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    any_yet: AtomicBool,
}

/// One of them. It ends with the drop.
#[derive(Debug)]
pub struct OpenCall(Arc<Counts>);

impl OpenCalls {
    /// One more.
    #[must_use]
    pub fn begin(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        self.0.any_yet.store(true, Ordering::Release);
        OpenCall(Arc::clone(&self.0))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.open.load(Ordering::Acquire) == 0
    }

    /// Whether there has been one, open or not.
    #[must_use]
    pub fn any_yet(&self) -> bool {
        self.0.any_yet.load(Ordering::Acquire)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}
