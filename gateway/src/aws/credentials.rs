//! The credentials that calls are signed with, cached.
//!
//! They are fetched anew ahead of their expiry, and at once after the service refused them. While their source fails
//! the known ones serve until they expire; from then on calls fail at once, and the source is asked twice a second, so
//! that they work again within [`LOAD_TIMEOUT`] and that pause of its recovery. (The SDK's own cache keeps refused
//! credentials until they expire, and 15 minutes where they have no expiry.)

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use crate::clock::Clock;

/// How long a source may take: it is on this machine, or is AWS's token service.
const LOAD_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two attempts while there is nothing to sign with, or what there is was refused.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Between two attempts ahead of the expiry.
const AHEAD_PAUSE: Duration = Duration::from_secs(10);
/// How long before their expiry credentials are fetched anew. AWS's own sources hand out new ones at least 5 minutes
/// before the old ones end.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Why there are no credentials. Holds no key material: it is made of the provider's error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsFailure(Arc<str>);

impl CredentialsFailure {
    pub(super) fn timed_out(limit: Duration) -> Self {
        Self(format!("their source did not answer within {limit:?}").into())
    }

    /// The error and its causes on one line; the chain of sources names each that it tried.
    fn of(error: &CredentialsError) -> Self {
        let mut words = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            if let Some(known) = cause.downcast_ref::<Self>() {
                return known.clone();
            }
            words = format!("{words}: {cause}");
            next = cause.source();
        }
        Self(words.lines().map(str::trim).collect::<Vec<_>>().join("; ").replace(":; ", ": ").into())
    }
}

/// Hands out credentials and takes word of those that the service refused.
#[derive(Clone, Debug)]
pub struct Signer {
    provider: Option<SharedCredentialsProvider>,
}

impl Signer {
    /// The signer of these settings.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { provider: config.credentials_provider() }
    }

    /// The credentials that the next call will be signed with. Ask before the call: a call that had to wait for its
    /// credentials would time out as if it had been sent.
    ///
    /// # Errors
    /// [`CredentialsFailure`] where there are none, or only expired ones.
    pub async fn credentials(&self) -> Result<Credentials, CredentialsFailure> {
        let Some(provider) = &self.provider else {
            return Err(CredentialsFailure("no source of credentials is set up".into()));
        };
        provider.provide_credentials().await.map_err(|error| CredentialsFailure::of(&error))
    }

    /// Loads the first credentials, however long their source takes.
    pub(super) async fn first(&self) -> Result<(), CredentialsFailure> {
        self.credentials().await.map(drop)
    }

    /// The service refused these credentials: the next call fetches new ones.
    pub fn refused(credentials: &Credentials) {
        if let Some(cache) = credentials.get_property::<Origin>().and_then(|origin| origin.0.upgrade()) {
            cache.refused(credentials);
        }
    }
}

/// The way back from credentials to the cache that they came from.
#[derive(Clone)]
struct Origin(Weak<Cache>);

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}

/// The cache as the SDK sees it.
#[derive(Debug)]
pub(super) struct CachedCredentials(pub(super) Arc<Cache>);

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.0.credentials())
    }
}

/// The cache.
pub(super) struct Cache {
    source: SharedCredentialsProvider,
    clock: Clock,
    known: Mutex<Known>,
    /// Held by the one caller that asks the source.
    loading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    credentials: Option<Credentials>,
    refused: bool,
    asked: Option<Instant>,
    failure: Option<CredentialsFailure>,
}

/// What a caller does.
enum Next {
    Use(Credentials),
    /// Has new ones fetched if no one else does, and uses these meanwhile.
    Ahead(Credentials),
    /// Fetches new ones or waits for whoever does.
    Load,
    Fail(CredentialsFailure),
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

impl Cache {
    pub(super) fn new(source: SharedCredentialsProvider, clock: Clock) -> Self {
        Self { source, clock, known: Mutex::default(), loading: Arc::default() }
    }

