//! What a key that was let in holds: its application, what it may be used for, and the news that it no longer may.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::entry::Entry;
use crate::admission::app::App;
use crate::admission::refusal::Refusal;
use crate::registry::{Purpose, Scopes};

/// Leave to send. Cheap to clone; as long as one is alive its key is looked up again and again.
#[derive(Clone)]
pub struct Grant {
    lease: Arc<Lease>,
    // Keeps the key in the table of those that are looked up, even when the cache has dropped it.
    _entry: Arc<Entry>,
}

/// What all grants of a key share, from the moment it is found good to the moment it is found not to be.
pub(super) struct Lease {
    app: Arc<App>,
    api_key_id: Uuid,
    scopes: AtomicU8,
    rescoped: Notify,
    revocation: OnceLock<Refusal>,
    revoked: CancellationToken,
}

impl Lease {
    pub(super) fn new(app: Arc<App>, api_key_id: Uuid, scopes: Scopes) -> Arc<Self> {
        Arc::new(Self {
            app,
            api_key_id,
            scopes: AtomicU8::new(scopes.bits()),
            rescoped: Notify::new(),
            revocation: OnceLock::new(),
            revoked: CancellationToken::new(),
        })
    }

    /// What the key may be used for from now on.
    pub(super) fn rescope(&self, scopes: Scopes) {
        if self.scopes.swap(scopes.bits(), Ordering::AcqRel) != scopes.bits() {
            self.rescoped.notify_waiters();
        }
    }

    fn scopes(&self) -> Scopes {
        Scopes::from_bits(self.scopes.load(Ordering::Acquire))
    }

    pub(super) fn api_key_id(&self) -> Uuid {
        self.api_key_id
    }

    pub(super) fn app_id(&self) -> Uuid {
        self.app.id()
    }

    /// Ends it, for good; only the first reason counts.
    pub(super) fn revoke(&self, why: Refusal) {
        // The reason first: whoever is woken finds it.
        let _ = self.revocation.set(why);
        self.revoked.cancel();
    }
}

impl Grant {
    pub(super) fn new(lease: Arc<Lease>, entry: Arc<Entry>) -> Self {
        Self { lease, _entry: entry }
    }

    /// The application that sends.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.lease.app
    }

    /// The id of the key it was let in by.
    #[must_use]
    pub fn api_key_id(&self) -> Uuid {
        self.lease.api_key_id
    }

    /// What the key may be used for now.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.lease.scopes()
    }

    /// Whether it is over, or no longer good for this. Costs two atomic loads, so it can be asked for each batch.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, purpose: Purpose) -> Result<(), Refusal> {
        match self.lease.revocation.get() {
            Some(refusal) => Err(refusal.clone()),
            None if self.scopes().allow(purpose) => Ok(()),
            None => Err(Refusal::ScopeMissing { needed: purpose }),
        }
    }

    /// Completes when [`Self::check`] says no.
    pub async fn ended(&self, purpose: Purpose) {
        loop {
            let rescoped = self.lease.rescoped.notified();
            tokio::pin!(rescoped);
            // Before the look: a change after it is noticed.
            rescoped.as_mut().enable();
            if self.check(purpose).is_err() {
                return;
            }
            tokio::select! {
                biased;
                () = self.lease.revoked.cancelled() => return,
                () = rescoped => {}
            }
        }
    }

    /// Whether it is over. Costs one atomic load, so it can be asked for each batch.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.lease.revocation.get().is_some()
    }

    /// Why it is over; `None` while it is not.
    #[must_use]
    pub fn revocation(&self) -> Option<Refusal> {
        self.lease.revocation.get().cloned()
    }

    /// Completes when it is over: the key was disabled or deleted, has expired, its application is gone, or nobody could
    /// say for longer than the stale grace.
    pub async fn revoked(&self) {
        self.lease.revoked.cancelled().await;
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("application_id", &self.lease.app_id())
            .field("api_key_id", &self.lease.api_key_id)
            .field("revocation", &self.lease.revocation.get())
            .finish_non_exhaustive()
    }
}
