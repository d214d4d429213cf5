//! What a status says: of a refused batch, or of a stream's end.

use std::time::Duration;

use headgate_proto::v1;
use prost::Message;
use tonic::Code;

const RETRY_INFO: &str = "google.rpc.RetryInfo";
const ERROR_INFO: &str = "google.rpc.ErrorInfo";
const DOMAIN: &str = "headgate";
/// Of smaller pieces of the same batch the gateway would take each.
const TOO_LARGE: [&str; 4] = ["over_burst", "batch_too_large", "message_too_large", "decompressed_too_large"];
/// A batch that the gateway fails on again and again is the cause, not the victim.
const INTERNAL_ATTEMPTS: u32 = 5;

/// The part of `google.rpc.RetryInfo` that is read.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// The part of `google.rpc.ErrorInfo` that is read.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
}

/// A status, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// When to try again.
    pub(crate) hint: Option<Duration>,
    /// The gateway's name for it, as in `docs/status.md`; empty if someone else speaks.
    pub(crate) reason: String,
}

/// What to do with a refused batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    Again,
    /// Halve it.
    Smaller,
    /// It would be refused for ever.
    GiveUp,
}

impl Refusal {
    /// Of an answer on a stream.
    pub(crate) fn of_answer(status: v1::Status) -> Self {
        let mut refusal = Self::of_details(Code::from_i32(status.code), status.message, &status.details);
        refusal.hint = duration(status.retry_delay).or(refusal.hint);
        refusal
    }

    /// Of a stream's end. Its details are a `google.rpc.Status`, whose shape `headgate.v1.Status` has.
    pub(crate) fn of_stream(status: &tonic::Status) -> Self {
        let details = v1::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
        Self::of_details(status.code(), innermost(status), &details)
    }

    fn of_details(code: Code, message: String, details: &[prost_types::Any]) -> Self {
        let mut refusal = Self { code, message, hint: None, reason: String::new() };
        for detail in details {
            let name = detail.type_url.rsplit('/').next().unwrap_or_default();
            if name == RETRY_INFO {
                refusal.hint = RetryInfo::decode(&*detail.value).ok().and_then(|info| duration(info.retry_delay));
            } else if name == ERROR_INFO
                && let Ok(info) = ErrorInfo::decode(&*detail.value)
                && info.domain == DOMAIN
            {
                refusal.reason = info.reason;
            }
        }
        refusal
    }

    /// What to do with a batch of so many events that was refused so often before.
    pub(crate) fn remedy(&self, events: u32, attempts: u32) -> Remedy {
        match self.code {
            _ if events > 1 && TOO_LARGE.contains(&self.reason.as_str()) => Remedy::Smaller,
            _ if self.hint.is_some() => Remedy::Again,
            Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::Unimplemented => Remedy::GiveUp,
            Code::Internal if attempts + 1 >= INTERNAL_ATTEMPTS => Remedy::GiveUp,
            _ => Remedy::Again,
        }
    }

    /// Whether the key is at fault: then another one may help, and nothing else.
    pub(crate) fn is_of_the_key(&self) -> bool {
        matches!(self.code, Code::Unauthenticated | Code::PermissionDenied)
    }

    /// Whether the gateway takes no batches for now, this one or others.
    pub(crate) fn is_pressure(&self) -> bool {
        matches!(self.code, Code::ResourceExhausted | Code::Unavailable)
    }
}

/// Negative ones are none.
pub(crate) fn duration(duration: Option<prost_types::Duration>) -> Option<Duration> {
    duration.and_then(|duration| duration.try_into().ok())
}

/// The status's own words and the cause that says most: "connection refused" rather than "transport error".
fn innermost(status: &tonic::Status) -> String {
    let mut cause = std::error::Error::source(status);
    let mut message = status.message().to_owned();
    while let Some(error) = cause {
        cause = error.source();
        if cause.is_none() {
            message = format!("{message}: {error}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(name: &str, message: &impl Message) -> prost_types::Any {
        prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
    }

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    fn details(reason: &str, hint: Option<prost_types::Duration>) -> Vec<prost_types::Any> {
        let error = ErrorInfo { reason: reason.to_owned(), domain: DOMAIN.to_owned() };
        let retry = hint.map(|_| any(RETRY_INFO, &RetryInfo { retry_delay: hint }));
        [any(ERROR_INFO, &error)].into_iter().chain(retry).collect()
    }

    #[test]
    fn hints_are_read_wherever_they_stand() {
        let of_details = v1::Status { code: 14, details: details("draining", seconds(3)), ..v1::Status::default() };
        let ended = tonic::Status::with_details(Code::Unavailable, "x", of_details.encode_to_vec().into());
        for refusal in [Refusal::of_answer(of_details.clone()), Refusal::of_stream(&ended)] {
            assert_eq!((refusal.hint, refusal.reason.as_str()), (Some(Duration::from_secs(3)), "draining"));
        }
        let own_field = Refusal::of_answer(v1::Status { retry_delay: seconds(7), ..of_details });
        assert_eq!(own_field.hint, Some(Duration::from_secs(7)));
        let garbage = tonic::Status::with_details(Code::Unavailable, "x", vec![0xff; 9].into());
        assert_eq!(Refusal::of_stream(&garbage).hint, None);
        assert_eq!(duration(seconds(-1)), None);
    }

    #[test]
    fn a_batch_comes_again_smaller_or_never_as_its_refusal_says() {
        let refusal = |code: Code, reason: &str, hint| {
            Refusal::of_answer(v1::Status {
                code: code.into(),
                details: details(reason, hint),
                ..v1::Status::default()
            })
        };
        let cases = [
            (refusal(Code::ResourceExhausted, "over_rate", seconds(1)), 9, 0, Remedy::Again),
            (refusal(Code::Unavailable, "over_budget", None), 9, 1_000, Remedy::Again),
            (refusal(Code::InvalidArgument, "over_burst", None), 2, 0, Remedy::Smaller),
            (refusal(Code::InvalidArgument, "over_burst", None), 1, 0, Remedy::GiveUp),
            (refusal(Code::InvalidArgument, "undecodable", None), 9, 0, Remedy::GiveUp),
            (refusal(Code::Internal, "internal", None), 9, 3, Remedy::Again),
            (refusal(Code::Internal, "internal", None), 9, 4, Remedy::GiveUp),
        ];
        for (refusal, events, attempts, remedy) in cases {
            assert_eq!(refusal.remedy(events, attempts), remedy, "{refusal:?}");
        }
    }
}
