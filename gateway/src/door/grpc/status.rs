//! Turns a refusal into what gRPC clients see: a status with `google.rpc` details, in trailers or in a stream's answer.

use std::time::Duration;

use headgate_proto::v1;
use prost::Message;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::admission::refusal::{BudgetScope, Refusal};

/// Who speaks in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "headgate";

/// A refusal as the status of a call.
#[must_use]
pub fn status(refusal: &Refusal) -> Status {
    Status::with_error_details(refusal.row().grpc, refusal.to_string(), details(refusal))
}

/// A refusal as the answer to one batch of a stream.
#[must_use]
pub fn answer(refusal: &Refusal) -> v1::Status {
    let status = status(refusal);
    // tonic keeps the details as an encoded `google.rpc.Status`; the answer carries the same ones.
    let details = tonic_types::pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    v1::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details,
        retry_delay: refusal.retry_after().and_then(proto_duration),
    }
}

fn details(refusal: &Refusal) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(refusal.row().label, DOMAIN, std::collections::HashMap::new());
    if let Some(delay) = refusal.retry_after() {
        details.set_retry_info(Some(delay));
    }
    match refusal {
        Refusal::OverRate { .. } | Refusal::OverBurst { .. } => {
            details.add_quota_failure_violation("application", refusal.to_string());
        }
        Refusal::OverBudget { scope, .. } => {
            let subject = match scope {
                BudgetScope::Gateway => "gateway",
                BudgetScope::Application => "application",
            };
            details.add_quota_failure_violation(subject, refusal.to_string());
        }
        Refusal::MessageTooLarge { .. }
        | Refusal::DecompressedTooLarge { .. }
        | Refusal::Undecodable { .. }
        | Refusal::EmptyBatch
        | Refusal::BatchTooLarge { .. }
        | Refusal::InvalidEvent { .. } => {
            details.add_bad_request_violation("events", refusal.to_string());
        }
        Refusal::KeyMissing
        | Refusal::KeyMalformed
        | Refusal::KeyUnknown
        | Refusal::KeyDisabled
        | Refusal::KeyExpired
        | Refusal::ScopeMissing { .. }
        | Refusal::OtherApplication
        | Refusal::KeyStoreUnavailable { .. }
        | Refusal::IdentityUnreadable { .. }
        | Refusal::UnsupportedCompression { .. }
        | Refusal::UnsupportedMediaType { .. }
        | Refusal::OriginDenied
        | Refusal::MessageTimeout { .. }
        | Refusal::DestinationDown { .. }
        | Refusal::PartlyStored { .. }
        | Refusal::Draining
        | Refusal::Internal => {}
    }
    details
}

/// A duration as protobuf has it.
#[must_use]
pub fn proto_duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_carries_what_the_status_of_a_call_carries() {
        for refusal in Refusal::examples() {
            let (status, answer) = (status(&refusal), answer(&refusal));
            assert_eq!(answer.code, status.code() as i32);
            assert_eq!(answer.message, status.message());
            assert_eq!(answer.details.is_empty(), status.details().is_empty());
            assert_eq!(answer.retry_delay.is_some(), refusal.retry_after().is_some());
            let details = status.get_error_details();
            assert_eq!(details.retry_info().is_some(), refusal.retry_after().is_some(), "{refusal:?}");
            assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some(refusal.row().label));
        }
    }
}
