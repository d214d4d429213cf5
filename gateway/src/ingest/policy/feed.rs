//! Keeps the policies as the registry has them.
//!
//! Every gateway asks its registry every other second whether something was changed, and if so reads it anew, so a change
//! made anywhere holds everywhere soon after. While the registry can't be asked, what was known last goes on holding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Policies;
use crate::metrics::{Gauge, GaugeHandle, Metrics};
use crate::registry::{Books, RegistryError, Revisions};

/// Brings policies up to date.
pub struct PolicyFeed {
    policies: Arc<Policies>,
    books: Arc<dyn Books>,
    every: Duration,
    failing: AtomicBool,
    // What the policies were made of; held while they are made anew.
    made_of: Mutex<Option<Revisions>>,
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
            made_of: Mutex::new(None),
            fresh: metrics.gauge(Gauge::PoliciesFresh, &[]),
        })
    }

    /// Asks once, before the first event is taken: whoever asked not to be kept must not be kept because a gateway was
    /// started anew, nor an id as it is that was to be hashed. Only where there is no table of books there is nothing in it;
    /// one that may not be read may hold anything.
    ///
    /// # Errors
    /// If the registry can't be asked, or does not let the gateway in.
    pub async fn load(&self) -> Result<(), RegistryError> {
        match self.refresh().await {
            Err(error @ RegistryError::NoBooks { .. }) => {
                tracing::warn!(%error, "there are no schemas, no suppressed players and no hashed ids");
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
                        tracing::warn!(%error, "schemas, suppressed players and hashed ids can't be refreshed; what is known holds on");
                    }
                }
            }
        }
    }

    /// Asks now. When it returns, whatever was changed before holds.
    ///
    /// # Errors
    /// If the registry can't be asked; what was known last holds on.
    pub async fn refresh(&self) -> Result<(), RegistryError> {
        let mut made_of = self.made_of.lock().await;
        // First, so that what is read after it is at least as new.
        let revisions = self.books.revisions().await?;
        if *made_of != Some(revisions) {
            self.make().await?;
            *made_of = Some(revisions);
        }
        drop(made_of);
        self.fresh.set(1);
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("schemas, suppressed players and hashed ids are up to date again");
        }
        Ok(())
    }

    async fn make(&self) -> Result<(), RegistryError> {
        let (schemas, suppressions, identities) =
            tokio::try_join!(self.books.schemas(None), self.books.suppressions(None), self.books.identities())?;
        let policies = Arc::clone(&self.policies);
        // Compiling schemas and hashing a long list take their time.
        let made = tokio::task::spawn_blocking(move || policies.replace(schemas, suppressions, &identities)).await;
        let unusable = made.map_err(|error| RegistryError::Unavailable(error.to_string().into()))?;
        for (schema, problem) in unusable {
            tracing::error!(
                application = %schema.application_id,
                event_type = schema.event_type,
                version = schema.version,
                problem,
                "a schema can't be used, and holds nobody to anything: put a new version"
            );
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use super::*;
    use crate::aws::testing::{Server, refusal, settings};
    use crate::clock::Clock;
    use crate::config::Settings;
    use crate::registry::aws::DynamoDbRegistry;

    async fn loaded(code: &'static str) -> Result<(), RegistryError> {
        let server = Server::start(move |_, _| refusal(400, code, "so it is")).await;
        let registry = DynamoDbRegistry::new(&settings(&server.url()), &Settings::default(), Clock::system());
        let books: Arc<dyn Books> = Arc::new(registry);
        PolicyFeed::new(&Policies::new(), &books, Duration::from_secs(2), &Metrics::new()).load().await
    }

    /// Whoever can't read the books does not know whose ids are to be hashed.
    #[tokio::test]
    async fn only_books_that_are_not_there_are_taken_for_empty() {
        loaded("ResourceNotFoundException").await.expect("an installation without books works");
        for code in ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"] {
            let error = loaded(code).await.expect_err("must not start");
            assert!(matches!(error, RegistryError::NotSetUp { .. }), "{code}: {error}");
        }
    }
}
