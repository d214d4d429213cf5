//! What can go wrong.

use std::time::Duration;

use serde::Serialize;

use super::house::{HousePlan, RegistryKind};
use crate::aws::faults::{Fault as Injected, Operations, Rule};
use crate::aws::{CallError, RecordError, Service};

/// One kind of service, as faults of calls may be about one or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Calls {
    /// Puts to Kinesis.
    Kinesis,
    /// Puts to Firehose.
    Firehose,
    /// Puts to either.
    Both,
}

/// See the module. Numbers of milliseconds end in `_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[allow(missing_docs, reason = "the names say it; what the stand-in does is documented there")]
pub enum Fault {
    RecordsFail { calls: Calls, records: usize, throttled: bool },
    EachRecordFails { calls: Calls, percent: u64, throttled: bool },
    ShardThrottled { place: usize, percent: u64 },
    CallsFail { calls: Calls, percent: u64, how: &'static str },
    Hang { calls: Calls, percent: u64 },
    LateCommit { calls: Calls, percent: u64, late_ms: u64 },
    SlowAnswer { calls: Calls, percent: u64, slow_ms: u64 },
    AnswerLost { calls: Calls, percent: u64 },
    AnswerReset { calls: Calls, percent: u64 },
    AnswerCut { calls: Calls, percent: u64 },
    AnswerShort { calls: Calls, missing: usize },
    ResetBeforeReading { percent: u64 },
    StaleConnection { percent: u64 },
    ServiceDown { calls: Calls },
    Refused,
    ConnectionsReset,
    IdleConnectionsClosed,
    CredentialsAway { expired: bool },
    Split { place: usize },
    Merge { place: usize },
    KeyStoreDown { how: &'static str },
    ClockJump { minutes: i64 },
    HandlerPanics { times: u64 },
    WriterPanic,
    DiskFull { bytes: u64 },
    WritesFail,
    SyncFails { nth: u64 },
    SyncsHang,
    RenamesFail,
    PowerCut { nth: u64, some_survives: Option<u64> },
    NetworkCut { hang: bool },
    Kill,
    Terminate,
}

pub(super) const CALL_ERRORS: [&str; 6] =
    ["internal_failure", "unavailable", "throttled", "expired_token", "access_denied", "kms_access_denied"];

fn call_error(name: &str) -> CallError {
    match name {
        "internal_failure" => CallError::InternalFailure,
        "unavailable" => CallError::ServiceUnavailable,
        "throttled" => CallError::Throttled,
        "expired_token" => CallError::ExpiredToken,
        "access_denied" => CallError::AccessDenied,
        _ => CallError::KmsAccessDenied,
    }
}

impl Fault {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RecordsFail { .. } => "records_fail",
            Self::EachRecordFails { .. } => "each_record_fails",
            Self::ShardThrottled { .. } => "shard_throttled",
            Self::CallsFail { .. } => "calls_fail",
            Self::Hang { .. } => "hang",
            Self::LateCommit { .. } => "late_commit",
            Self::SlowAnswer { .. } => "slow_answer",
            Self::AnswerLost { .. } => "answer_lost",
            Self::AnswerReset { .. } => "answer_reset",
            Self::AnswerCut { .. } => "answer_cut",
            Self::AnswerShort { .. } => "answer_short",
            Self::ResetBeforeReading { .. } => "reset_before_reading",
            Self::StaleConnection { .. } => "stale_connection",
            Self::ServiceDown { .. } => "service_down",
            Self::Refused => "refused",
            Self::ConnectionsReset => "connections_reset",
            Self::IdleConnectionsClosed => "idle_connections_closed",
            Self::CredentialsAway { .. } => "credentials_away",
            Self::Split { .. } => "split",
            Self::Merge { .. } => "merge",
            Self::KeyStoreDown { .. } => "key_store_down",
            Self::ClockJump { .. } => "clock_jump",
            Self::HandlerPanics { .. } => "handler_panics",
            Self::WriterPanic => "writer_panic",
            Self::DiskFull { .. } => "disk_full",
            Self::WritesFail => "writes_fail",
            Self::SyncFails { .. } => "sync_fails",
            Self::SyncsHang => "syncs_hang",
            Self::RenamesFail => "renames_fail",
            Self::PowerCut { .. } => "power_cut",
            Self::NetworkCut { .. } => "network_cut",
            Self::Kill => "kill",
            Self::Terminate => "terminate",
        }
    }

