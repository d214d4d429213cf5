//! The machine, and what a process uses, read from `/proc`; empty or nothing where there is no `/proc`.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use super::cgroup::Cgroups;
use crate::result::Environment;

/// CPU time and resident memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessUsage {
    /// User and system time so far; as fine as the kernel's clock tick, most often 10 ms.
    pub cpu: Duration,
    /// Resident bytes now.
    pub resident: u64,
    /// The most resident bytes so far.
    pub peak_resident: u64,
}

impl ProcessUsage {
    /// What a process uses; none if there is no such process.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::read(&Path::new("/proc").join(pid.to_string()))
    }

    /// The same from its folder in `/proc`.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        let status = fs::read_to_string(folder.join("status")).ok()?;
        Self::parse(&stat, &status, rustix::param::clock_ticks_per_second())
    }

    /// See proc_pid_stat(5) and proc_pid_status(5).
    fn parse(stat: &str, status: &str, ticks_per_second: u64) -> Option<Self> {
        // The second field is the name in brackets and may hold anything, brackets too; utime and stime are the 14th and
        // the 15th.
        let after_name = &stat[stat.rfind(')')? + 1..];
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let kib = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        Some(Self {
            cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64),
            resident: kib("VmRSS:")? << 10,
            peak_resident: kib("VmHWM:")? << 10,
        })
    }
}

/// Cores that this process may use: its affinity and its cgroups' quota count.
pub(super) fn cores() -> u32 {
    available_parallelism().map_or(1, NonZero::get).try_into().unwrap_or(u32::MAX)
}

/// Looks at the machine. Cores and memory are what this process may use of it.
#[must_use]
pub fn environment() -> Environment {
    let proc = Path::new("/proc");
    let line = |path: &str| fs::read_to_string(proc.join(path)).unwrap_or_default().trim().to_owned();
    let limit = Cgroups::find(proc).memory_limit().unwrap_or(u64::MAX);
    Environment {
        host: line("sys/kernel/hostname"),
        cpu: cpu_name(&line("cpuinfo")),
        cores: cores(),
        kernel: line("sys/kernel/osrelease"),
        memory: total_memory(&line("meminfo")).min(limit),
    }
}

/// The name of x86 CPUs; the numbers that Arm gives to maker and design where there is no name.
fn cpu_name(cpuinfo: &str) -> String {
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    match (value("model name"), value("CPU implementer"), value("CPU part")) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(maker), Some(part)) => format!("{} (implementer {maker}, part {part})", std::env::consts::ARCH),
        _ => std::env::consts::ARCH.to_owned(),
    }
}

fn total_memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_and_memory_are_read_whatever_the_name() {
        let stat =
            "42 (a) b) S 1 42 42 0 -1 4194304 900 0 0 0 250 50 0 0 20 0 3 0 100 1000000 500 18446744073709551615";
        let status = "Name:\ta) b\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let usage = ProcessUsage::parse(stat, status, 100).expect("parses");
        assert_eq!(usage.cpu, Duration::from_secs(3));
        assert_eq!((usage.resident, usage.peak_resident), (1 << 20, 2 << 20));
    }

    #[test]
    fn a_cpu_is_named_as_well_as_the_kernel_can() {
        let x86 = "processor\t: 0\nmodel\t\t: 167\nmodel name\t: A Fast One\nmodel name\t: A Fast One\n";
        assert_eq!(cpu_name(x86), "A Fast One");
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";
        assert!(cpu_name(arm).ends_with("(implementer 0x41, part 0xd40)"));
        assert_eq!(cpu_name(""), std::env::consts::ARCH);
        assert_eq!(total_memory("MemTotal:       1024 kB\nMemFree: 5 kB\n"), 1 << 20);
        assert_eq!(total_memory(""), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_and_this_machine_are_seen() {
        let usage = ProcessUsage::of(std::process::id()).expect("it runs");
        assert!(usage.resident > 0 && usage.peak_resident >= usage.resident);
        assert!(ProcessUsage::of(u32::MAX).is_none());
        let machine = environment();
        assert!(!machine.host.is_empty() && !machine.cpu.is_empty() && !machine.kernel.is_empty());
        assert!(machine.cores > 0 && machine.memory >= usage.resident);
    }
}
