//! Every reason to refuse a batch or a call, and the one table that says what each means on the wire.
//!
//! `docs/status.md` publishes the table (`headgate reference status`); a test holds the two together.

use std::time::Duration;

use tonic::Code;

use crate::registry::Purpose;

/// Why a batch or a call is refused as a whole. Nothing of a refused batch is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No key came with the call.
    #[error("no API key: send it as metadata `x-api-key` or `authorization: Bearer KEY`")]
    KeyMissing,
    /// What came can't be a key.
    #[error("the API key is malformed: check that it was copied whole")]
    KeyMalformed,
    /// Nobody has this key.
    #[error("the API key is unknown")]
    KeyUnknown,
    /// The key was disabled.
    #[error("the API key is disabled")]
    KeyDisabled,
    /// The key's time is over.
    #[error("the API key has expired")]
    KeyExpired,
    /// The key is good, but not for this.
    #[error("the API key may not be used for this: it needs the scope {needed}")]
    ScopeMissing {
        /// What it was used for.
        needed: Purpose,
    },
    /// The key lets into another application than the one that the call names.
    #[error("the API key is another application's")]
    OtherApplication,
    /// The registry can't be asked and the key is not cached. Not a denial.
    #[error("the key store can't be reached; the key could not be checked")]
    KeyStoreUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// How the application has ids hashed can't be read: no id may be kept as it is.
    #[error("how the application's ids are hashed can't be read: the registry has to be mended")]
    IdentityUnreadable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The application sends faster than it may.
    #[error("over the application's rate of {limit} {unit} a second")]
    OverRate {
        /// What is limited.
        unit: RateUnit,
        /// How many a second.
        limit: u64,
        /// When the bucket holds enough for this batch.
        retry_after: Duration,
    },
    /// The batch is larger than the application's burst: it can never pass.
    #[error("{amount} {unit} in one batch, but the application's burst is {burst}: send smaller batches")]
    OverBurst {
        /// What is limited.
        unit: RateUnit,
        /// How many the batch holds.
        amount: u64,
        /// How many may come at once.
        burst: u64,
    },
    /// Too many bytes are on their way already.
    #[error("too many bytes in flight {scope}")]
    OverBudget {
        /// Whose budget is used up.
        scope: BudgetScope,
        /// When to try again.
        retry_after: Duration,
    },
    /// The message is larger than a message may be.
    #[error("the message holds {size} bytes, the limit is {limit}: send smaller batches")]
    MessageTooLarge {
        /// Its size, as declared.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The message is larger than a message may be once decompressed.
    #[error("the message decompresses to more than the limit of {limit} bytes: send smaller batches")]
    DecompressedTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The message can't be read.
    #[error("the message can't be decoded: {why}")]
    Undecodable {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The message is compressed in a way the gateway does not know.
    #[error("compression `{encoding}` is not supported: use gzip, zstd or identity")]
    UnsupportedCompression {
        /// What the call names, shortened.
        encoding: String,
    },
    /// The body is of a content type that the path does not take.
    #[error("this content type is not taken here: send {expected}")]
    UnsupportedMediaType {
        /// What it may be.
        expected: &'static str,
    },
    /// A page of an origin that may not call.
    #[error("pages of this origin may not call: `grpc_web.origins` says which may")]
    OriginDenied,
    /// A batch without events.
    #[error("the batch holds no events")]
    EmptyBatch,
    /// More events than a batch may hold.
    #[error("{events} events in one batch, the limit is {limit}: send smaller batches")]
    BatchTooLarge {
        /// How many the batch holds.
        events: u32,
        /// The limit.
        limit: u32,
    },
    /// An event of a batch that is taken whole or not at all breaks a rule.
    #[error("event {index}: {problem}")]
    InvalidEvent {
        /// The event's position in the batch, from 0.
        index: u32,
        /// The field at fault and what is wrong.
        problem: String,
    },
    /// The message did not arrive in time.
    #[error("the message did not arrive whole within {limit:?}")]
    MessageTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The destination takes no events now.
    #[error("the destination can't take events now")]
    DestinationDown {
        /// When to try again.
        retry_after: Duration,
    },
    /// A part of the batch is not stored, and the wire of its door has no verdict for each event to say which.
    #[error(
        "{unsettled} events are not stored, or not known to be, and {stored} are: send the batch again, those that are stored are known by their ids"
    )]
    PartlyStored {
        /// Events that are not stored, or of which nobody knows.
        unsettled: u32,
        /// Events that are stored.
        stored: u32,
        /// When to try again.
        retry_after: Duration,
    },
    /// The gateway is stopping.
    #[error("the gateway is draining: connect again")]
    Draining,
    /// A bug.
    #[error("internal error")]
    Internal,
}

