//! Progress of long work: one line on standard error that is written over, only where somebody watches.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::clock::Clock;

const INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct ProgressLine {
    clock: Clock,
    shown: bool,
    next: Option<Instant>,
}

impl ProgressLine {
    pub(super) fn new(clock: Clock) -> Self {
        let next = io::stderr().is_terminal().then(|| clock.now());
        Self { clock, shown: false, next }
    }

    /// Shows where the work is, not oftener than anyone can read.
    pub(super) fn show(&mut self, text: impl FnOnce() -> String) {
        let now = self.clock.now();
        if self.next.is_some_and(|next| next <= now) {
            self.next = Some(now + INTERVAL);
            self.shown = true;
            let _ = write!(io::stderr(), "\r\x1b[K{}", text());
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