    async fn credentials(self: &Arc<Self>) -> Result<Credentials, CredentialsError> {
        match self.next() {
            Next::Use(credentials) => return Ok(credentials),
            Next::Fail(failure) => return Err(CredentialsError::provider_error(failure)),
            Next::Ahead(credentials) => {
                if let Ok(turn) = Arc::clone(&self.loading).try_lock_owned() {
                    drop(self.load(turn));
                }
                return Ok(credentials);
            }
            Next::Load => {}
        }
        let turn = Arc::clone(&self.loading).lock_owned().await;
        // Another caller may have been faster.
        match self.next() {
            Next::Use(credentials) | Next::Ahead(credentials) => return Ok(credentials),
            Next::Fail(failure) => return Err(CredentialsError::provider_error(failure)),
            Next::Load => {}
        }
        let loaded = self.load(turn).await;
        let loaded = loaded.unwrap_or_else(|_| Err(CredentialsFailure("their source panicked".into())));
        loaded.map_err(CredentialsError::provider_error)
    }

    /// Asks the source, in a task: a caller that has no time to wait for it must not make all that it did be for nothing.
    #[allow(clippy::disallowed_methods, reason = "it ends by its own time limit, and others may wait for it")]
    fn load(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> JoinHandle<Result<Credentials, CredentialsFailure>> {
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = turn;
            let limit = if cache.known().asked.is_none() { super::WARM_TIMEOUT } else { LOAD_TIMEOUT };
            let loaded = match tokio::time::timeout(limit, cache.source.provide_credentials()).await {
                Ok(loaded) => loaded.map_err(|error| CredentialsFailure::of(&error)),
                Err(_) => Err(CredentialsFailure::timed_out(limit)),
            };
            cache.learn(loaded)
        })
    }

    fn next(&self) -> Next {
        let known = self.known();
        let rested = |pause| known.asked.is_none_or(|asked| self.clock.now().saturating_duration_since(asked) >= pause);
        let usable = known.credentials.as_ref().filter(|credentials| !self.ends_within(credentials, Duration::ZERO));
        match usable {
            Some(_) if known.refused && rested(RETRY_PAUSE) => Next::Load,
            Some(credentials) if self.ends_within(credentials, AHEAD) && rested(AHEAD_PAUSE) => {
                Next::Ahead(credentials.clone())
            }
            Some(credentials) => Next::Use(credentials.clone()),
            None => match &known.failure {
                Some(failure) if !rested(RETRY_PAUSE) => Next::Fail(failure.clone()),
                _ => Next::Load,
            },
        }
    }

    fn learn(
        self: &Arc<Self>,
        loaded: Result<Credentials, CredentialsFailure>,
    ) -> Result<Credentials, CredentialsFailure> {
        let mut known = self.known();
        known.asked = Some(self.clock.now());
        let failure = match loaded {
            Ok(mut credentials) if !self.ends_within(&credentials, Duration::ZERO) => {
                credentials.set_property(Origin(Arc::downgrade(self)));
                known.refused = false;
                known.failure = None;
                known.credentials = Some(credentials.clone());
                return Ok(credentials);
            }
            Ok(_) => CredentialsFailure("their source hands out credentials that have expired".into()),
            Err(failure) => failure,
        };
        // Said once, not twice a second.
        let news = known.failure.replace(failure.clone()).is_none();
        // Old ones go on serving until they expire, even refused ones: whether they are good is for the service to say.
        match &known.credentials {
            Some(credentials) if !self.ends_within(credentials, Duration::ZERO) => {
                if news {
                    tracing::warn!(%failure, "AWS credentials could not be renewed; the old ones serve on");
                }
                Ok(credentials.clone())
            }
            _ => {
                if news {
                    tracing::warn!(%failure, "there are no AWS credentials");
                }
                Err(failure)
            }
        }
    }

    fn refused(&self, credentials: &Credentials) {
        let mut known = self.known();
        let same = known.credentials.as_ref().is_some_and(|current| {
            current.access_key_id() == credentials.access_key_id()
                && current.session_token() == credentials.session_token()
        });
        // Others were fetched meanwhile: they have not been refused.
        if same {
            known.refused = true;
        }
    }

    fn ends_within(&self, credentials: &Credentials, time: Duration) -> bool {
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.wall_ms()).unwrap_or(0));
        credentials.expiry().is_some_and(|expiry| expiry <= now + time)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
