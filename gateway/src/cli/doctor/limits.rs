//! What the machine or the container gives the process: descriptors, memory, CPU.

use std::fs;

use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};

use super::check::{Check, Verdict};
use crate::config::Settings;

/// Files, sockets to AWS, the registry, standard streams.
const OWN_DESCRIPTORS: u64 = 256;
/// The process without events: key cache, dedupe window, threads, code.
const OWN_MEMORY: u64 = 256 << 20;
/// A byte in flight may stand in a message, in a bucket and, in base64, in a call.
const COPIES: u64 = 4;

pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let connections = u64::from(settings.grpc.max_connections)
        + if settings.rest.enabled { u64::from(settings.rest.max_connections) } else { 0 };
    let limit = getrlimit(Resource::Nofile).current;
    let in_flight = settings.admission.bytes_in_flight.0;
    vec![
        Check::done("open files", descriptors(limit, connections)),
        Check::blocking("memory", move || memory(memory_limit(), in_flight)),
        Check::blocking("CPU", || cpu(quota())),
    ]
}

/// `limit`: none where there is none.
fn descriptors(limit: Option<u64>, connections: u64) -> Verdict {
    let need = connections + OWN_DESCRIPTORS;
    let Some(limit) = limit else { return Verdict::ok("no limit") };
    if limit < OWN_DESCRIPTORS {
        return Verdict::fail(
            format!("{limit} at most; the gateway opens {OWN_DESCRIPTORS} without a single connection"),
            format!("raise it to {need}: `ulimit -n`, LimitNOFILE of systemd, or Ulimits of the container"),
        );
    }
    if limit < need {
        return Verdict::warn(
            format!("{limit} at most; with all of grpc.max_connections and rest.max_connections it takes {need}"),
            format!(
                "raise it to {need}: `ulimit -n`, LimitNOFILE of systemd, or Ulimits of the container; or allow fewer connections"
            ),
        );
    }
    Verdict::ok(format!("{limit} at most, {need} at full use"))
}

/// The cgroup's limit, bytes, or the machine's memory.
fn memory_limit() -> Option<u64> {
    // Version 2, version 1. A container sees its own group at the root.
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = files.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(total_of);
    match (limit, machine) {
        // Version 1 writes an enormous number where there is no limit.
        (Some(limit), Some(machine)) => Some(limit.min(machine)),
        (one, other) => one.or(other),
    }
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn memory(limit: Option<u64>, in_flight: u64) -> Verdict {
    let Some(limit) = limit else { return Verdict::skip("the system does not say how much there is") };
    let full = in_flight.saturating_mul(COPIES).saturating_add(OWN_MEMORY);
    let says = format!(
        "{} to be had; with admission.bytes_in_flight ({}) used up it takes about {}",
        ByteSize(limit).display(),
        ByteSize(in_flight).display(),
        ByteSize(full).display()
    );
    let mend = "more memory (TaskSize), or a lower admission.bytes_in_flight";
    if limit < in_flight.saturating_add(OWN_MEMORY) {
        Verdict::fail(says, mend)
    } else if limit < full {
        Verdict::warn(says, mend)
    } else {
        Verdict::ok(says)
    }
}

/// CPUs that the cgroup grants; none where it grants all.
fn quota() -> Option<f64> {
    let number = |file: &str| fs::read_to_string(file).ok()?.trim().parse::<f64>().ok();
    match fs::read_to_string("/sys/fs/cgroup/cpu.max") {
        Ok(text) => quota_of(&text),
        Err(_) => {
            let quota = number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").filter(|quota| *quota > 0.0)?;
            Some(quota / number("/sys/fs/cgroup/cpu/cpu.cfs_period_us")?)
        }
    }
}

fn quota_of(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

fn cpu(quota: Option<f64>) -> Verdict {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match quota {
        Some(quota) if quota < 1.0 => Verdict::warn(
            format!("{quota:.2} of a CPU: the gateway is stopped for parts of every tenth of a second"),
            "grant one CPU at least",
        ),
        Some(quota) => Verdict::ok(format!("{quota:.2} CPUs granted, {cores} threads")),
        None => Verdict::ok(format!("no quota, {cores} threads")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Level;
    use super::*;

    #[test]
    fn descriptors_are_held_against_the_connections_that_are_allowed() {
        assert_eq!(descriptors(None, 20_000).level, Level::Ok);
        assert_eq!(descriptors(Some(65_536), 20_000).level, Level::Ok);
        assert_eq!(descriptors(Some(1_024), 20_000).level, Level::Warn);
        assert_eq!(descriptors(Some(64), 20_000).level, Level::Fail);
    }

    #[test]
    fn memory_is_held_against_the_budget() {
        let budget = 128 << 20;
        assert_eq!(memory(Some(2 << 30), budget).level, Level::Ok);
        assert_eq!(memory(Some(512 << 20), budget).level, Level::Warn);
        assert_eq!(memory(Some(256 << 20), budget).level, Level::Fail);
        assert_eq!(memory(None, budget).level, Level::Skip);
        assert_eq!(total_of("MemFree: 1 kB\nMemTotal:       16 kB\n"), Some(16 << 10));
    }

    #[test]
    fn a_quota_is_read_as_cpus() {
        assert_eq!(quota_of("200000 100000\n"), Some(2.0));
        assert_eq!(quota_of("max 100000\n"), None);
        assert_eq!(cpu(Some(0.25)).level, Level::Warn);
        assert_eq!(cpu(Some(2.0)).level, Level::Ok);
    }
}
