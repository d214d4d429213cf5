//! Who may come in: keys as the registry knows them, remembered.
//!
//! A key in use is looked up again every `key_refresh` by [`KeyCache::refresh`], so that a change takes effect within
//! seconds, on open streams too. One that was not looked up for longer is looked up before it is let in. When the
//! registry fails, known keys go on working for the stale grace and unknown ones are told to come back: a failure is
//! never remembered, and never taken for a denial. Keys that nobody has are remembered for a moment, in bounded number.

mod entry;
mod grant;
mod known;
mod lookup;
mod single_flight;
#[cfg(test)]
mod tests;
mod uses;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::FutureExt;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::app::Apps;
use super::key::{KeyFormatError, KeyHash, check_format};
use super::refusal::Refusal;
use crate::clock::Clock;
use crate::config::AdmissionSettings;
use crate::metrics::{Counter, CounterHandle, Gauge, GaugeHandle, Metrics};
use crate::registry::{KeyRecord, Registry};
use entry::{Answer, Entry};
use known::Known;
use lookup::{AskError, Lookup};
use single_flight::SingleFlight;

pub use grant::Grant;

const BATCH: usize = 100;

/// The keys that were seen. Shared by all doors.
pub struct KeyCache {
    known: Known,
    lookup: Lookup,
    flights: SingleFlight<KeyHash, Found>,
    apps: Arc<Apps>,
    clock: Clock,
    epoch: Instant,
    rules: Rules,
    newcomers: Semaphore,
    newcomer_patience: Duration,
    hits: Hits,
    keys_revoked: CounterHandle,
    keys_cached: GaugeHandle,
}

/// Keys not seen before that are looked up at once.
const NEWCOMERS_AT_ONCE: usize = 64;

struct Rules {
    // An answer of the registry counts this long without a doubt.
    max_age: Duration,
    stale_grace: Duration,
    idle: Duration,
    retry_after: Duration,
}

struct Hits {
    positive: CounterHandle,
    negative: CounterHandle,
    stale: CounterHandle,
}

/// What a look-up found.
#[derive(Clone)]
enum Found {
    Key(Arc<Entry>),
    NoKey,
    NoAnswer,
}

/// What an entry said, and when.
struct Seen {
    answer: Answer,
    now: Instant,
    wall_ms: i64,
}

impl Seen {
    fn let_in(self, entry: &Arc<Entry>, hash: &KeyHash) -> Result<Grant, Refusal> {
        entry.touch(self.now);
        // The tables compare hashes in a time that may depend on them; this is the comparison that counts.
        if !entry.hash().matches(hash) {
            return Err(Refusal::KeyUnknown);
        }
        let lease = self.answer.verdict?;
        entry.let_in(self.wall_ms);
        Ok(Grant::new(lease, Arc::clone(entry)))
    }
}

impl KeyCache {
    /// An empty cache over a registry.
    #[must_use]
    pub fn new(
        registry: Arc<dyn Registry>,
        apps: Arc<Apps>,
        settings: &AdmissionSettings,
        clock: Clock,
        metrics: &Metrics,
    ) -> Arc<Self> {
        // A refresh is due every `key_refresh` and takes a moment itself.
        let max_age = settings.key_refresh + settings.key_refresh.min(Duration::from_secs(1));
        let hits = |kind| metrics.counter(Counter::KeyCacheHits, &[kind]);
        Arc::new(Self {
            known: Known::new(settings),
            // While a registry hangs, a failure is noted at least this often by the refresh.
            lookup: Lookup::new(
                registry,
                settings.key_lookup_timeout,
                max_age + settings.key_lookup_timeout,
                clock.clone(),
                metrics,
            ),
            flights: SingleFlight::new(),
            apps,
            epoch: clock.now(),
            clock,
            rules: Rules {
                max_age,
                // Shorter than that would end keys between two refreshes of a registry that is well.
                stale_grace: settings.key_stale_grace.max(max_age),
                idle: settings.key_idle,
                retry_after: settings.key_refresh,
            },
            newcomers: Semaphore::new(NEWCOMERS_AT_ONCE),
            newcomer_patience: settings.key_lookup_timeout,
            hits: Hits { positive: hits("positive"), negative: hits("negative"), stale: hits("stale") },
            keys_revoked: metrics.counter(Counter::KeysRevoked, &[]),
            keys_cached: metrics.gauge(Gauge::KeysCached, &[]),
        })
    }

