//! What happened to the load's calls.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::Failure;

/// Counts, by what happened.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Batches that got their verdicts.
    pub answered: u64,
    /// Batches of streams that were refused, by code.
    pub refusals: BTreeMap<String, u64>,
    /// Refusals that say "later" without saying when.
    pub without_hint: u64,
    /// Notices to leave.
    pub notices: u64,
    /// How streams ended.
    pub stream_ends: BTreeMap<String, u64>,
    /// How unary calls ended that brought no verdict.
    pub call_ends: BTreeMap<String, u64>,
    /// Calls and streams that broke off without a status and without a GOAWAY.
    pub broken_off: u64,
    /// Calls and streams that their client gave up.
    pub cancelled: u64,
    /// Times that a slow reader did not read.
    pub slow_reads: u64,
    /// Streams that ended well with batches unanswered: these were read and forgotten.
    pub forgotten: u64,
    /// The longest that a batch has waited for its answer, a verdict or a refusal.
    pub slowest_answer: Duration,
}

impl Tally {
    pub(super) fn refused(&mut self, failure: &Failure) {
        *self.refusals.entry(failure.label()).or_default() += 1;
        self.hint(failure);
    }

    pub(super) fn call_ended(&mut self, failure: &Failure) {
        *self.call_ends.entry(failure.label()).or_default() += 1;
        self.broken_off += u64::from(matches!(failure, Failure::BrokenOff(_)));
        self.hint(failure);
    }

    pub(super) fn stream_ended(&mut self, failure: Option<&Failure>) {
        let label = failure.map_or_else(|| "OK".to_owned(), Failure::label);
        *self.stream_ends.entry(label).or_default() += 1;
        self.broken_off += u64::from(matches!(failure, Some(Failure::BrokenOff(_))));
    }

    /// How many refusals came with this label, of batches and of calls.
    #[must_use]
    pub fn refusals_like(&self, label: &str) -> u64 {
        let of = |ends: &BTreeMap<String, u64>| ends.get(label).copied().unwrap_or_default();
        of(&self.refusals) + of(&self.call_ends)
    }

    pub(super) fn answered_after(&mut self, waited: Duration) {
        self.slowest_answer = self.slowest_answer.max(waited);
    }

    fn hint(&mut self, failure: &Failure) {
        let later = matches!(
            failure,
            Failure::Refused { code: tonic::Code::Unavailable | tonic::Code::ResourceExhausted, retry_after: None }
        );
        self.without_hint += u64::from(later);
    }
}
