//! The applications, for pages that renew themselves: the registry is asked for them now and then, however many people
//! look on. A scan of a DynamoDB table every other second would cost more than the gateway.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::failure::Failure;
use crate::admin::Admin;
use crate::clock::Clock;
use crate::registry::Application;

/// How old a list may be.
const FRESH: Duration = Duration::from_secs(10);

/// The list that was read last.
#[derive(Default)]
pub(super) struct Listing(Mutex<Option<(Instant, Arc<[Application]>)>>);

impl Listing {
    /// The applications, as they were a moment ago.
    pub(super) async fn lately(&self, admin: &Admin, clock: &Clock) -> Result<Arc<[Application]>, Failure> {
        let now = clock.now();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some((at, known)) if now.saturating_duration_since(at) < FRESH => Ok(known),
            _ => self.now(admin, clock).await,
        }
    }

    /// The applications, as they are now.
    pub(super) async fn now(&self, admin: &Admin, clock: &Clock) -> Result<Arc<[Application]>, Failure> {
        let read: Arc<[Application]> = admin.applications().await?.into();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((clock.now(), Arc::clone(&read)));
        Ok(read)
    }
}