/// What a rate is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateUnit {
    /// Events.
    Events,
    /// Bytes of messages.
    Bytes,
}

impl std::fmt::Display for RateUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Events => "events",
            Self::Bytes => "bytes",
        })
    }
}

/// Whose byte budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetScope {
    /// The gateway's.
    Gateway,
    /// The application's share of it.
    Application,
}

impl std::fmt::Display for BudgetScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gateway => "in the gateway",
            Self::Application => "for this application",
        })
    }
}

/// How loudly a refusal is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// A client's own doing.
    Debug,
    /// Something for an operator to see.
    Warn,
    /// A bug.
    Error,
}

/// One row of the status table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The metric label, and the row's name.
    pub label: &'static str,
    /// The gRPC code.
    pub grpc: Code,
    /// The HTTP status.
    pub http: u16,
    /// How loudly it is logged.
    pub log: LogLevel,
}

impl Refusal {
    /// What this refusal means on the wire and in the books.
    #[must_use]
    pub fn row(&self) -> Row {
        use Code::{
            DeadlineExceeded, Internal, InvalidArgument, PermissionDenied, ResourceExhausted, Unauthenticated,
            Unavailable,
        };
        use LogLevel::{Debug, Error, Warn};
        let (label, grpc, http, log) = match self {
            Self::KeyMissing => ("key_missing", Unauthenticated, 403, Debug),
            Self::KeyMalformed => ("key_malformed", Unauthenticated, 403, Debug),
            Self::KeyUnknown => ("key_unknown", Unauthenticated, 403, Debug),
            Self::KeyDisabled => ("key_disabled", Unauthenticated, 403, Debug),
            Self::KeyExpired => ("key_expired", Unauthenticated, 403, Debug),
            Self::ScopeMissing { .. } => ("scope_missing", Code::PermissionDenied, 403, Debug),
            Self::OtherApplication => ("other_application", PermissionDenied, 403, Debug),
            Self::KeyStoreUnavailable { .. } => ("key_store_unavailable", Unavailable, 503, Warn),
            Self::IdentityUnreadable { .. } => ("identity_unreadable", Unavailable, 503, Warn),
            Self::OverRate { .. } => ("over_rate", ResourceExhausted, 429, Debug),
            Self::OverBurst { .. } => ("over_burst", InvalidArgument, 400, Debug),
            Self::OverBudget { .. } => ("over_budget", Unavailable, 503, Debug),
            Self::MessageTooLarge { .. } => ("message_too_large", InvalidArgument, 413, Debug),
            Self::DecompressedTooLarge { .. } => ("decompressed_too_large", InvalidArgument, 413, Debug),
            Self::Undecodable { .. } => ("undecodable", InvalidArgument, 400, Debug),
            Self::UnsupportedCompression { .. } => ("unsupported_compression", Code::Unimplemented, 415, Debug),
            Self::UnsupportedMediaType { .. } => ("unsupported_media_type", InvalidArgument, 415, Debug),
            Self::OriginDenied => ("origin_denied", PermissionDenied, 403, Debug),
            Self::EmptyBatch => ("empty_batch", InvalidArgument, 400, Debug),
            Self::BatchTooLarge { .. } => ("batch_too_large", InvalidArgument, 400, Debug),
            Self::InvalidEvent { .. } => ("invalid_event", InvalidArgument, 400, Debug),
            Self::MessageTimeout { .. } => ("message_timeout", DeadlineExceeded, 408, Debug),
            Self::DestinationDown { .. } => ("destination_down", Unavailable, 503, Warn),
            Self::PartlyStored { .. } => ("partly_stored", Unavailable, 503, Warn),
            Self::Draining => ("draining", Unavailable, 503, Debug),
            Self::Internal => ("internal", Internal, 500, Error),
        };
        Row { label, grpc, http, log }
    }

