//! What a fault is, and which calls it may hit.

use std::time::Duration;

use super::super::error::{CallError, RecordError, Service};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Exactly so many of a call's records fail, at random places; all of them if there are fewer.
    RecordsFail {
        /// How many.
        records: usize,
        /// How.
        error: RecordError,
    },
    /// Each record fails with this probability.
    EachRecordFails {
        /// From 0 to 1.
        probability: f64,
        /// How.
        error: RecordError,
    },
    /// The call is answered with an error; nothing is stored.
    CallFails(CallError),
    /// The call is read and never answered; nothing is stored.
    Hang,
    /// The call runs only after this time, even if its client has gone by then.
    LateCommit(Duration),
    /// The call runs at once, its answer comes only after this time.
    SlowAnswer(Duration),
    /// The call runs and is never answered.
    AnswerLost,
    /// The call runs, then the connection is reset instead of an answer.
    AnswerReset,
    /// The call runs, half of its answer is sent, then the connection is reset.
    AnswerCut,
    /// The call runs, but the last so many entries are missing from its answer.
    AnswerShort {
        /// How many.
        missing: usize,
    },
    /// The connection is reset when a call's head has come, before its body is read.
    ResetBeforeReading,
    /// The same, but only on a connection that has carried a call before: the pooled connection was stale.
    StaleConnection,
}

impl Fault {
    /// Its name in the tally.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordsFail { .. } => "records_fail",
            Self::EachRecordFails { .. } => "each_record_fails",
            Self::CallFails(_) => "call_fails",
            Self::Hang => "hang",
            Self::LateCommit(_) => "late_commit",
            Self::SlowAnswer(_) => "slow_answer",
            Self::AnswerLost => "answer_lost",
            Self::AnswerReset => "answer_reset",
            Self::AnswerCut => "answer_cut",
            Self::AnswerShort { .. } => "answer_short",
            Self::ResetBeforeReading => "reset_before_reading",
            Self::StaleConnection => "stale_connection",
        }
    }

    pub(super) fn of_records(self) -> bool {
        matches!(self, Self::RecordsFail { .. } | Self::EachRecordFails { .. })
    }

    pub(super) fn before_reading(self) -> bool {
        matches!(self, Self::ResetBeforeReading | Self::StaleConnection)
    }
}

/// Which operations a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operations {
    /// PutRecords, PutRecord and PutRecordBatch.
    Puts,
    /// All others: describing, listing, resharding, reading.
    Others,
    /// All.
    All,
    /// One, by its name in AWS's API.
    Named(&'static str),
}

impl Operations {
    pub(super) fn include(self, operation: &str) -> bool {
        let put = matches!(operation, "PutRecords" | "PutRecord" | "PutRecordBatch");
        match self {
            Self::Puts => put,
            Self::Others => !put,
            Self::All => true,
            Self::Named(name) => name == operation,
        }
    }
}

/// A fault and its scope. Without more it hits every put of both services, until it is taken back.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) fault: Fault,
    pub(super) service: Option<Service>,
    pub(super) operations: Operations,
    pub(super) stream: Option<String>,
    pub(super) shard: Option<u32>,
    pub(super) probability: f64,
    pub(super) after: u64,
    pub(super) times: Option<u64>,
}

impl Rule {
    /// See the type.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            service: None,
            operations: Operations::Puts,
            stream: None,
            shard: None,
            probability: 1.0,
            after: 0,
            times: None,
        }
    }

    /// Only this service's calls.
    #[must_use]
    pub fn service(self, service: Service) -> Self {
        Self { service: Some(service), ..self }
    }

    /// These operations.
    #[must_use]
    pub fn operations(self, operations: Operations) -> Self {
        Self { operations, ..self }
    }

    /// Only calls about this stream or delivery stream.
    ///
    /// # Panics
    /// If the fault strikes before it is known what the call is about.
    #[must_use]
    pub fn stream(self, name: &str) -> Self {
        assert!(!self.fault.before_reading(), "{:?} does not know the stream", self.fault);
        Self { stream: Some(name.to_owned()), ..self }
    }

    /// Only records for this shard, by its number.
    ///
    /// # Panics
    /// If the fault is not one of single records.
    #[must_use]
    pub fn shard(self, shard: u32) -> Self {
        assert!(self.fault.of_records(), "{:?} strikes calls, not records", self.fault);
        Self { shard: Some(shard), ..self }
    }

    /// Hits a call only with this probability.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// Lets so many calls of its scope pass first.
    #[must_use]
    pub fn after(self, calls: u64) -> Self {
        Self { after: calls, ..self }
    }

    /// Hits so many calls, then no more.
    #[must_use]
    pub fn times(self, calls: u64) -> Self {
        Self { times: Some(calls), ..self }
    }
}
