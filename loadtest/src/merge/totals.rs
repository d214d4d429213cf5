//! What is added of two results beside ledgers and latencies: usage, verification, machines.

use std::collections::{BTreeMap, BTreeSet};

use crate::result::{ClosedLoop, Environment, Usage, Verification};

/// What the load testers used, each with the events that were due in it and the events that it sent.
#[derive(Default)]
pub(super) struct UsageTotal {
    cpu_s: f64,
    resident: u64,
    peak_resident: u64,
    sent: f64,
    batches: f64,
}

impl UsageTotal {
    pub(super) fn add(&mut self, usage: &Usage, sent: u64) {
        self.cpu_s += usage.cpu_s;
        self.resident += usage.resident;
        self.peak_resident += usage.peak_resident;
        if usage.events_per_batch > 0.0 {
            self.sent += sent as f64;
            self.batches += sent as f64 / usage.events_per_batch;
        }
    }

    /// The derived figures come from the sums, for so many events due and players.
    pub(super) fn finish(&self, due: u64, players: f64) -> Usage {
        let over = |sum: f64, by: f64| if by > 0.0 { sum / by } else { 0.0 };
        Usage {
            cpu_s: self.cpu_s,
            resident: self.resident,
            peak_resident: self.peak_resident,
            cpu_us_per_event: over(self.cpu_s * 1e6, due as f64),
            bytes_per_player: over(self.peak_resident as f64, players),
            events_per_batch: over(self.sent, self.batches),
        }
    }
}

/// A few of the missing ids are enough.
const EXAMPLES: usize = 10;

/// Adds the counts of another shard.
///
/// Shards that looked at the same destination each saw the others' events there and called them foreign: what is really
/// foreign is what remains without them.
pub(super) fn verification(parts: &[Verification]) -> Option<Verification> {
    let own = |part: &Verification| part.stored + part.doubled + part.rejected_stored + part.undecided_stored;
    let mut whole = Verification::default();
    let mut destinations: BTreeMap<&str, Vec<&Verification>> = BTreeMap::new();
    for part in parts {
        whole.stored += part.stored;
        whole.missing += part.missing;
        whole.doubled += part.doubled;
        whole.rejected_stored += part.rejected_stored;
        whole.undecided_stored += part.undecided_stored;
        whole.inconclusive |= part.inconclusive;
        whole.examples.extend(part.examples.iter().cloned());
        destinations.entry(&part.destination).or_default().push(part);
    }
    for there in destinations.values() {
        let all: u64 = there.iter().map(|part| own(part)).sum();
        let really = there.iter().map(|part| part.foreign.saturating_sub(all - own(part))).min();
        whole.foreign += really.unwrap_or_default();
    }
    whole.destination = destinations.keys().copied().collect::<Vec<_>>().join(", ");
    whole.examples.truncate(EXAMPLES);
    (!parts.is_empty()).then_some(whole)
}

/// Adds another shard's closed loop. Percentiles without buckets can't be merged: the worst shard's stand.
pub(super) fn closed_loop(whole: &mut Option<ClosedLoop>, part: Option<ClosedLoop>) {
    match (whole.as_mut(), part) {
        (Some(whole), Some(part)) => {
            whole.users += part.users;
            whole.calls += part.calls;
            whole.p50_us = whole.p50_us.max(part.p50_us);
            whole.p99_us = whole.p99_us.max(part.p99_us);
            whole.max_us = whole.max_us.max(part.max_us);
        }
        (None, Some(part)) => *whole = Some(part),
        (_, None) => {}
    }
}

/// The machines together: cores and memory of each host once.
pub(super) fn environment(parts: &[Environment]) -> Environment {
    let hosts: BTreeMap<&str, &Environment> = parts.iter().map(|part| (part.host.as_str(), part)).collect();
    let all = |of: fn(&Environment) -> &str| {
        let names: BTreeSet<&str> = parts.iter().map(of).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    Environment {
        host: if hosts.len() > 3 { format!("{} hosts", hosts.len()) } else { all(|part| &part.host) },
        cpu: all(|part| &part.cpu),
        cores: hosts.values().map(|part| part.cores).sum(),
        kernel: all(|part| &part.kernel),
        memory: hosts.values().map(|part| part.memory).sum(),
    }
}