    /// Lets a key in, or says why not. Waits for at most one look-up, and so for at most `key_lookup_timeout`.
    ///
    /// # Errors
    /// The key's refusal; [`Refusal::KeyStoreUnavailable`] where nobody can say.
    pub async fn authenticate(self: &Arc<Self>, presented: &str) -> Result<Grant, Refusal> {
        check_format(presented).map_err(|error| match error {
            KeyFormatError::Empty => Refusal::KeyMissing,
            KeyFormatError::TooLong | KeyFormatError::NotVisibleAscii | KeyFormatError::Checksum => {
                Refusal::KeyMalformed
            }
        })?;
        let hash = KeyHash::of(presented);
        match self.known.get(&hash).await {
            Some(entry) => {
                if let Some(answer) = self.answer_from_cache(&entry, &hash) {
                    return answer;
                }
            }
            None if self.known.is_unknown(&hash).await => {
                self.hits.negative.inc();
                return Err(Refusal::KeyUnknown);
            }
            None => {}
        }
        let look_up = || {
            let (cache, presented) = (Arc::clone(self), presented.to_owned());
            async move { cache.find(hash, &presented).await }.boxed()
        };
        match self.flights.run(hash, look_up).await {
            Found::Key(entry) => self.answer(&entry, &hash),
            Found::NoKey => Err(Refusal::KeyUnknown),
            Found::NoAnswer => self.answer_without_registry(&hash),
        }
    }

    /// The application of a key that is remembered, whether or not it is let in: for those who are to know of a refusal.
    #[must_use]
    pub fn application_of(&self, presented: &str) -> Option<Uuid> {
        check_format(presented).ok()?;
        self.known.find(&KeyHash::of(presented)).map(|entry| entry.application_id())
    }

    /// Looks up every key in use once, drops those that nobody used for `key_idle`, and ends what has expired. To be
    /// called every `key_refresh`. A failing registry ends nothing before the stale grace is over.
    pub async fn refresh(&self) {
        let entries = self.known.entries();
        for batch in entries.chunks(BATCH) {
            let hashes: Vec<KeyHash> = batch.iter().map(|entry| entry.hash()).collect();
            match self.lookup.ask(&hashes).await {
                Ok((answers, asked_at)) => {
                    for (entry, answer) in batch.iter().zip(&answers) {
                        // A key whose row is bad ages, and the others do not.
                        if let Ok(record) = answer {
                            self.take_in(entry, record.as_ref(), asked_at).await;
                        }
                    }
                }
                // What is wrong with these keys must not keep those after them from being looked up.
                Err(AskError::Failed) => {}
                // A pass over a registry that hangs would take a time-out for each batch.
                Err(AskError::TimedOut) => break,
            }
        }
        let unavailable = self.unavailable();
        for entry in &entries {
            // Expiry needs no registry.
            let _ = self.look_at(entry);
            entry.forsake(self.clock.now(), self.rules.stale_grace, &unavailable);
        }
        self.known.tidy().await;
        self.show_len();
    }

