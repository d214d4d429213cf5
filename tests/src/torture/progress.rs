//! How far it is: one line that is drawn again on a terminal, or a line now and then.

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::time::{Duration, Instant};

/// Between two lines where they stay.
const PERIOD: Duration = Duration::from_secs(15);
/// What fits on a line of a terminal.
const WIDTH: usize = 118;

/// See the module.
pub struct Progress {
    terminal: bool,
    next: Instant,
}

impl Progress {
    /// On standard error.
    #[must_use]
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), next: Instant::now() + PERIOD }
    }

    /// Shows where things stand.
    pub fn show(&mut self, line: impl FnOnce() -> String) {
        let mut out = std::io::stderr().lock();
        // A line that can't be shown is no reason to stop.
        if self.terminal {
            let line: String = line().chars().take(WIDTH).collect();
            let _ = write!(out, "\r\x1b[2K{line}");
            let _ = out.flush();
        } else if Instant::now() >= self.next {
            self.next = Instant::now() + PERIOD;
            let _ = writeln!(out, "{}", line());
        }
    }

    /// Says something that stays.
    pub fn say(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal { writeln!(out, "\r\x1b[2K{text}") } else { writeln!(out, "{text}") };
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// A panic hook. Panics that a plan brings about are no news; of others one line is enough, since a run that fails can be
/// had again.
pub fn say_in_a_line(panic: &PanicHookInfo<'_>) {
    let words = panic.payload_as_str().unwrap_or("without words");
    if !words.starts_with("the plan has") {
        eprintln!("panic: {words} ({})", panic.location().map(ToString::to_string).unwrap_or_default());
    }
}
