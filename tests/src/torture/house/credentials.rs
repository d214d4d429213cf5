//! Where a house's gateway gets its credentials: a source that can be away, and hands out ones that end soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

/// Less than the gateway looks ahead, so that it asks all the time.
const LIFE: Duration = Duration::from_millis(1_500);

/// See the module. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source(Arc<State>);

#[derive(Debug, Default)]
struct State {
    away: AtomicBool,
    short_lived: AtomicBool,
    asked_in_vain: AtomicU64,
}

impl Source {
    pub(crate) fn provider(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(self.clone())
    }

    /// Hands out credentials that end soon, from the start on.
    pub(crate) fn short_lived(&self) {
        self.0.short_lived.store(true, Ordering::Relaxed);
    }

    /// Answers nothing, or answers again.
    pub(crate) fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::Relaxed);
    }

    /// How often it was asked while it was away.
    pub(crate) fn asked_in_vain(&self) -> u64 {
        self.0.asked_in_vain.load(Ordering::Relaxed)
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        if self.0.away.load(Ordering::Relaxed) {
            self.0.asked_in_vain.fetch_add(1, Ordering::Relaxed);
            let error = CredentialsError::provider_error("the plan has the source away");
            return future::ProvideCredentials::ready(Err(error));
        }
        #[allow(clippy::disallowed_methods, reason = "a test's own time")]
        let ends = self.0.short_lived.load(Ordering::Relaxed).then(|| SystemTime::now() + LIFE);
        future::ProvideCredentials::ready(Ok(Credentials::new("test", "test", None, ends, "the plan")))
    }
}
