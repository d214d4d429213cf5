//! A whole book as it was at one of its revisions.

use std::sync::{Mutex, PoisonError};

/// What was read last.
pub(in super::super) struct Cached<T>(Mutex<Option<(u64, Vec<T>)>>);

impl<T: Clone> Cached<T> {
    /// The book, if this is its revision.
    pub(super) fn of(&self, revision: u64) -> Option<Vec<T>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(known, _)| *known == revision).map(|(_, book)| book.clone())
    }

    /// The next one who asks reads it again.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn put(&self, revision: u64, book: Vec<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((revision, book));
    }
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}
