//! When keys were used last, written into the registry: rarely, in few calls, and never in anybody's way.

use super::entry::LastUse;
use super::{BATCH, KeyCache};

impl KeyCache {
    /// Writes down when the keys in use were used last, each once. To be called every `key_last_used_every`. What fails
    /// is logged and counted, and is tried again the next time.
    pub async fn note_uses(&self) {
        let now = self.clock.wall_ms();
        let entries = self.known.entries();
        let uses = entries.iter().filter_map(|entry| entry.unnoted_use(now).map(|last_use| (entry, last_use)));
        let uses: Vec<_> = uses.collect();
        for batch in uses.chunks(BATCH) {
            let notes: Vec<_> = batch
                .iter()
                .map(|(_, LastUse { application, api_key, at_ms })| (*application, *api_key, *at_ms))
                .collect();
            if !self.lookup.note_uses(&notes).await {
                // The others would fail as well, and take a time-out each.
                return;
            }
            for (entry, last_use) in batch {
                entry.noted(*last_use);
            }
        }
    }
}
