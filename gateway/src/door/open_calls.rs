//! How many ingest calls a connection has open, so that a drain does not wait for a connection that has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A connection's open calls.
#[derive(Clone, Debug, Default)]
pub struct OpenCalls(Arc<AtomicUsize>);

/// One of them. It ends with the drop.
#[derive(Debug)]
pub struct OpenCall(Arc<AtomicUsize>);

impl OpenCalls {
    /// One more.
    #[must_use]
    pub fn begin(&self) -> OpenCall {
        self.0.fetch_add(1, Ordering::AcqRel);
        OpenCall(Arc::clone(&self.0))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
