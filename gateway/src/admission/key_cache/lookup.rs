//! Asks the registry about keys: in bounded time, counted, and with a memory of whether it fails.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::admission::key::KeyHash;
use crate::clock::Clock;
use crate::metrics::{Counter, CounterHandle, Metrics};
use crate::registry::{KeyAnswer, KeyRecord, Registry, RegistryError};

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
    uses_noted: CounterHandle,
    uses_failed: CounterHandle,
    last_note_failed: AtomicBool,
}

/// Why there is no answer. Says nothing about the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskError {
    /// The registry answered with an error, or with nonsense.
    Failed,
    /// The registry did not answer in time.
    TimedOut,
}

/// What is known of one key.
pub(super) type Answered = Result<Option<KeyRecord>, AskError>;

impl Lookup {
    pub(super) fn new(
        registry: Arc<dyn Registry>,
        timeout: Duration,
        memory: Duration,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let lookups = |result| metrics.counter(Counter::KeyLookups, &[result]);
        let uses = |result| metrics.counter(Counter::KeyUses, &[result]);
        Self {
            registry,
            timeout,
            memory,
            clock,
            last_failure: Mutex::new(None),
            found: lookups("found"),
            unknown: lookups("unknown"),
            failed: lookups("failed"),
            uses_noted: uses("noted"),
            uses_failed: uses("failed"),
            last_note_failed: AtomicBool::new(false),
        }
    }

    /// What the registry says of these keys, in the order asked, and when it was asked. A key whose row can't be
    /// understood has an error of its own.
    pub(super) async fn ask(&self, hashes: &[KeyHash]) -> Result<(Vec<Answered>, Instant), AskError> {
        let asked_at = self.clock.now();
        let answers = self.in_time(self.registry.keys_by_hash(hashes)).await;
        Ok((self.judge(hashes, answers)?, asked_at))
    }

    /// What the registry says of a key that somebody presents.
    pub(super) async fn ask_one(
        &self,
        hash: &KeyHash,
        presented: &str,
    ) -> Result<(Option<KeyRecord>, Instant), AskError> {
        let asked_at = self.clock.now();
        let answer = match self.in_time(self.registry.find_key(hash, presented)).await {
            // What is wrong is this one key's row.
            Ok(Err(error @ RegistryError::BadRow { .. })) => Ok(Ok(vec![Err(error)])),
            answer => answer.map(|answer| answer.map(|record| vec![Ok(record)])),
        };
        let record = self.judge(std::slice::from_ref(hash), answer)?.pop().unwrap_or(Err(AskError::Failed))?;
        Ok((record, asked_at))
    }

    /// Writes down when keys were used last. Returns whether that worked. Says nothing about look-ups, which may need
    /// other permissions.
    pub(super) async fn note_uses(&self, uses: &[(Uuid, Uuid, i64)]) -> bool {
        let why = match self.in_time(self.registry.note_used(uses)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {:?}", self.timeout)),
        };
        let counter = if why.is_none() { &self.uses_noted } else { &self.uses_failed };
        counter.inc_by(uses.len() as u64);
        let failed_before = self.last_note_failed.swap(why.is_some(), Ordering::Relaxed);
        if let Some(why) = &why
            && !failed_before
        {
            tracing::warn!(why, "when keys were used last can't be written down; nothing else depends on it");
        }
        why.is_none()
    }

    async fn in_time<T>(&self, asking: impl Future<Output = T>) -> Result<T, AskError> {
        tokio::time::timeout(self.timeout, asking).await.map_err(|_| AskError::TimedOut)
    }

    /// Counts, and notes whether the registry fails.
    fn judge(
        &self,
        hashes: &[KeyHash],
        answers: Result<Result<Vec<KeyAnswer>, RegistryError>, AskError>,
    ) -> Result<Vec<Answered>, AskError> {
        let (error, why) = match answers {
            Ok(Ok(answers)) if is_answer_to(hashes, &answers) => {
                self.note(None);
                return Ok(answers.into_iter().map(|answer| self.count(answer)).collect());
            }
            Ok(Ok(_)) => (AskError::Failed, "it answered with other keys than it was asked for".to_owned()),
            Ok(Err(error)) => (AskError::Failed, error.to_string()),
            Err(error) => (error, format!("no answer within {:?}", self.timeout)),
        };
        self.failed.inc_by(hashes.len() as u64);
        self.note(Some(&why));
        Err(error)
    }

    fn count(&self, answer: KeyAnswer) -> Answered {
        match &answer {
            Ok(Some(_)) => self.found.inc(),
            Ok(None) => self.unknown.inc(),
            Err(_) => self.failed.inc(),
        };
        answer.map_err(|_| AskError::Failed)
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

/// Whether these answers are about these keys. The hashes are compared in constant time.
fn is_answer_to(hashes: &[KeyHash], answers: &[KeyAnswer]) -> bool {
    hashes.len() == answers.len()
        && hashes.iter().zip(answers).all(|(hash, answer)| match answer {
            Ok(Some(record)) => record.hash.matches(hash),
            Ok(None) | Err(_) => true,
        })
}