    /// Whether the gateway goes down by it and is started again.
    #[must_use]
    pub fn restarts(&self) -> bool {
        matches!(self, Self::PowerCut { .. } | Self::Kill | Self::Terminate)
    }

    /// Whether both may be in one plan for this house.
    pub(super) fn goes_with(&self, other: &Self, house: &HousePlan) -> bool {
        // What refuses all connections stands before the key store, too.
        let takes_key_store = |fault: &Self| match fault {
            Self::KeyStoreDown { .. } => true,
            Self::Refused => house.registry == RegistryKind::Dynamodb,
            _ => false,
        };
        let keeps_down = |fault: &Self| takes_key_store(fault) || matches!(fault, Self::CredentialsAway { .. });
        match (self, other) {
            // The rig has one of each.
            (Self::ClockJump { .. }, Self::ClockJump { .. })
            | (Self::NetworkCut { .. }, Self::NetworkCut { .. })
            | (Self::CredentialsAway { .. }, Self::CredentialsAway { .. })
            | (Self::PowerCut { .. }, Self::PowerCut { .. })
            | (Self::IdleConnectionsClosed, Self::IdleConnectionsClosed)
            | (Self::Refused, Self::Refused) => false,
            // A gateway does not start without its key store, nor without credentials.
            (one, other) if keeps_down(one) && other.restarts() || keeps_down(other) && one.restarts() => false,
            _ => true,
        }
    }

    /// The same as a rule of the stand-in, where it is one.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        let error = |throttled| if throttled { RecordError::Throttled } else { RecordError::InternalFailure };
        let ms = Duration::from_millis;
        let (fault, calls, percent) = match *self {
            Self::RecordsFail { calls, records, throttled } => {
                (Injected::RecordsFail { records, error: error(throttled) }, calls, 100)
            }
            Self::EachRecordFails { calls, percent, throttled } => {
                let probability = percent as f64 / 100.0;
                (Injected::EachRecordFails { probability, error: error(throttled) }, calls, 100)
            }
            Self::CallsFail { calls, percent, how } => (Injected::CallFails(call_error(how)), calls, percent),
            Self::ServiceDown { calls } => (Injected::CallFails(CallError::ServiceUnavailable), calls, 100),
            Self::Hang { calls, percent } => (Injected::Hang, calls, percent),
            Self::LateCommit { calls, percent, late_ms } => (Injected::LateCommit(ms(late_ms)), calls, percent),
            Self::SlowAnswer { calls, percent, slow_ms } => (Injected::SlowAnswer(ms(slow_ms)), calls, percent),
            Self::AnswerLost { calls, percent } => (Injected::AnswerLost, calls, percent),
            Self::AnswerReset { calls, percent } => (Injected::AnswerReset, calls, percent),
            Self::AnswerCut { calls, percent } => (Injected::AnswerCut, calls, percent),
            Self::AnswerShort { calls, missing } => (Injected::AnswerShort { missing }, calls, 60),
            Self::ResetBeforeReading { percent } => (Injected::ResetBeforeReading, Calls::Both, percent),
            Self::StaleConnection { percent } => (Injected::StaleConnection, Calls::Both, percent),
            Self::KeyStoreDown { how } => {
                let fault = match how {
                    "hang" => Injected::Hang,
                    "reset" => Injected::ResetBeforeReading,
                    _ => Injected::CallFails(CallError::InternalFailure),
                };
                return Some(Rule::new(fault).service(Service::DynamoDb).operations(Operations::All));
            }
            _ => return None,
        };
        let rule = Rule::new(fault).probability(percent as f64 / 100.0);
        Some(match calls {
            Calls::Kinesis => rule.service(Service::Kinesis),
            Calls::Firehose => rule.service(Service::Firehose),
            Calls::Both => rule,
        })
    }
}
