//! Why a step failed.

use std::fmt;

use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::drive::{code_name, innermost};
use crate::store::StoreError;
use crate::verify::VerifyError;
use crate::verify::lake::ParquetFault;
use crate::words;

/// Why a step failed; each says what to do about it.
#[derive(Debug, Error)]
pub enum Problem {
    /// A call failed.
    #[error("{doing}: {said}; {}", .said.advice())]
    Call {
        /// What was asked for.
        doing: String,
        /// What came of it.
        said: Said,
    },
    /// Gateways behind one address are of different builds.
    #[error(
        "the gateways at this address are of different builds ({0}): wait until the deployment is over, or roll it back"
    )]
    DifferentBuilds(String),
    /// Another build than the one that was deployed.
    #[error(
        "{served} is served, and {expected} is expected: the deployment did not reach this address, or went back by itself; \
         look at the service's events and at which image its tasks run"
    )]
    OtherBuild {
        /// What answers.
        served: String,
        /// What was asked for.
        expected: String,
    },
    /// A key that was just made is refused.
    #[error(
        "the key that AdminService has just made is refused, still after {:.1} s: {said}; do all gateways at this address have \
         the same registry, and can they reach it?", .after_s
    )]
    KeyRefused {
        /// Why.
        said: Said,
        /// For how long it was tried.
        after_s: f64,
    },
    /// A key that nobody made is let in, or one that was deleted.
    #[error("{0}: take this gateway out of service, since it does not check keys")]
    LetIn(&'static str),
    /// A batch is refused for good.
    #[error("a batch of {events} valid events is refused: {said}; look into the gateway's log and settings")]
    BatchRefused {
        /// Its events.
        events: usize,
        /// Why.
        said: Said,
    },
    /// A valid event is rejected.
    #[error(
        "a valid event of type {event_type} is rejected: {reason}: {message}; does the gateway serve another version of the API?"
    )]
    Rejected {
        /// Its type.
        event_type: String,
        /// The gateway's reason.
        reason: String,
        /// The gateway's words.
        message: String,
    },
    /// An event that breaks a rule is not rejected, or not for that reason.
    #[error(
        "{what} has to be rejected with {expected}, and the answer is {answer}: the gateway does not check its events"
    )]
    NotRejected {
        /// What is wrong with the event.
        what: &'static str,
        /// The documented reason.
        expected: &'static str,
        /// What the gateway made of it.
        answer: String,
    },
    /// An answer that does not add up.
    #[error(
        "an answer names {named} of the {sent} events of its batch: that is a bug of the gateway, please report it"
    )]
    Unbalanced {
        /// Events with a verdict.
        named: u64,
        /// Events of the batch.
        sent: usize,
    },
    /// Events without an acknowledgement.
    #[error(
        "{} of {} events are not acknowledged after {} tries; the last answer: {said}; can the gateway reach its destination?",
        words::count(*.left), words::count(*.of), .tries
    )]
    NotAcknowledged {
        /// How many.
        left: u64,
        /// Of how many.
        of: u64,
        /// How often they were sent.
        tries: u32,
        /// The last thing that went wrong.
        said: String,
    },
    /// Acknowledged events that are not where they have to be.
    #[error(
        "{} of {} acknowledged events {} not in {place} after {}: {}{}; {advice}",
        words::count(*.missing), words::count(*.of), if *.missing == 1 { "is" } else { "are" },
        words::duration(*.waited), .examples.join(", "), if *.missing > .examples.len() as u64 { ", …" } else { "" }
    )]
    Missing {
        /// How many.
        missing: u64,
        /// Of how many.
        of: u64,
        /// The first of them.
        examples: Vec<String>,
        /// Where.
        place: String,
        /// How long they were waited for.
        waited: std::time::Duration,
        /// What to do.
        advice: String,
    },
    /// Rejected events that are there.
    #[error("{0} rejected events are in {1}: what breaks the rules must not get there; roll this version back")]
    RejectedStored(u64, String),
    /// Events that are there too often.
    #[error(
        "{doubled} records too many are in {place} ({allowed} may be, by what was sent again): is the table of event ids too \
         small (dedupe), or do two writers deliver the same stream?"
    )]
    Doubled {
        /// How many.
        doubled: u64,
        /// How many may be.
        allowed: u64,
        /// Where.
        place: String,
    },
    /// Other counts than what was sent.
    #[error("{what}: {counted} were counted, and {sent} acknowledged; {advice}")]
    Counted {
        /// Which metric.
        what: &'static str,
        /// By the metrics.
        counted: u64,
        /// By the answers.
        sent: u64,
        /// What to do.
        advice: &'static str,
    },
    /// Metrics can't be read.
    #[error("the metrics can't be read: {0}")]
    Metrics(String),
    /// The lake can't be asked.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The bucket can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object of the lake is no Parquet file of it.
    #[error("{object}: {fault}; only the lake's own files may be below its prefix")]
    Object {
        /// Which.
        object: String,
        /// What does not fit.
        fault: ParquetFault,
    },
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
}

