//! State that every thread has a part of, so that threads do not wait for one another.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const PARTS: usize = 4;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PART: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % PARTS);
}

/// Parts of a sum.
pub(super) struct Sharded<T>([Part<T>; PARTS]);

/// On cache lines of its own.
#[repr(align(128))]
struct Part<T>(Mutex<T>);

impl<T> Sharded<T> {
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        Self(std::array::from_fn(|_| Part(Mutex::new(make()))))
    }

    /// The calling thread's part.
    pub(super) fn mine(&self) -> MutexGuard<'_, T> {
        lock(&self.0[PART.get()])
    }

    /// Every part, one after the other.
    pub(super) fn each(&self, mut visit: impl FnMut(&mut T)) {
        self.0.iter().for_each(|part| visit(&mut lock(part)));
    }
}

fn lock<T>(part: &Part<T>) -> MutexGuard<'_, T> {
    part.0.lock().unwrap_or_else(PoisonError::into_inner)
}
