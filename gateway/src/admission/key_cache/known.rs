//! What is remembered of keys: those that the registry knows, those that it does not, and those that somebody holds a
//! grant by.
//!
//! The two caches are bounded and drop what was not used for longest. A key that is dropped while somebody holds a grant
//! by it is still in the table, which only points at entries that others keep alive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::entry::Entry;
use crate::admission::key::KeyHash;
use crate::config::AdmissionSettings;

pub(super) struct Known {
    keys: Cache<KeyHash, Arc<Entry>>,
    unknown: Cache<KeyHash, ()>,
    alive: Mutex<HashMap<KeyHash, Weak<Entry>>>,
}

impl Known {
    pub(super) fn new(settings: &AdmissionSettings) -> Self {
        // Least recently used, and not moka's default: that one may decline a new entry in favour of an older one, which
        // would mean a look-up for each of the newcomer's calls.
        let keys =
            Cache::builder().max_capacity(settings.key_cache_entries).eviction_policy(EvictionPolicy::lru()).build();
        let unknown = Cache::builder()
            .max_capacity(settings.unknown_key_entries)
            .time_to_live(settings.unknown_key_ttl)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { keys, unknown, alive: Mutex::new(HashMap::new()) }
    }

    /// A key in the cache.
    pub(super) async fn get(&self, hash: &KeyHash) -> Option<Arc<Entry>> {
        self.keys.get(hash).await
    }

    /// A key in the cache, or one that only a grant keeps alive.
    pub(super) fn find(&self, hash: &KeyHash) -> Option<Arc<Entry>> {
        self.lock().get(hash).and_then(Weak::upgrade)
    }

    /// As [`Self::find`], and the key is in the cache afterwards.
    pub(super) async fn revive(&self, hash: &KeyHash) -> Option<Arc<Entry>> {
        let entry = self.find(hash)?;
        if !self.keys.contains_key(hash) {
            self.keys.insert(*hash, Arc::clone(&entry)).await;
        }
        Some(entry)
    }

    /// Whether the registry lately said that nobody has this key.
    pub(super) async fn is_unknown(&self, hash: &KeyHash) -> bool {
        self.unknown.get(hash).await.is_some()
    }

    pub(super) async fn insert(&self, entry: Arc<Entry>) {
        self.lock().insert(entry.hash(), Arc::downgrade(&entry));
        self.keys.insert(entry.hash(), entry).await;
    }

    pub(super) async fn insert_unknown(&self, hash: KeyHash) {
        self.unknown.insert(hash, ()).await;
    }

    /// Takes a key out of the cache. While somebody holds a grant by it, it is still among [`Self::entries`].
    pub(super) async fn forget(&self, hash: &KeyHash) {
        self.keys.invalidate(hash).await;
    }

    /// Every key in the cache and every one that a grant keeps alive.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries = Vec::new();
        self.lock().retain(|_, entry| match entry.upgrade() {
            Some(entry) => {
                entries.push(entry);
                true
            }
            None => false,
        });
        entries
    }

    /// Does the caches' pending work, so that what was dropped is gone.
    pub(super) async fn tidy(&self) {
        self.keys.run_pending_tasks().await;
        self.unknown.run_pending_tasks().await;
    }

    pub(super) fn len(&self) -> usize {
        let entries = self.keys.entry_count().saturating_add(self.unknown.entry_count());
        usize::try_from(entries).unwrap_or(usize::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, Weak<Entry>>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
