//! What came of a run, as the JSON file that `report`, `merge` and `compare` read.
//!
//! Everything a judgement needs is in it: the resolved configuration and its hash, the ledger, the latencies in buckets
//! that merge exactly, one interval for each second, and what the load tester noticed of itself.

mod file;
mod gateway;
mod interval;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use file::{ResultError, read, write};
pub use gateway::{Gateway, Look, MOST_LOOKS};
pub use interval::{Health, HealthState, Interval};

use crate::config::RunConfig;
use crate::record::{Latencies, Ledger};

/// The version of the file's shape; a reader refuses others.
pub const SCHEMA: u32 = 1;

/// A run's result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The load tester's version.
    pub version: String,
    /// The settings after scenario, file and flags are taken together.
    pub config: RunConfig,
    /// [`RunConfig::hash`]: runs with the same one can be compared.
    pub config_hash: String,
    /// The machine.
    pub environment: Environment,
    /// When the schedule began, in seconds of Unix time.
    pub started_at: f64,
    /// How long events were due.
    #[serde(with = "humantime_serde")]
    pub elapsed: Duration,
    /// The judgement.
    pub verdict: Verdict,
    /// Why the verdict is what it is, and what else a reader ought to know; one sentence each.
    pub findings: Vec<String>,
    /// Each rule and how it was judged.
    pub slos: Vec<SloResult>,
    /// Where every event has gone.
    pub ledger: Ledger,
    /// The latencies of all classes of servers together.
    pub latencies: Series,
    /// The same and the ledger for each class (`good`, `hot`, `bad`, …), if there is more than one.
    pub classes: BTreeMap<String, Class>,
    /// Answers by gRPC code name (`OK`, `RESOURCE_EXHAUSTED`, …), counted in batches.
    pub codes: BTreeMap<String, u64>,
    /// What went wrong, in words, and for how many events or times.
    pub problems: BTreeMap<String, u64>,
    /// The named parts of the run, in order.
    pub phases: Vec<Phase>,
    /// The run, second by second; of a long run, several seconds together.
    pub intervals: Vec<Interval>,
    /// The gateway's own figures over the run, if it was asked (`--operate`); of a merged result those of each gateway that
    /// a shard asked. [`MOST_LOOKS`] at the most. Results written before there were any have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<Gateway>,
    /// What the load tester itself used.
    pub usage: Usage,
    /// What only some scenarios measure, such as `recovery_s`, `retry_amplification` or `goodput`; units in the name.
    pub measures: BTreeMap<String, f64>,
    /// Measures that this run could not take, and why.
    #[serde(default)]
    pub unmeasured: BTreeMap<String, String>,
    /// Whether every acknowledged event is at the destination, if that was asked.
    pub verification: Option<Verification>,
    /// What Goose itself measured in the same run with a closed loop, if there was one.
    pub closed_loop: Option<ClosedLoop>,
    /// The parts this result was merged from: index, host, start, events due.
    pub shards: Vec<Shard>,
}

/// The latencies that a run records, once for each event unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// From the instant at which a batch was to leave to its answer.
    pub ack: Latencies,
    /// From the instant at which a batch really left to its answer.
    pub service: Latencies,
    /// From the instant at which an event happened to its answer.
    pub event_age: Latencies,
    /// From the instant at which a batch was to leave to the one at which it did, once for each batch: the load tester's
    /// own lateness.
    pub lag: Latencies,
    /// From the first try to connect to an open stream, once for each stream.
    pub connect: Latencies,
}

impl Series {
    /// Adds what another one holds.
    pub fn add(&mut self, other: &Self) {
        self.ack.add(&other.ack);
        self.service.add(&other.service);
        self.event_age.add(&other.event_age);
        self.lag.add(&other.lag);
        self.connect.add(&other.connect);
    }
}

/// One class of game servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Where its events have gone.
    pub ledger: Ledger,
    /// Its latencies.
    pub latencies: Series,
    /// Its answers by gRPC code name, in batches.
    pub codes: BTreeMap<String, u64>,
}

/// A named part of a run.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Phase {
    /// Such as `ramp`, `hold` or `recovery`.
    pub name: String,
    /// From its beginning, in seconds from the start of the schedule.
    pub from_s: u32,
    /// Up to its end, which is not part of it.
    pub to_s: u32,
}

/// What a run was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every rule holds, the ledger balances, nothing is lost.
    Pass,
    /// A rule does not hold.
    SloFailed,
    /// The load tester itself was the limit, or offered less than planned: the figures say nothing about the gateway.
    Invalid,
    /// Acknowledged events are missing at the destination, or are there more often than retries explain; or the ledger
    /// does not balance.
    DataLoss,
    /// Somebody ended the run early.
    Interrupted,
}

/// How a rule was judged.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct SloResult {
    /// As it was given.
    pub rule: String,
    /// Whether it holds; none if there was nothing to judge (no such phase, class or baseline).
    pub passed: Option<bool>,
    /// What was found, with its unit, in words.
    pub observed: String,
}

/// The machine that a run ran on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Environment {
    /// Its host name.
    pub host: String,
    /// The CPU's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: u32,
    /// The kernel's release.
    pub kernel: String,
    /// The memory, in bytes.
    pub memory: u64,
}

/// What the load tester used. CPU is user and system time of the whole process.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Usage {
    /// CPU seconds while events were due.
    pub cpu_s: f64,
    /// Resident bytes in the middle of the run.
    pub resident: u64,
    /// The most resident bytes before anything was verified.
    pub peak_resident: u64,
    /// `cpu_s` in microseconds for each event due.
    pub cpu_us_per_event: f64,
    /// `peak_resident` for each player.
    pub bytes_per_player: f64,
    /// Events in a batch, on average.
    pub events_per_batch: f64,
}

/// The destination, held against the answers. Counts of events.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Verification {
    /// What was asked, such as `lake:headgate-data/lake`.
    pub destination: String,
    /// Acknowledged, and there.
    pub stored: u64,
    /// Acknowledged, and not there: lost, unless `inconclusive`.
    pub missing: u64,
    /// Records beyond the first of an id.
    pub doubled: u64,
    /// Rejected, and there all the same.
    pub rejected_stored: u64,
    /// Never answered for certain, and there: allowed.
    pub undecided_stored: u64,
    /// There, and never sent by this run: earlier events, no fault.
    pub foreign: u64,
    /// A few of the missing ids.
    pub examples: Vec<String>,
    /// Whether the destination could not be read to its end, so that what is missing may still be on its way: then it
    /// is neither lost nor found. Never set where nothing is missing.
    #[serde(default)]
    pub inconclusive: bool,
}

/// What Goose measured with users that wait for each answer before they send again.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct ClosedLoop {
    /// Goose users.
    pub users: u32,
    /// Calls.
    pub calls: u64,
    /// The median call, in microseconds.
    pub p50_us: u64,
    /// The 99th percentile, in microseconds.
    pub p99_us: u64,
    /// The slowest, in microseconds.
    pub max_us: u64,
}

/// A part that a result was merged from.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
    /// Where it ran.
    pub host: String,
    /// When its schedule began, in seconds of Unix time.
    pub started_at: f64,
    /// Events due in it.
    pub due: u64,
    /// Its own verdict.
    pub verdict: Verdict,
}

impl Verdict {
    /// The process's exit status.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::SloFailed => 3,
            Self::Invalid => 4,
            Self::DataLoss => 5,
            Self::Interrupted => 130,
        }
    }
}
