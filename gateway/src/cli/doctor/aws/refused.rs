//! What a refused call says to an operator, and the mend.

use std::error::Error;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::super::check::Verdict;
use crate::delivery::aws::errors::call_error;
use crate::delivery::sender::wire::{CallError, CallFailure};

/// A call, as an operator knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// As IAM calls it, such as `kinesis:ListShards`.
    pub(super) action: &'a str,
    /// What kind of thing it is about, and its name.
    pub(super) resource: &'a str,
    /// What to do where there is no such thing.
    pub(super) if_missing: &'a str,
}

impl Call<'_> {
    /// What the failure of this call means.
    pub(super) fn refused<E>(&self, error: &SdkError<E, HttpResponse>) -> Verdict
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.failed(&call_error(error))
    }

    pub(super) fn failed(&self, error: &CallError) -> Verdict {
        let Self { action, resource, if_missing } = self;
        let says = format!("{action}: {error}");
        match (&*error.code, error.failure) {
            ("ResourceNotFoundException", _) => Verdict::fail(format!("there is no {resource} here"), *if_missing),
            ("AccessDeniedException" | "AccessDenied", _) => {
                Verdict::fail(says, format!("allow {action} on the {resource} in the gateway's role"))
            }
            (code, _) if code.starts_with("KMS") => {
                let mend = "let the gateway's role use the key (kms:GenerateDataKey, its key policy), and see that it is enabled";
                Verdict::fail(says, mend)
            }
            (_, CallFailure::Credentials) => {
                Verdict::fail(says, "renew the credentials; and see what the check of the clock says")
            }
            (_, CallFailure::Throttled) => Verdict::warn(says, "the service is busy: run it again"),
            ("connect" | "connection" | "timeout", _) => Verdict::fail(
                says,
                "find out what is in the way: the security group's way out to port 443, a route or a VPC endpoint, DNS, \
                 AWS_ENDPOINT_URL",
            ),
            _ => Verdict::fail(says, "the message names the cause; if it does not last, run it again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_mend() {
        let call = Call {
            action: "kinesis:ListShards",
            resource: "stream events",
            if_missing: "create it, or change kinesis.stream",
        };
        let mend = |code: &str, failure| {
            call.failed(&CallError { failure, code: code.into(), message: "m".to_owned() }).mend.expect("a mend")
        };
        assert!(mend("ResourceNotFoundException", CallFailure::Permanent).contains("kinesis.stream"));
        assert!(
            mend("AccessDeniedException", CallFailure::Permanent).contains("kinesis:ListShards on the stream events")
        );
        assert!(mend("KMSDisabledException", CallFailure::Permanent).contains("kms:GenerateDataKey"));
        assert!(mend("ExpiredTokenException", CallFailure::Credentials).contains("clock"));
        assert!(mend("timeout", CallFailure::Ambiguous).contains("port 443"));
        assert!(mend("LimitExceededException", CallFailure::Throttled).contains("again"));
    }
}
