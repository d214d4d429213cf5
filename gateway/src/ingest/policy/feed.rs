//! Keeps the policies as the registry has them.
//!
//! Every gateway asks its registry every other second whether something was changed, and if so reads it anew, so a change
//! made anywhere holds everywhere soon after. While the registry can't be asked, what was known last goes on holding.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use uuid::Uuid;

use super::Policies;
use crate::metrics::{Gauge, GaugeHandle, Metrics};
use crate::registry::{Books, RegistryError, Revisions};

#[derive(Default)]
struct MadeOf {
    revisions: Option<Revisions>,
    /// Applications of which nobody can tell how they have ids hashed.
    sealed: HashSet<Uuid>,
}

/// Brings policies up to date.
pub struct PolicyFeed {
    policies: Arc<Policies>,
    books: Arc<dyn Books>,
    every: Duration,
    failing: AtomicBool,
    // What the policies were made of; held while they are made anew.
    made_of: Mutex<MadeOf>,
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
            made_of: Mutex::default(),
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
        if made_of.revisions != Some(revisions) {
            let sealed = self.make(&made_of.sealed).await?;
            // A row that somebody mends by hand counts no change: it is read again until it can be.
            *made_of = MadeOf { revisions: sealed.is_empty().then_some(revisions), sealed };
        }
        let are_all_known = made_of.sealed.is_empty();
        drop(made_of);
        self.fresh.set(i64::from(are_all_known));
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("schemas, suppressed players and hashed ids are up to date again");
        }
        Ok(())
    }

    /// Returns the applications that are sealed now; `before` are those whose rows have been named already.
    async fn make(&self, before: &HashSet<Uuid>) -> Result<HashSet<Uuid>, RegistryError> {
        let (schemas, suppressions, identities) =
            tokio::try_join!(self.books.schemas(None), self.books.suppressions(None), self.books.identities())?;
        for unreadable in identities.unreadable.iter().filter(|one| !before.contains(&one.application_id)) {
            let (application, error) = (unreadable.application_id, &unreadable.error);
            tracing::error!(%application, %error, "how ids are hashed can't be read: its batches are refused until it is mended");
        }
        let sealed = identities.unreadable.iter().map(|one| one.application_id).collect();
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
        Ok(sealed)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    #[cfg(feature = "aws")]
    use crate::aws::testing::{Server, refusal, settings};
    use crate::clock::Clock;
    #[cfg(feature = "aws")]
    use crate::config::Settings;
    #[cfg(feature = "aws")]
    use crate::registry::aws::DynamoDbRegistry;
    use crate::registry::{Identity, IdentityField, NewApplication, Registry, Secret, SqliteRegistry};

    #[cfg(feature = "aws")]
    async fn loaded(code: &'static str) -> Result<(), RegistryError> {
        let server = Server::start(move |_, _| refusal(400, code, "so it is")).await;
        let registry = DynamoDbRegistry::new(&settings(&server.url()), &Settings::default(), Clock::system());
        let books: Arc<dyn Books> = Arc::new(registry);
        PolicyFeed::new(&Policies::new(), &books, Duration::from_secs(2), &Metrics::new()).load().await
    }

    /// Whoever can't read the books does not know whose ids are to be hashed.
    #[cfg(feature = "aws")]
    #[tokio::test]
    async fn only_books_that_are_not_there_are_taken_for_empty() {
        loaded("ResourceNotFoundException").await.expect("an installation without books works");
        for code in ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"] {
            let error = loaded(code).await.expect_err("must not start");
            assert!(matches!(error, RegistryError::NotSetUp { .. }), "{code}: {error}");
        }
    }

    #[tokio::test]
    async fn a_row_that_can_not_be_read_seals_its_application_alone_until_it_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("registry.sqlite");
        let registry = Arc::new(SqliteRegistry::open(&path, Clock::system()).expect("opens"));
        let mut games = Vec::new();
        for name in ["Skyfall", "Deep"] {
            let new = NewApplication { name: name.to_owned(), ..NewApplication::default() };
            let application_id = registry.create_application(new).await.expect("creates").application_id;
            let secrets = vec![Secret::generate(1).expect("randomness")];
            let fields = vec![IdentityField::PlayerId];
            let identity = Identity { application_id, version: 1, fields, secrets, changed_at_ms: 0 };
            assert!(registry.put_identity(&identity).await.expect("is kept"));
            games.push(application_id);
        }
        let write = |fields: &str| {
            let connection = Connection::open(&path).expect("opens");
            let values = [fields, &games[0].to_string()];
            connection.execute("UPDATE identities SET fields = ?1 WHERE application_id = ?2", values).expect("writes");
        };
        write("player_id,shoe_size");
        let (policies, metrics) = (Policies::new(), Metrics::new());
        let books: Arc<dyn Books> = registry;
        let feed = PolicyFeed::new(&policies, &books, Duration::from_secs(2), &metrics);
        feed.load().await.expect("one row is no reason not to start");
        let is_sealed = |game: Uuid| policies.of(game).expect("it has a policy").is_sealed();
        assert!(is_sealed(games[0]) && !is_sealed(games[1]));
        assert_eq!(metrics.gauge(Gauge::PoliciesFresh, &[]).get(), 0, "somebody is to look");
        let error = books.identity(games[0]).await.expect_err("can't be read");
        assert!(matches!(error, RegistryError::BadRow { attribute: "fields", .. }), "{error}");

        write("player_id");
        feed.refresh().await.expect("asks");
        assert!(!is_sealed(games[0]) && !is_sealed(games[1]));
        assert_eq!(metrics.gauge(Gauge::PoliciesFresh, &[]).get(), 1);
    }
}
