//! Applications whose first batch in a while has just come.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

/// Tells the exchange of shares about them.
#[derive(Debug, Default)]
pub struct Wakes {
    ids: Mutex<Vec<Uuid>>,
    notify: Notify,
}

impl Wakes {
    /// Announces one.
    pub fn wake(&self, application: Uuid) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).push(application);
        self.notify.notify_one();
    }

    /// Those that were announced since the last call.
    pub(super) fn take(&self) -> Vec<Uuid> {
        std::mem::take(&mut *self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Completes when one has been announced.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }
}
