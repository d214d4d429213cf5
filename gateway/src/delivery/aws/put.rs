//! How both services are called: signed with credentials that were there before the call began, bounded in time, never
//! repeated by the SDK.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_kinesis::config::StalledStreamProtectionConfig;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::errors;
use crate::aws::Signer;
use crate::clock::Clock;
use crate::delivery::sender::wire::{CallError, CallFailure};

/// Connecting takes one or two round trips; what takes longer than this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Below this a call has no chance to be answered.
const SHORTEST_CALL: Duration = Duration::from_millis(10);

/// The shared settings for a client that puts records.
pub(super) fn config(shared: &SdkConfig) -> SdkConfig {
    shared
        .to_builder()
        // The SDK sees only whole calls fail; the sender retries single records, and counts what is ambiguous.
        .retry_config(RetryConfig::disabled())
        // Off: it ends an upload after 5 s without progress, with an error that does not say whether the service had it
        // all. The attempt timeout covers the same case.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .build()
}

/// The time limits of one call, as an override.
pub(super) fn limits(timeout: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(timeout).build()
}

/// Makes a call once there are credentials for it; `timeout` holds for both.
pub(super) async fn signed<T, E, F>(
    signer: &Signer,
    timeout: Duration,
    call: impl FnOnce(Duration) -> F,
) -> Result<T, CallError>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let clock = Clock::system();
    let began = clock.now();
    let credentials = match tokio::time::timeout(timeout, signer.credentials()).await {
        Ok(Ok(credentials)) => credentials,
        Ok(Err(failure)) => return Err(errors::no_credentials(failure.to_string())),
        Err(_) => return Err(errors::no_credentials(format!("their source did not answer within {timeout:?}"))),
    };
    let left = timeout.saturating_sub(clock.now().saturating_duration_since(began)).max(SHORTEST_CALL);
    call(left).await.map_err(|error| {
        let error = errors::call_error(&error);
        if error.failure == CallFailure::Credentials {
            Signer::refused(&credentials);
        }
        error
    })
}
