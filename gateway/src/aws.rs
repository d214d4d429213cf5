//! What every AWS client of the gateway shares: region, endpoint and the credentials that calls are signed with.
//!
//! Nothing is read from AWS here but credentials. Without a region or credentials the gateway does not start; when the
//! credentials' source fails later, the known ones serve until they expire, and new ones are fetched as soon as the
//! source answers again (`credentials`).

mod connections;
mod credentials;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::config::IdentityCache;

pub use connections::DropSilentConnections;
pub use credentials::{CredentialsFailure, Signer};

use crate::clock::Clock;
use crate::config::AwsSettings;
use credentials::CachedCredentials;

/// How long finding the region may take: on an EC2 instance without other settings it comes from the metadata service.
const CONFIG_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the first credentials may take; each source of the chain that is not there takes its time to say so.
const WARM_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the gateway can't speak to AWS.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// There is no region.
    #[error("no AWS region: set AWS_REGION or aws.region")]
    NoRegion,
    /// Region, profile and endpoint could not be read in time.
    #[error("reading the AWS settings took longer than {CONFIG_TIMEOUT:?}: set AWS_REGION or aws.region")]
    SlowConfig,
    /// The endpoint is no URL.
    #[error("aws.endpoint_url {0:?} is not a URL such as http://127.0.0.1:4566")]
    Endpoint(String),
    /// There are no credentials.
    #[error(
        "no AWS credentials: {0}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the task, pod \
         or instance a role"
    )]
    NoCredentials(CredentialsFailure),
}

/// Everything that a client needs: region, endpoint, and credentials that heal by themselves.
///
/// # Errors
/// [`AwsError`] where there is no region or the endpoint is no URL.
pub async fn shared_config(settings: &AwsSettings) -> Result<SdkConfig, AwsError> {
    let config = bare_config(settings).await?;
    let Some(source) = config.credentials_provider() else { return Ok(config) };
    Ok(with_credentials(&config, source, Clock::system()))
}

/// As [`shared_config`], with credentials from this source.
///
/// # Errors
/// As [`shared_config`].
pub async fn shared_config_from(
    settings: &AwsSettings,
    source: SharedCredentialsProvider,
) -> Result<SdkConfig, AwsError> {
    Ok(with_credentials(&bare_config(settings).await?, source, Clock::system()))
}

/// Region and endpoint, with credentials as the SDK would find and keep them.
async fn bare_config(settings: &AwsSettings) -> Result<SdkConfig, AwsError> {
    // Pinned: a newer SDK must not change timeouts, retries or the HTTP stack under us.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &settings.endpoint_url {
        let known = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if known.is_none_or(str::is_empty) || url.parse::<http::Uri>().is_err() {
            return Err(AwsError::Endpoint(url.clone()));
        }
        loader = loader.endpoint_url(url);
    }
    let config = tokio::time::timeout(CONFIG_TIMEOUT, loader.load()).await.map_err(|_| AwsError::SlowConfig)?;
    if config.region().is_none_or(|region| region.as_ref().is_empty()) {
        return Err(AwsError::NoRegion);
    }
    Ok(config)
}

/// The same settings with credentials from `source`, cached by us.
fn with_credentials(config: &SdkConfig, source: SharedCredentialsProvider, clock: Clock) -> SdkConfig {
    config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(CachedCredentials(Arc::new(credentials::Cache::new(
            source, clock,
        )))))
        // The SDK's own cache keeps what the service refuses until it expires; ours stands behind it.
        .identity_cache(IdentityCache::no_cache())
        .build()
}

/// Loads the credentials, so that the gateway is not ready before it can sign.
///
/// # Errors
/// [`AwsError::NoCredentials`], with what was tried.
pub async fn warm_credentials(config: &SdkConfig) -> Result<(), AwsError> {
    let signer = Signer::new(config);
    match tokio::time::timeout(WARM_TIMEOUT, signer.first()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => Err(AwsError::NoCredentials(failure)),
        Err(_) => Err(AwsError::NoCredentials(CredentialsFailure::timed_out(WARM_TIMEOUT))),
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;

    #[derive(Debug)]
    struct Nothing;

    impl ProvideCredentials for Nothing {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nothing is set up")))
        }
    }

    fn settings(region: Option<&str>, endpoint_url: Option<&str>) -> AwsSettings {
        AwsSettings { region: region.map(str::to_owned), endpoint_url: endpoint_url.map(str::to_owned) }
    }

    #[tokio::test]
    async fn settings_win_over_the_environment() {
        let config =
            shared_config(&settings(Some("eu-west-1"), Some("http://127.0.0.1:4566"))).await.expect("good settings");
        assert_eq!(config.region().map(AsRef::as_ref), Some("eu-west-1"));
        assert_eq!(config.endpoint_url(), Some("http://127.0.0.1:4566"));
    }

    #[tokio::test]
    async fn a_region_that_is_not_there_is_named_in_the_error() {
        let error = shared_config(&settings(Some(""), None)).await.expect_err("no region").to_string();
        assert!(error.contains("AWS_REGION") && error.contains("aws.region"), "{error}");
    }

    #[tokio::test]
    async fn an_endpoint_that_is_no_url_is_refused_at_once() {
        for bad in ["", "127.0.0.1:4566", "http://", "http://a b"] {
            let error = shared_config(&settings(Some("eu-west-1"), Some(bad))).await.expect_err("no URL").to_string();
            assert!(error.contains("aws.endpoint_url"), "{error}");
        }
    }

    #[tokio::test]
    async fn missing_credentials_are_an_error_that_says_what_to_set() {
        let bare = SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build();
        let nothing = aws_config::meta::credentials::CredentialsProviderChain::first_try("Nothing", Nothing);
        let config = with_credentials(&bare, SharedCredentialsProvider::new(nothing), Clock::system());
        let error = warm_credentials(&config).await.expect_err("no credentials").to_string();
        // What was tried, as the chain tells it, and what to do.
        for word in ["Nothing: ", "nothing is set up", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "role"] {
            assert!(error.contains(word), "{error}");
        }
        assert!(!error.contains('\n'), "one line, for the log: {error}");
    }
}