    /// How many keys are remembered, known and unknown ones. May lag behind by a few of the latest changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one look-up of a key for all who wait for it.
    async fn find(&self, hash: KeyHash, presented: &str) -> Found {
        // An earlier look-up may have ended since the asker looked into the cache.
        let entry = self.known.revive(&hash).await;
        if let Some(entry) = &entry {
            entry.touch(self.clock.now());
            if self.look_at(entry).answer.age <= self.rules.max_age {
                return Found::Key(Arc::clone(entry));
            }
        } else if self.known.is_unknown(&hash).await {
            return Found::NoKey;
        }
        // A flood of unknown keys waits here and not in the registry, where the keys in use would wait behind it.
        let _newcomer = match entry {
            Some(_) => None,
            None => match tokio::time::timeout(self.newcomer_patience, self.newcomers.acquire()).await {
                Ok(Ok(place)) => Some(place),
                Ok(Err(_)) | Err(_) => return Found::NoAnswer,
            },
        };
        let (record, asked_at) = match self.lookup.ask_one(&hash, presented).await {
            Ok(answered) => answered,
            Err(_) => return Found::NoAnswer,
        };
        let found = match (entry, record) {
            (Some(entry), record) => {
                self.take_in(&entry, record.as_ref(), asked_at).await;
                if record.is_some() { Found::Key(entry) } else { Found::NoKey }
            }
            (None, Some(record)) => {
                let entry = Entry::new(&record, asked_at, self.epoch, self.clock.wall_ms(), &self.apps);
                self.known.insert(Arc::clone(&entry)).await;
                Found::Key(entry)
            }
            (None, None) => {
                self.known.insert_unknown(hash).await;
                Found::NoKey
            }
        };
        self.show_len();
        found
    }

    /// Notes what the registry said of a key that is remembered.
    async fn take_in(&self, entry: &Arc<Entry>, record: Option<&KeyRecord>, asked_at: Instant) {
        if entry.apply(record, asked_at, self.clock.wall_ms(), &self.apps) {
            self.keys_revoked.inc();
        }
        if record.is_none() {
            self.known.forget(&entry.hash()).await;
            self.known.insert_unknown(entry.hash()).await;
        } else if entry.is_idle(self.clock.now(), self.rules.idle) {
            self.known.forget(&entry.hash()).await;
        }
    }

    /// What the cache says, where that is enough: because it is recent, or because the registry is known to fail.
    fn answer_from_cache(&self, entry: &Arc<Entry>, hash: &KeyHash) -> Option<Result<Grant, Refusal>> {
        let seen = self.look_at(entry);
        if seen.answer.age > self.rules.max_age {
            if seen.answer.age > self.rules.stale_grace || !self.lookup.is_failing() {
                return None;
            }
            self.hits.stale.inc();
            return Some(seen.let_in(entry, hash));
        }
        let answer = seen.let_in(entry, hash);
        match &answer {
            Ok(_) => self.hits.positive.inc(),
            Err(_) => self.hits.negative.inc(),
        };
        Some(answer)
    }

    fn answer(&self, entry: &Arc<Entry>, hash: &KeyHash) -> Result<Grant, Refusal> {
        self.look_at(entry).let_in(entry, hash)
    }

    fn answer_without_registry(&self, hash: &KeyHash) -> Result<Grant, Refusal> {
        let Some(entry) = self.known.find(hash) else { return Err(self.unavailable()) };
        let seen = self.look_at(&entry);
        if seen.answer.age > self.rules.stale_grace {
            return Err(self.unavailable());
        }
        self.hits.stale.inc();
        seen.let_in(&entry, hash)
    }

    fn look_at(&self, entry: &Entry) -> Seen {
        let (now, wall_ms) = (self.clock.now(), self.clock.wall_ms());
        let answer = entry.answer(now, wall_ms);
        if answer.revoked {
            self.keys_revoked.inc();
        }
        Seen { answer, now, wall_ms }
    }

    fn unavailable(&self) -> Refusal {
        Refusal::KeyStoreUnavailable { retry_after: self.rules.retry_after }
    }

    fn show_len(&self) {
        self.keys_cached.set(i64::try_from(self.len()).unwrap_or(i64::MAX));
    }
}
