//! What the doors for events share: the way from a key to a batch that is taken. There is no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::refusals::Refusals;
use crate::admission::app::App;
use crate::admission::budget::Permit;
use crate::admission::key_cache::{Grant, KeyCache};
use crate::admission::refusal::Refusal;
use crate::clock::Clock;
use crate::delivery::route::Routes;
use crate::event::scan::{Envelope, Head};
use crate::event::validate::{Flaw, Invalid, Limits};
use crate::ingest::policy::Policy;
use crate::ingest::{Incoming, Ingest};
use crate::live::Live;
use crate::metrics::Metrics;

/// Until somebody has mended a row of the registry.
const MEND_PAUSE: Duration = Duration::from_secs(5);

/// Who may come in, and where batches go.
pub struct Intake {
    ingest: Arc<Ingest>,
    keys: Arc<KeyCache>,
    routes: Arc<Routes>,
    live: Arc<Live>,
    refusals: Refusals,
    clock: Clock,
    next_affinity: AtomicUsize,
}

/// A batch that may come in.
pub struct Admitted {
    /// What its top level says.
    pub head: Head,
    /// What its application asks of its events. The batch is held to it to its end, whatever changes meanwhile.
    pub policy: Option<Arc<Policy>>,
}

/// What the way leads through.
pub struct Parts {
    /// Where batches go.
    pub ingest: Arc<Ingest>,
    /// Who may come in.
    pub keys: Arc<KeyCache>,
    /// Asked for a destination's health before a batch is taken.
    pub routes: Arc<Routes>,
    /// What passes; told of refusals.
    pub live: Arc<Live>,
    /// The clock.
    pub clock: Clock,
    /// Where refusals are counted.
    pub metrics: Arc<Metrics>,
}

impl Intake {
    /// Puts the way together.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { ingest, keys, routes, live, clock, metrics } = parts;
        let refusals = Refusals::new(&metrics);
        Arc::new(Self { ingest, keys, routes, live, refusals, clock, next_affinity: AtomicUsize::new(0) })
    }

    /// Lets a key in. A refusal comes with the application, where the key is of one.
    ///
    /// # Errors
    /// As [`KeyCache::authenticate`].
    pub async fn authenticate(&self, key: &str) -> Result<Grant, (Option<Uuid>, Refusal)> {
        self.keys.authenticate(key).await.map_err(|refusal| (self.keys.application_of(key), refusal))
    }

    /// May this batch come in now? The cheap questions first; the rate is charged last, when nothing else can refuse.
    ///
    /// # Errors
    /// Why not, with the batch's sequence as far as it could be read.
    pub fn admit(
        &self,
        app: &App,
        message: &[u8],
        permit: &mut Permit,
        envelope: Envelope,
    ) -> Result<Admitted, (Option<u64>, Refusal)> {
        let head = self.ingest.head(message, envelope)?;
        let policy = self
            .admit_counted(app, head.events, message.len(), permit)
            .map_err(|refusal| (Some(head.sequence), refusal))?;
        Ok(Admitted { head, policy })
    }

    /// The same of a batch that holds so many events in `len` bytes. Says what its application asks of its events, see
    /// [`Admitted::policy`].
    ///
    /// # Errors
    /// Why it may not.
    #[inline]
    pub fn admit_counted(
        &self,
        app: &App,
        events: u32,
        len: usize,
        permit: &mut Permit,
    ) -> Result<Option<Arc<Policy>>, Refusal> {
        let policy = self.ingest.policy(app);
        if policy.as_ref().is_some_and(|policy| policy.is_sealed()) {
            return Err(Refusal::IdentityUnreadable { retry_after: MEND_PAUSE });
        }
        permit.cover_events(events, len)?;
        if let Some(retry_after) = self.routes.of(app.route()).destination.health().retry_after() {
            return Err(Refusal::DestinationDown { retry_after });
        }
        app.charge(events, len)?;
        Ok(policy)
    }

    /// As [`Ingest::check`].
    ///
    /// # Errors
    /// As [`Ingest::check`].
    pub fn check(
        &self,
        app: &App,
        policy: Option<&Policy>,
        message: &[u8],
        flaws: &[Flaw],
    ) -> Result<(), (u32, Invalid)> {
        self.ingest.check(app, policy, message, Envelope::Publish, flaws)
    }

    /// As [`Ingest::limits`].
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.ingest.limits()
    }

    /// As [`Ingest::policy`].
    #[must_use]
    pub fn policy(&self, app: &App) -> Option<Arc<Policy>> {
        self.ingest.policy(app)
    }

    /// Takes a batch that was admitted.
    pub fn take(&self, incoming: Incoming) {
        self.ingest.take(incoming);
    }

    /// A number for whatever sends batches, see [`Incoming::affinity`].
    pub fn next_affinity(&self) -> usize {
        self.next_affinity.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts, logs and shows a refusal; `application`: whose batch it is, where that is known.
    pub fn refused(&self, application: Option<Uuid>, refusal: &Refusal) {
        self.refusals.refused(refusal, &self.clock);
        self.live.refused(application, refusal);
    }
}