impl Problem {
    /// What kind it is, in a word, for reports.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Call { .. } => "call",
            Self::DifferentBuilds(_) | Self::OtherBuild { .. } => "version",
            Self::KeyRefused { .. } => "key-refused",
            Self::LetIn(_) => "let-in",
            Self::BatchRefused { .. } => "batch-refused",
            Self::Rejected { .. } => "rejected",
            Self::NotRejected { .. } => "not-rejected",
            Self::Unbalanced { .. } => "unbalanced",
            Self::NotAcknowledged { .. } => "not-acknowledged",
            Self::Missing { .. } => "lost",
            Self::RejectedStored(..) => "rejected-stored",
            Self::Doubled { .. } => "doubled",
            Self::Counted { .. } => "counted",
            Self::Metrics(_) => "metrics",
            Self::Verify(_) | Self::Store(_) | Self::Object { .. } => "lake",
            Self::Interrupted => "interrupted",
        }
    }

    pub(super) fn call(doing: impl Into<String>, status: &Status) -> Self {
        Self::Call { doing: doing.into(), said: Said::of(status) }
    }
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    code: Code,
    /// The gateway's own reason (`google.rpc.ErrorInfo`), which `docs/status.md` lists.
    reason: Option<String>,
    message: String,
}

impl Said {
    pub(super) fn of(status: &Status) -> Self {
        // The client's own errors have a source, which says more; the gateway's have none.
        let message = match std::error::Error::source(status) {
            Some(source) => innermost(source),
            None => status.message().to_owned(),
        };
        let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
        Self { code: status.code(), reason, message }
    }

    fn advice(&self) -> &'static str {
        match (self.code, self.reason.as_deref()) {
            (_, Some("admin_closed")) => "set admin.token_file at the gateway",
            (_, Some(reason)) if reason.starts_with("admin_") => {
                "give the token that this gateway has with --admin-token-file"
            }
            (Code::Unavailable | Code::DeadlineExceeded, None) => {
                "does --host lead to a gateway that is up, through every firewall between?"
            }
            (Code::Unimplemented, _) => "it is no gateway, or one of a version before this smoke test",
            _ => "look into the gateway's log",
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(code_name(self.code))?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_names_the_gateways_own_reason_and_what_to_do() {
        let details = ErrorDetails::with_error_info("admin_token_wrong", "headgate", HashMap::new());
        let status = Status::with_error_details(Code::Unauthenticated, "the admin token is wrong", details);
        assert_eq!(
            Problem::call("asking which build answers", &status).to_string(),
            "asking which build answers: UNAUTHENTICATED (admin_token_wrong): the admin token is wrong; give the token that \
             this gateway has with --admin-token-file"
        );
        let status = Status::unavailable("connection refused");
        assert!(Problem::call("asking", &status).to_string().ends_with("through every firewall between?"));
    }

    #[test]
    fn missing_events_are_named_and_counted() {
        let missing = |missing, examples: &[&str]| {
            let examples = examples.iter().map(|id| (*id).to_owned()).collect();
            let (place, advice) = ("lake:data".to_owned(), "look".to_owned());
            Problem::Missing { missing, of: 2_000, examples, place, waited: Duration::from_secs(90), advice }
                .to_string()
        };
        assert_eq!(missing(1, &["a"]), "1 of 2,000 acknowledged events is not in lake:data after 1 min 30 s: a; look");
        assert_eq!(
            missing(3, &["a", "b"]),
            "3 of 2,000 acknowledged events are not in lake:data after 1 min 30 s: a, b, …; look"
        );
    }
}
