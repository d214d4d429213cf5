//! What a failed call says about what was written.
//!
//! The rule: only a typed refusal, or a connection that never came about, means that nothing was. Everything else is
//! ambiguous: a timeout, a connection that broke, a 5xx, an answer that can't be read.

use std::error::Error;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use hyper_util::client::legacy::Error as ClientError;

use super::answer::NotCbor;
use crate::delivery::sender::wire::{CallError, CallFailure, EntryResult};

/// Longest message passed on: the service's own are a line or two.
const LONGEST_MESSAGE: usize = 300;

/// Codes of a limit that was reached. From the services' models and the SDK's list of throttling codes;
/// `ServiceUnavailableException` is what Firehose answers past its quota.
const THROTTLED: [&str; 16] = [
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "KMSThrottlingException",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
    // The stream is being created or changed; a moment later it takes calls.
    "ResourceInUseException",
    "ConcurrentModificationException",
];

/// Codes of credentials or a signature that the service does not take: expired, not known (yet), or a clock that is off.
const CREDENTIALS: [&str; 16] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "UnrecognizedClientException",
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidToken",
    "InvalidSignatureException",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "IncompleteSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationTokenException",
    "MissingAuthenticationToken",
];

/// Codes with a 4xx status of a request that the service gave up reading or lost on its way.
const AMBIGUOUS: [&str; 4] =
    ["RequestTimeout", "RequestTimeoutException", "InternalFailure", "InternalFailureException"];

/// A call that could not be signed.
pub(super) fn no_credentials(why: String) -> CallError {
    CallError { failure: CallFailure::Credentials, code: "no_credentials".into(), message: short(why) }
}

/// A call that could not be put together.
pub(super) fn unbuildable(error: BuildError) -> CallError {
    CallError { failure: CallFailure::Permanent, code: "construction".into(), message: short(error.to_string()) }
}

/// A call whose answer makes no sense.
pub(super) fn unreadable(code: &str, message: String) -> CallError {
    CallError { failure: CallFailure::Ambiguous, code: code.into(), message: short(message) }
}

/// What a record's error code says.
pub(super) fn entry_failure(code: &str) -> EntryResult {
    match code {
        // Kinesis: the shard is at its limit. Firehose: the delivery stream is.
        "ProvisionedThroughputExceededException" | "ServiceUnavailableException" => EntryResult::Throttled,
        _ => EntryResult::Failed { code: code.into() },
    }
}

/// What a failed call says.
pub(crate) fn call_error<E>(error: &SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let SdkError::ServiceError(context) = error {
        return answered(context.err(), context.raw().status().as_u16());
    }
    let (failure, code) = match error {
        _ if find::<CredentialsError>(error).is_some() => (CallFailure::Credentials, "no_credentials"),
        // The SDK makes a connection, or takes one out of its pool, before it writes anything.
        _ if find::<ClientError>(error).is_some_and(ClientError::is_connect) => (CallFailure::Unreachable, "connect"),
        // Never sent: the request can't be built, and won't be the next time either.
        SdkError::ConstructionFailure(_) => (CallFailure::Permanent, "construction"),
        // No error of AWS's, but a status that says it all: a proxy speaks. (Other statuses don't: a 400 cut short may
        // have been any error.)
        SdkError::ResponseError(context) if context.raw().status().as_u16() == 429 => {
            (CallFailure::Throttled, "status_429")
        }
        _ if find::<NotCbor>(error).is_some() => (CallFailure::Ambiguous, "cbor"),
        SdkError::TimeoutError(_) => (CallFailure::Ambiguous, "timeout"),
        SdkError::DispatchFailure(_) => (CallFailure::Ambiguous, "connection"),
        _ => (CallFailure::Ambiguous, "answer"),
    };
    CallError { failure, code: code.into(), message: short(chain(error)) }
}

/// An error that the service, or something that answers in its place, sent.
fn answered(error: &(impl ProvideErrorMetadata + Error), status: u16) -> CallError {
    let Some(code) = error.code() else {
        // The SDK's parser wants one; without it this is no answer of AWS's.
        return unreadable("answer", format!("status {status} without an error code: {}", chain(error)));
    };
    let failure = if CREDENTIALS.contains(&code) {
        CallFailure::Credentials
    } else if THROTTLED.contains(&code) || status == 429 {
        CallFailure::Throttled
    } else if AMBIGUOUS.contains(&code) || !(400..=499).contains(&status) {
        CallFailure::Ambiguous
    } else {
        // ResourceNotFound, AccessDenied, InvalidArgument, a key that KMS does not let the service use (disabled, no
        // permission, not there, pending deletion): an operator has to act. A breaker finds out when that has happened.
        CallFailure::Permanent
    };
    let message = if failure == CallFailure::Credentials {
        // A signature's error repeats what was signed, the session token included: none of it is passed on.
        "the service refused the credentials or the signature (expired, unknown, or this machine's clock is off)"
            .to_owned()
    } else {
        error.message().unwrap_or("no message").to_owned()
    };
    CallError { failure, code: Arc::from(code), message: short(message) }
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}

fn short(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests;
