//! What a key that was let in holds: its application, and the news that it is no longer let in.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::entry::Entry;
use crate::admission::app::App;
use crate::admission::refusal::Refusal;

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
    revocation: OnceLock<Refusal>,
    revoked: CancellationToken,
}

impl Lease {
    pub(super) fn new(app: Arc<App>, api_key_id: Uuid) -> Arc<Self> {
        Arc::new(Self { app, api_key_id, revocation: OnceLock::new(), revoked: CancellationToken::new() })
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
