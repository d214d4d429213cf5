//! Keeps the policies as the registry has them.
//!
//! Every gateway asks its registry every other second, so a change made anywhere holds everywhere soon after. While the
//! registry can't be asked, what was known last goes on holding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Policies;
use crate::metrics::{Gauge, GaugeHandle, Metrics};
use crate::registry::{Books, RegistryError};

/// Brings policies up to date.
pub struct PolicyFeed {
    policies: Arc<Policies>,
    books: Arc<dyn Books>,
    every: Duration,
    failing: AtomicBool,
    fresh: GaugeHandle,
}

impl PolicyFeed {
    /// Asks `books` every so often. Nothing is asked before [`PolicyFeed::load`].
    #[must_use]
    pub fn new(policies: &Arc<Policies>, books: &Arc<dyn Books>, every: Duration, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            policies: Arc::clone(policies),
            books: Arc::clone(books),
            every,
            failing: AtomicBool::new(false),
            fresh: metrics.gauge(Gauge::PoliciesFresh, &[]),
        })
    }

    /// Asks once, before the first event is taken: whoever asked not to be kept must not be kept because a gateway was
    /// started anew. Books that are not set up hold nothing.
    ///
    /// # Errors
    /// If the registry can't be asked.
    pub async fn load(&self) -> Result<(), RegistryError> {
        match self.refresh().await {
            Err(error @ RegistryError::NotSetUp { .. }) => {
                tracing::warn!(%error, "there are no schemas and no suppressed players");
                self.failing.store(true, Ordering::Relaxed);
                self.fresh.set(0);
                Ok(())
            }
            other => other,
        }
    }

    /// Asks again and again. To be run as a task.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.every).await;
            match self.refresh().await {
                Ok(()) => {}
                Err(error) => {
                    self.fresh.set(0);
                    if !self.failing.swap(true, Ordering::Relaxed) {
                        tracing::warn!(%error, "schemas and suppressed players can't be refreshed; those known hold on");
                    }
                }
            }
        }
    }

    async fn refresh(&self) -> Result<(), RegistryError> {
        let (schemas, suppressions) = tokio::try_join!(self.books.schemas(None), self.books.suppressions(None))?;
        for (schema, problem) in self.policies.replace(schemas, suppressions) {
            tracing::error!(
                application = %schema.application_id,
                event_type = schema.event_type,
                version = schema.version,
                problem,
                "a schema can't be used, and holds nobody to anything: put a new version"
            );
        }
        self.fresh.set(1);
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("schemas and suppressed players are up to date again");
        }
        Ok(())
    }
}
