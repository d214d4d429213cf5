//! The bugs that are put in. Each breaks one promise of `docs/reliability.md`.

use crate::torture::plan::{Destination, Fault, Plan};

/// A text of a file, and what is put in its place.
pub struct Edit {
    /// The file, from the repository's root.
    pub file: &'static str,
    /// What stands there, exactly once.
    pub old: &'static str,
    /// What is put there.
    pub new: &'static str,
}

/// See the module.
pub struct Sabotage {
    /// Its name.
    pub name: &'static str,
    /// What it does, as changes of the source.
    pub edits: &'static [Edit],
    /// Plans in which it shows.
    pub meets: fn(&Plan) -> bool,
    /// Kinds of breach, one of which must be found.
    pub expected: &'static [&'static str],
}

const ANSWERS: &str = "gateway/src/delivery/sender/dispatch/answers.rs";
const SENDER: &str = "gateway/src/delivery/sender/mod.rs";
const TICKET: &str = "gateway/src/gather/ticket.rs";

/// Says of a bucket, ahead of its outcome, that it is stored.
const SAY_STORED: Edit = Edit {
    file: TICKET,
    old: "        let outcome = Outcome::Unknown { reason };\n        match &self.0 {",
    new: "        let (_, outcome) = (reason, Outcome::Stored);\n        match &self.0 {",
};

/// Every sabotage.
pub const SABOTAGES: &[Sabotage] = &[
    Sabotage {
        name: "acknowledge-before-kinesis",
        edits: &[
            SAY_STORED,
            Edit {
                file: SENDER,
                old: "            books.submit(bucket, self.clock.now());",
                new: "            bucket.ticket.answer_unknown(FailureReason::Deadline);\n            books.submit(bucket, self.clock.now());",
            },
        ],
        meets: |plan| kinesis(plan) && !plan.house.spill && undelivered(plan),
        expected: &["missing"],
    },
    Sabotage {
        name: "acknowledge-before-lake",
        edits: &[
            SAY_STORED,
            Edit {
                file: "gateway/src/delivery/lake/queue.rs",
                old: "        state.waiting.push_back(bucket);",
                new: "        bucket.ticket.answer_unknown(FailureReason::Deadline);\n        state.waiting.push_back(bucket);",
            },
        ],
        meets: |plan| lake(plan) && (plan.has("power_cut") || plan.has("disk_full") || plan.has("writes_fail")),
        expected: &["missing"],
    },
    Sabotage {
        name: "take-failed-records-for-stored",
        edits: &[Edit {
            file: ANSWERS,
            old: "                    self.again(record, RETRY_BASE, now, step);",
            new: "                    self.stored(&record, now, step);",
        }],
        meets: |plan| kinesis(plan) && records_fail(plan),
        expected: &["missing"],
    },
    Sabotage {
        name: "send-stored-records-again-with-failed-ones",
        edits: &[
            Edit {
                file: ANSWERS,
                old: "        let mut look_again = false;",
                new: "        let mut look_again = false;\n        let some_failed = results.iter().any(|result| !matches!(result, EntryResult::Stored { .. }));",
            },
            Edit {
                file: ANSWERS,
                old: "                    self.stored(&record, now, step);",
                new: "                    match some_failed && record.piece.tries == 1 {\n                        true => self.again(record, RETRY_BASE, now, step),\n                        false => self.stored(&record, now, step),\n                    }",
            },
        ],
        meets: |plan| {
            matches!(plan.house.destination, Destination::Kinesis { aggregated: false, .. }) && records_fail(plan)
        },
        expected: &["doubled"],
    },
    Sabotage {
        name: "match-results-to-the-wrong-records",
        edits: &[Edit {
            file: ANSWERS,
            old: "        for (record, result) in sent.into_iter().zip(results).rev() {",
            new: "        for (record, result) in sent.into_iter().zip(results.into_iter().rev()).rev() {",
        }],
        meets: |plan| {
            matches!(plan.house.destination, Destination::Kinesis { aggregated: false, .. }) && records_fail(plan)
        },
        expected: &["missing"],
    },
    Sabotage {
        name: "forget-a-permit",
        edits: &[Edit {
            file: "gateway/src/admission/budget.rs",
            old: "    fn drop(&mut self) {\n",
            new: "    fn drop(&mut self) {\n        if self.bytes % 31 == 0 {\n            return;\n        }\n",
        }],
        meets: |_| true,
        expected: &["held"],
    },
    Sabotage {
        name: "acknowledge-a-resend-of-what-is-on-its-way",
        edits: &[Edit {
            file: "gateway/src/gather/in_flight.rs",
            old: "                Some(waiters) => Arc::clone(waiters),",
            new: "                Some(waiters) if id.0 == u64::MAX => Arc::clone(waiters),\n                Some(_) => return Fate::Stored,",
        }],
        meets: |plan| kinesis(plan) && !plan.house.spill && undelivered(plan) && plan.clients.echo_one_in == 3,
        expected: &["missing"],
    },
    Sabotage {
        name: "remember-ids-that-were-not-delivered",
        edits: &[Edit {
            file: "gateway/src/gather/in_flight.rs",
            old: "                None if table.failed.contains(&id) => return Fate::Failed,",
            new: "                None if table.failed.contains(&id) => return Fate::Stored,",
        }],
        meets: |plan| kinesis(plan) && !plan.house.spill && undelivered(plan),
        expected: &["missing"],
    },
    Sabotage {
        name: "skip-the-fsync",
        edits: &[Edit {
            file: "gateway/src/delivery/lake/segment.rs",
            old: "        self.file.sync_data().map_err(|error| Failure { operation: \"sync\", error })?;\n        let synced",
            new: "        let synced",
        }],
        meets: |plan| lake(plan) && plan.has("power_cut"),
        expected: &["missing"],
    },
    Sabotage {
        name: "swap-the-verdicts-of-two-events",
        edits: &[Edit {
            file: "gateway/src/ingest/verdict.rs",
            old: "        let verdict = EventVerdict {\n            index,",
            new: "        let verdict = EventVerdict {\n            index: index ^ 1,",
        }],
        meets: |plan| plan.clients.batch > 1,
        // An answer may name an event that was not sent, or the neighbour of the one that is rejected.
        expected: &["bad-answer", "missing", "not-to-be-there"],
    },
    Sabotage {
        name: "count-only-some-of-the-verdicts",
        edits: &[Edit {
            file: "gateway/src/ingest/verdict.rs",
            old: "        counters.rejected.inc_by(u64::from(verdict.rejected));\n",
            new: "",
        }],
        meets: |_| true,
        expected: &["books"],
    },
    Sabotage {
        name: "call-what-may-be-stored-not-stored",
        edits: &[Edit {
            file: "gateway/src/delivery/sender/parcel.rs",
            old: "        if self.maybe_stored() {",
            new: "        if !self.stored.is_empty() {",
        }],
        meets: |plan| {
            kinesis(plan)
                && !plan.house.spill
                && !plan.house.network
                && in_doubt(plan)
                && plan.clients.cancel_one_in == 0
        },
        expected: &["not-to-be-there"],
    },
];