    /// When to try again; `None` where trying again can't help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::KeyStoreUnavailable { retry_after }
            | Self::IdentityUnreadable { retry_after }
            | Self::OverRate { retry_after, .. }
            | Self::OverBudget { retry_after, .. }
            | Self::DestinationDown { retry_after }
            | Self::PartlyStored { retry_after, .. } => Some(*retry_after),
            // Another task answers at once; this one does not come back.
            Self::Draining => Some(Duration::from_millis(100)),
            Self::KeyMissing
            | Self::KeyMalformed
            | Self::KeyUnknown
            | Self::KeyDisabled
            | Self::KeyExpired
            | Self::ScopeMissing { .. }
            | Self::OtherApplication
            | Self::OverBurst { .. }
            | Self::MessageTooLarge { .. }
            | Self::DecompressedTooLarge { .. }
            | Self::Undecodable { .. }
            | Self::UnsupportedCompression { .. }
            | Self::UnsupportedMediaType { .. }
            | Self::OriginDenied
            | Self::EmptyBatch
            | Self::BatchTooLarge { .. }
            | Self::InvalidEvent { .. }
            | Self::MessageTimeout { .. }
            | Self::Internal => None,
        }
    }

    /// One of each, for the published table and its test.
    #[must_use]
    pub fn examples() -> Vec<Self> {
        let soon = Duration::from_millis(250);
        vec![
            Self::KeyMissing,
            Self::KeyMalformed,
            Self::KeyUnknown,
            Self::KeyDisabled,
            Self::KeyExpired,
            Self::ScopeMissing { needed: Purpose::SendStream },
            Self::OtherApplication,
            Self::KeyStoreUnavailable { retry_after: soon },
            Self::IdentityUnreadable { retry_after: soon },
            Self::OverRate { unit: RateUnit::Events, limit: 100, retry_after: soon },
            Self::OverBurst { unit: RateUnit::Events, amount: 300, burst: 200 },
            Self::OverBudget { scope: BudgetScope::Gateway, retry_after: soon },
            Self::MessageTooLarge { size: 5 << 20, limit: 4 << 20 },
            Self::DecompressedTooLarge { limit: 4 << 20 },
            Self::Undecodable { why: "a field's length runs past the end of the message" },
            Self::UnsupportedCompression { encoding: "br".to_owned() },
            Self::UnsupportedMediaType { expected: "application/x-protobuf or application/json" },
            Self::OriginDenied,
            Self::EmptyBatch,
            Self::BatchTooLarge { events: 10_001, limit: 10_000 },
            Self::InvalidEvent { index: 3, problem: "event_name is required".to_owned() },
            Self::MessageTimeout { limit: Duration::from_secs(30) },
            Self::DestinationDown { retry_after: soon },
            Self::PartlyStored { unsettled: 40, stored: 60, retry_after: soon },
            Self::Draining,
            Self::Internal,
        ]
    }
}

/// The published table, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from("| refusal | gRPC | HTTP | retry | what the client is told |\n|---|---|---|---|---|\n");
    for refusal in Refusal::examples() {
        let Row { label, grpc, http, .. } = refusal.row();
        let retry = if refusal.retry_after().is_some() { "yes, after the hint" } else { "no" };
        let code = code_name(grpc);
        page.push_str(&format!("| `{label}` | {code} | {http} | {retry} | {refusal} |\n"));
    }
    page
}

/// A code as the gRPC specification writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_table_is_this_table() {
        let page = include_str!("../../../docs/status.md");
        assert!(page.contains(&reference()), "docs/status.md is old: put in what `headgate reference status` prints");
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let mut labels: Vec<_> = Refusal::examples().iter().map(|refusal| refusal.row().label).collect();
        labels.sort_unstable();
        let count = labels.len();
        labels.dedup();
        assert_eq!(labels.len(), count);
    }
}
