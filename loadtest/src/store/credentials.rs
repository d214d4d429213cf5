//! The SDK's credentials for the store: profiles, roles of tasks and instances, everything that aws-config knows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What a fault of the credentials is told by among the store's errors.
pub(super) const CREDENTIALS: &str = "credentials";
/// For how long they are used before they are asked for anew. Providers renew theirs minutes before they expire, and a call
/// with expired ones is tried again.
const KEPT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct FromSdk {
    sdk: SharedCredentialsProvider,
    kept: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl FromSdk {
    pub(crate) fn new(sdk: SharedCredentialsProvider) -> Arc<Self> {
        Arc::new(Self { sdk, kept: Mutex::new(None) })
    }
}

#[async_trait]
impl CredentialProvider for FromSdk {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        if let Some((since, credential)) = kept.as_ref()
            && since.elapsed() < KEPT
        {
            return Ok(credential.clone());
        }
        let failed = |error| object_store::Error::Generic { store: CREDENTIALS, source: Box::new(error) };
        let given = self.sdk.provide_credentials().await.map_err(failed)?;
        let credential = Arc::new(AwsCredential {
            key_id: given.access_key_id().to_owned(),
            secret_key: given.secret_access_key().to_owned(),
            token: given.session_token().map(str::to_owned),
        });
        *kept = Some((Instant::now(), credential.clone()));
        Ok(credential)
    }
}
