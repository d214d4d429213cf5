//! The watch: settles what is overdue and says when the disk does not answer. The writer can't: it may hang in an fsync
//! for as long as the disk likes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tracing::error;

use super::health::{Concern, LakeHealth};
use super::queue::Queue;
use crate::clock::Clock;
use crate::metrics::{Counter, Metrics};

/// How often it looks while anything is on its way; a verdict is late by this much at most.
const INTERVAL: Duration = Duration::from_millis(20);
/// A file operation that takes longer makes the lake count as down.
const STALLED_AFTER: Duration = Duration::from_secs(3);

/// Runs until the writer has ended. A panic, of a waiter that is told its outcome, ends one look and not the watch.
pub(super) fn run(queue: &Queue, health: &LakeHealth, clock: &Clock, metrics: &Metrics) {
    while let Err(panic) = catch_unwind(AssertUnwindSafe(|| watch(queue, health, clock))) {
        error!(panic = panic_text(&*panic), "a bug in the lake's watch; it goes on");
        metrics.counter(Counter::Panics, &["lake-watch"]).inc();
    }
}

fn watch(queue: &Queue, health: &LakeHealth, clock: &Clock) {
    let mut was_stalled = false;
    while !queue.watch(INTERVAL, was_stalled) {
        let since = queue.expire();
        let stalled = since.is_some_and(|since| clock.now() - since > STALLED_AFTER);
        if stalled != was_stalled {
            let problem = stalled.then(|| format!("the disk has not answered for {STALLED_AFTER:?}"));
            health.set(Concern::Stalled, problem);
            was_stalled = stalled;
        }
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
