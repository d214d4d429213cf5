//! Why a record has no rows. Firehose's error files say that the function failed a record, and not why: the log does.

use std::collections::BTreeMap;

use crate::record::Unreadable;

/// So many records of an invocation are named in the log one by one.
const NAMED: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("the data is not base64")]
    NotBase64,
    #[error("an event in it {0}")]
    Unreadable(Unreadable),
    #[error("its events are of several days, which takes several records: switch de-aggregation on")]
    SeveralDays,
    #[error("the answer would grow past Lambda's 6 MB: make the buffer of the transformation smaller")]
    TooLarge,
}

/// The failures of an invocation.
#[derive(Debug, Default)]
pub(super) struct Failures {
    named: Vec<(String, Failure)>,
    counts: BTreeMap<String, u64>,
}

impl Failures {
    pub(super) fn add(&mut self, record_id: &str, failure: Failure) {
        if self.named.len() < NAMED {
            self.named.push((record_id.to_owned(), failure));
        }
        *self.counts.entry(failure.to_string()).or_default() += 1;
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(super) fn log(&self) {
        for (record_id, reason) in &self.named {
            tracing::warn!(record_id, %reason, "a record could not be transformed");
        }
        if self.count() > self.named.len() as u64 {
            for (reason, count) in &self.counts {
                tracing::warn!(count, reason, "records could not be transformed");
            }
        }
    }
}
