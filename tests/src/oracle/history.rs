//! What happened to each batch, and when: read only when a promise turns out to be broken, so it is kept as it comes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use headgate_proto::v1::{BatchVerdict, Reason, VerdictCode};

use super::Batch;

/// One thing that happened to one batch.
struct Line {
    ms: u128,
    serials: Vec<u64>,
    what: String,
}

/// See the module.
pub(super) struct History {
    began: Instant,
    lines: Mutex<Vec<Line>>,
}

impl History {
    pub(super) fn begin() -> Self {
        #[allow(clippy::disallowed_methods, reason = "a test's own time")]
        let began = Instant::now();
        Self { began, lines: Mutex::default() }
    }

    pub(super) fn note(&self, batch: &Batch, what: String) {
        let line = Line { ms: self.began.elapsed().as_millis(), serials: batch.serials.clone(), what };
        self.lock().push(line);
    }

    /// What happened to an event.
    pub(super) fn of(&self, serial: u64) -> Vec<String> {
        let lines = self.lock();
        let place = |line: &Line| line.serials.iter().position(|other| *other == serial);
        let told = lines.iter().filter_map(|line| Some((line, place(line)?)));
        told.map(|(line, place)| {
            let batch = line.serials.len();
            format!("{:>6} ms: as {place} of a batch of {batch}: {}", line.ms, line.what)
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch's verdict in a line: the counts, and what each event got that was not accepted.
pub(super) fn words(verdict: &BatchVerdict) -> String {
    let BatchVerdict { accepted, rejected, retry, unknown, .. } = verdict;
    let mut words = format!("answered: {accepted} accepted, {rejected} rejected, {retry} retry, {unknown} unknown");
    for event in &verdict.not_accepted {
        let code = VerdictCode::try_from(event.code).unwrap_or_default();
        let reason = Reason::try_from(event.reason).unwrap_or_default();
        words.push_str(&format!("; {}: {code:?} ({reason:?})", event.index));
    }
    words
}
