//! One key as the cache knows it: what the registry last said of it, and when.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::grant::Lease;
use crate::admission::app::Apps;
use crate::admission::key::KeyHash;
use crate::admission::refusal::Refusal;
use crate::registry::KeyRecord;

/// A key that the registry knows or knew. There is at most one for a key.
pub(super) struct Entry {
    hash: KeyHash,
    application_id: Uuid,
    // Both in milliseconds since the cache was made.
    epoch: Instant,
    used_at: AtomicU64,
    // Milliseconds since 1970-01-01 UTC: when it let somebody in last, and which such moment was written down last.
    let_in_at: AtomicI64,
    noted_at: AtomicI64,
    state: Mutex<State>,
}

/// When a key was used last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastUse {
    pub(super) application: Uuid,
    pub(super) api_key: Uuid,
    pub(super) at_ms: i64,
}

struct State {
    // When the look-up was started whose answer this is.
    asked_at: Instant,
    expires_at_ms: Option<i64>,
    standing: Standing,
}

enum Standing {
    Good(Arc<Lease>),
    Denied(Refusal),
}

/// What an entry says of its key.
pub(super) struct Answer {
    /// How long ago the registry was asked.
    pub(super) age: Duration,
    /// Whether the key is good.
    pub(super) verdict: Result<Arc<Lease>, Refusal>,
    /// Whether saying so ended a lease.
    pub(super) revoked: bool,
}

impl Entry {
    /// The entry of a key that was just found.
    pub(super) fn new(record: &KeyRecord, asked_at: Instant, epoch: Instant, wall_ms: i64, apps: &Apps) -> Arc<Self> {
        let standing = match judge(record, wall_ms) {
            Ok(()) => {
                let KeyRecord { authorization, application, .. } = record;
                Standing::Good(Lease::new(apps.get(application), authorization.api_key_id, authorization.scopes))
            }
            Err(refusal) => Standing::Denied(refusal),
        };
        let expires_at_ms = record.authorization.expires_at_ms;
        Arc::new(Self {
            hash: record.hash,
            application_id: record.application.application_id,
            epoch,
            used_at: AtomicU64::new(millis_since(epoch, asked_at)),
            let_in_at: AtomicI64::new(i64::MIN),
            noted_at: AtomicI64::new(record.authorization.last_used_at_ms.unwrap_or(i64::MIN)),
            state: Mutex::new(State { asked_at, expires_at_ms, standing }),
        })
    }

    pub(super) fn hash(&self) -> KeyHash {
        self.hash
    }

    /// Whose key it was when it was found.
    pub(super) fn application_id(&self) -> Uuid {
        self.application_id
    }

    /// Notes that somebody presented the key.
    pub(super) fn touch(&self, now: Instant) {
        self.used_at.store(millis_since(self.epoch, now), Ordering::Relaxed);
    }

    /// Notes that the key let somebody in.
    pub(super) fn let_in(&self, wall_ms: i64) {
        self.let_in_at.fetch_max(wall_ms, Ordering::Relaxed);
    }

    /// When the key was used last, if that is not written down yet. A stream that is open uses its key.
    pub(super) fn unnoted_use(&self, wall_ms: i64) -> Option<LastUse> {
        let state = self.lock();
        let Standing::Good(lease) = &state.standing else { return None };
        let is_held = Arc::strong_count(lease) > 1;
        let at_ms = if is_held { wall_ms } else { self.let_in_at.load(Ordering::Relaxed) };
        let is_new = at_ms > self.noted_at.load(Ordering::Relaxed);
        is_new.then(|| LastUse { application: lease.app_id(), api_key: lease.api_key_id(), at_ms })
    }

    /// A use is written down.
    pub(super) fn noted(&self, last_use: LastUse) {
        self.noted_at.fetch_max(last_use.at_ms, Ordering::Relaxed);
    }

    /// Whether nobody presented the key for so long and nobody holds a grant by it.
    pub(super) fn is_idle(&self, now: Instant, idle: Duration) -> bool {
        let unused = millis_since(self.epoch, now).saturating_sub(self.used_at.load(Ordering::Relaxed));
        if u128::from(unused) < idle.as_millis() {
            return false;
        }
        match &self.lock().standing {
            // One of the references is the entry's own.
            Standing::Good(lease) => Arc::strong_count(lease) == 1,
            Standing::Denied(_) => true,
        }
    }

    /// What is known of the key. Its expiry is judged now.
    pub(super) fn answer(&self, now: Instant, wall_ms: i64) -> Answer {
        let mut state = self.lock();
        let revoked = has_expired(state.expires_at_ms, wall_ms) && state.deny(Refusal::KeyExpired);
        let verdict = match &state.standing {
            Standing::Good(lease) => Ok(Arc::clone(lease)),
            Standing::Denied(refusal) => Err(refusal.clone()),
        };
        Answer { age: now.saturating_duration_since(state.asked_at), verdict, revoked }
    }

    /// Takes in what the registry said, unless something newer is known already. Returns whether that ended a lease.
    pub(super) fn apply(&self, record: Option<&KeyRecord>, asked_at: Instant, wall_ms: i64, apps: &Apps) -> bool {
        let mut state = self.lock();
        if asked_at < state.asked_at {
            return false;
        }
        state.asked_at = asked_at;
        let Some(record) = record else { return state.deny(Refusal::KeyUnknown) };
        state.expires_at_ms = record.authorization.expires_at_ms;
        if let Err(refusal) = judge(record, wall_ms) {
            return state.deny(refusal);
        }
        // Also brings the limits of what is open up to date.
        let app = apps.get(&record.application);
        let (key, scopes) = (record.authorization.api_key_id, record.authorization.scopes);
        if let Standing::Good(open) = &state.standing
            && (open.api_key_id(), open.app_id()) == (key, app.id())
        {
            open.rescope(scopes);
            return false;
        }
        let revoked = state.deny(Refusal::KeyUnknown);
        state.standing = Standing::Good(Lease::new(app, key, scopes));
        revoked
    }

    /// Ends the lease where the registry could not be asked for so long that nobody vouches for the key any more.
    pub(super) fn forsake(&self, now: Instant, grace: Duration, refusal: &Refusal) {
        let mut state = self.lock();
        if now.saturating_duration_since(state.asked_at) > grace && matches!(state.standing, Standing::Good(_)) {
            state.deny(refusal.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns whether there was a lease to end.
    fn deny(&mut self, refusal: Refusal) -> bool {
        match std::mem::replace(&mut self.standing, Standing::Denied(refusal.clone())) {
            Standing::Good(lease) => {
                tracing::info!(api_key_id = %lease.api_key_id(), application_id = %lease.app_id(), why = %refusal, "key revoked");
                lease.revoke(refusal);
                true
            }
            Standing::Denied(_) => false,
        }
    }
}

fn judge(record: &KeyRecord, wall_ms: i64) -> Result<(), Refusal> {
    if !record.authorization.enabled {
        return Err(Refusal::KeyDisabled);
    }
    if has_expired(record.authorization.expires_at_ms, wall_ms) {
        return Err(Refusal::KeyExpired);
    }
    Ok(())
}

fn has_expired(expires_at_ms: Option<i64>, wall_ms: i64) -> bool {
    expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= wall_ms)
}

fn millis_since(epoch: Instant, time: Instant) -> u64 {
    u64::try_from(time.saturating_duration_since(epoch).as_millis()).unwrap_or(u64::MAX)
}
