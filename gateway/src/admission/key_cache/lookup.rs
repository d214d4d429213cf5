//! Asks the registry about keys: in bounded time, counted, and with a memory of whether it fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admission::key::KeyHash;
use crate::clock::Clock;
use crate::metrics::{Counter, CounterHandle, Metrics};
use crate::registry::{KeyRecord, Registry};

pub(super) struct Lookup {
    registry: Arc<dyn Registry>,
    timeout: Duration,
    // For how long one failure lets the registry count as failing.
    memory: Duration,
    clock: Clock,
    last_failure: Mutex<Option<Instant>>,
    found: CounterHandle,
    unknown: CounterHandle,
    failed: CounterHandle,
}

/// Why there is no answer. Says nothing about the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskError {
    /// The registry answered with an error, or with nonsense.
    Failed,
    /// The registry did not answer in time.
    TimedOut,
}

impl Lookup {
    pub(super) fn new(
        registry: Arc<dyn Registry>,
        timeout: Duration,
        memory: Duration,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let lookups = |result| metrics.counter(Counter::KeyLookups, &[result]);
        Self {
            registry,
            timeout,
            memory,
            clock,
            last_failure: Mutex::new(None),
            found: lookups("found"),
            unknown: lookups("unknown"),
            failed: lookups("failed"),
        }
    }

    /// What the registry says of these keys, in the order asked, and when it was asked.
    pub(super) async fn ask(&self, hashes: &[KeyHash]) -> Result<(Vec<Option<KeyRecord>>, Instant), AskError> {
        let asked_at = self.clock.now();
        let result = match tokio::time::timeout(self.timeout, self.registry.keys_by_hash(hashes)).await {
            Ok(Ok(records)) if is_answer_to(hashes, &records) => Ok((records, asked_at)),
            Ok(Ok(_)) => Err((AskError::Failed, "it answered with other keys than it was asked for".to_owned())),
            Ok(Err(error)) => Err((AskError::Failed, error.to_string())),
            Err(_) => Err((AskError::TimedOut, format!("no answer within {:?}", self.timeout))),
        };
        match result {
            Ok((records, asked_at)) => {
                let found = records.iter().flatten().count();
                self.found.inc_by(found as u64);
                self.unknown.inc_by((records.len() - found) as u64);
                self.note(None);
                Ok((records, asked_at))
            }
            Err((error, why)) => {
                self.failed.inc_by(hashes.len() as u64);
                self.note(Some(&why));
                Err(error)
            }
        }
    }

    /// As [`Self::ask`], for one key.
    pub(super) async fn ask_one(&self, hash: &KeyHash) -> Result<(Option<KeyRecord>, Instant), AskError> {
        let (records, asked_at) = self.ask(std::slice::from_ref(hash)).await?;
        Ok((records.into_iter().next().flatten(), asked_at))
    }

    /// Whether the last look-up failed, a short while ago.
    pub(super) fn is_failing(&self) -> bool {
        let last_failure = *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        last_failure.is_some_and(|failure| self.clock.now().saturating_duration_since(failure) < self.memory)
    }

    fn note(&self, failure: Option<&str>) {
        let now = failure.map(|_| self.clock.now());
        let before = {
            let mut last_failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *last_failure, now)
        };
        // Once for each turn of fortune, not for each look-up.
        match (before, failure) {
            (None, Some(why)) => tracing::warn!(why, "the registry fails; known keys go on working"),
            (Some(_), None) => tracing::info!("the registry answers again"),
            _ => {}
        }
    }
}

/// Whether these records are of these keys. The hashes are compared in constant time.
fn is_answer_to(hashes: &[KeyHash], records: &[Option<KeyRecord>]) -> bool {
    hashes.len() == records.len()
        && hashes
            .iter()
            .zip(records)
            .all(|(hash, record)| record.as_ref().is_none_or(|record| record.hash.matches(hash)))
}
