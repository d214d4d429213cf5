//! What the services answer when they refuse: errors of a whole call, with AWS's type names and statuses, and error
//! codes of single records inside a call that went well.

use http::StatusCode;
use serde::Serialize;

use super::answer::Answer;

/// A service that the stand-in plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Kinesis Data Streams.
    Kinesis,
    /// Amazon Data Firehose.
    Firehose,
    /// DynamoDB: another emulator's, to which calls are passed on.
    DynamoDb,
}

impl Service {
    /// Service and operation of an `X-Amz-Target` header.
    pub(super) fn of_target(target: &str) -> Option<(Self, &str)> {
        match target.split_once('.')? {
            ("Kinesis_20131202", operation) => Some((Self::Kinesis, operation)),
            ("Firehose_20150804", operation) => Some((Self::Firehose, operation)),
            ("DynamoDB_20120810", operation) => Some((Self::DynamoDb, operation)),
            _ => None,
        }
    }
}

/// An error of a whole call that a fault answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// 500 `InternalFailure`.
    InternalFailure,
    /// 503 `ServiceUnavailable`; Firehose says `ServiceUnavailableException`, which its model has.
    ServiceUnavailable,
    /// 400 `ProvisionedThroughputExceededException`; Firehose throttles with 503 `ServiceUnavailableException`.
    Throttled,
    /// 400 `ResourceNotFoundException`.
    ResourceNotFound,
    /// 400 `AccessDeniedException`.
    AccessDenied,
    /// 400 `ExpiredTokenException`.
    ExpiredToken,
    /// 400 `UnrecognizedClientException`.
    UnrecognizedClient,
    /// 400 `InvalidArgumentException`.
    InvalidArgument,
    /// 400 `KMSAccessDeniedException`; Firehose says `InvalidKMSResourceException`.
    KmsAccessDenied,
}

impl CallError {
    pub(super) fn refusal(self, service: Service) -> Refusal {
        let firehose = service == Service::Firehose;
        let (status, kind, message) = match self {
            Self::InternalFailure if service == Service::DynamoDb => (500, "InternalServerError", "Internal failure."),
            Self::Throttled if service == Service::DynamoDb => (400, "ThrottlingException", "Rate exceeded."),
            Self::InternalFailure => (500, "InternalFailure", "Internal failure."),
            Self::ServiceUnavailable | Self::Throttled if firehose => {
                (503, "ServiceUnavailableException", "Slow down.")
            }
            Self::ServiceUnavailable => (503, "ServiceUnavailable", "The service is unavailable."),
            Self::Throttled => (400, "ProvisionedThroughputExceededException", "Rate exceeded for the stream."),
            Self::ResourceNotFound => (400, "ResourceNotFoundException", "The stream was not found."),
            Self::AccessDenied => (400, "AccessDeniedException", "Not authorized to perform this operation."),
            Self::ExpiredToken => (400, "ExpiredTokenException", "The security token in the request is expired."),
            Self::UnrecognizedClient => (400, "UnrecognizedClientException", "The security token is invalid."),
            Self::InvalidArgument => (400, "InvalidArgumentException", "An argument is invalid."),
            Self::KmsAccessDenied if firehose => (400, "InvalidKMSResourceException", "The key cannot be used."),
            Self::KmsAccessDenied => (400, "KMSAccessDeniedException", "The key cannot be used."),
        };
        Refusal { status, kind, message: message.to_owned() }
    }
}

/// Why single records of an answered call were not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// `InternalFailure`, in both services.
    InternalFailure,
    /// `ProvisionedThroughputExceededException`; in Firehose `ServiceUnavailableException`.
    Throttled,
}

impl RecordError {
    /// Its `ErrorCode`.
    #[must_use]
    pub fn code(self, service: Service) -> &'static str {
        match (self, service) {
            (Self::InternalFailure, _) => "InternalFailure",
            (Self::Throttled, Service::Kinesis) => "ProvisionedThroughputExceededException",
            (Self::Throttled, Service::DynamoDb) => "ThrottlingException",
            (Self::Throttled, Service::Firehose) => "ServiceUnavailableException",
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::InternalFailure => "Internal service failure.",
            Self::Throttled => "Rate exceeded.",
        }
    }
}

/// A call that is answered with an error: nothing of it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    pub(super) kind: &'static str,
    message: String,
}

impl Refusal {
    /// A member breaks a constraint that the service's model states: a length, a range, a pattern.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "ValidationException", message: message.into() }
    }

    /// A value breaks a rule that the model does not state.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "InvalidArgumentException", message: message.into() }
    }

    pub(super) fn not_found(what: &str) -> Self {
        let message = format!("{what} was not found; create it first.");
        Self { status: 400, kind: "ResourceNotFoundException", message }
    }

    pub(super) fn in_use(what: &str) -> Self {
        Self { status: 400, kind: "ResourceInUseException", message: format!("{what} exists already.") }
    }

    pub(super) fn dry_run() -> Self {
        Self { status: 400, kind: "DryRunOperationException", message: "The call would have been valid.".to_owned() }
    }

    pub(super) fn serialization(error: &dyn std::error::Error) -> Self {
        Self { status: 400, kind: "SerializationException", message: error.to_string() }
    }

    pub(super) fn only_puts_in_cbor(operation: &str) -> Self {
        let message = format!("the stand-in reads CBOR where records are put to a data stream, not in '{operation}'");
        Self { status: 400, kind: "SerializationException", message }
    }

    pub(super) fn unknown_operation(operation: &str) -> Self {
        let message = format!("the stand-in does not play the operation '{operation}'");
        Self { status: 400, kind: "UnknownOperationException", message }
    }

    pub(super) fn too_large() -> Self {
        let message = "the request's body is beyond what any call may hold".to_owned();
        Self { status: 413, kind: "RequestEntityTooLarge", message }
    }

    pub(super) fn answer(&self) -> Answer {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(rename = "__type")]
            kind: &'a str,
            message: &'a str,
        }
        let status = StatusCode::from_u16(self.status).expect("a known status");
        Answer::json(&Body { kind: self.kind, message: &self.message }).with_error(status, self.kind)
    }
}