fn kinesis(plan: &Plan) -> bool {
    matches!(plan.house.destination, Destination::Kinesis { .. })
        && !matches!(plan.house.second_route, Some("firehose"))
}

fn lake(plan: &Plan) -> bool {
    plan.house.destination == Destination::Lake
}

/// Kinesis stores nothing for longer than a deadline.
fn undelivered(plan: &Plan) -> bool {
    let all = |fault: &Fault| match *fault {
        Fault::ServiceDown { .. } | Fault::Refused => true,
        Fault::CallsFail { percent, .. } | Fault::Hang { percent, .. } => percent == 100,
        _ => false,
    };
    plan.strikes.iter().any(|strike| all(&strike.fault) && strike.lasts_ms > plan.house.deadline_ms)
}

fn records_fail(plan: &Plan) -> bool {
    let fails = |fault: &Fault| match *fault {
        Fault::RecordsFail { throttled, .. } | Fault::EachRecordFails { throttled, .. } => !throttled,
        _ => false,
    };
    plan.strikes.iter().any(|strike| fails(&strike.fault))
}

/// Kinesis stores what it does not answer for, for longer than a deadline.
fn in_doubt(plan: &Plan) -> bool {
    let lost = |fault: &Fault| match *fault {
        Fault::AnswerLost { percent, .. } | Fault::AnswerReset { percent, .. } | Fault::AnswerCut { percent, .. } => {
            percent == 100
        }
        _ => false,
    };
    plan.strikes.iter().any(|strike| lost(&strike.fault) && strike.lasts_ms > plan.house.deadline_ms)
}
