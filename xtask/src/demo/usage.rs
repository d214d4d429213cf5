//! What a process uses, read from `/proc`; nothing where there is no `/proc`.

use std::fs;
use std::time::Duration;

/// CPU time and resident memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// User and system time so far.
    pub(super) cpu: Duration,
    /// Resident bytes now.
    pub(super) resident: u64,
    /// The most resident bytes so far.
    pub(super) peak_resident: u64,
}

impl Usage {
    pub(super) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_and_memory_are_read_whatever_the_name() {
        let stat =
            "42 (a) b) S 1 42 42 0 -1 4194304 900 0 0 0 250 50 0 0 20 0 3 0 100 1000000 500 18446744073709551615";
        let status = "Name:\ta) b\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let usage = Usage::parse(stat, status, 100).expect("parses");
        assert_eq!(usage.cpu, Duration::from_secs(3));
        assert_eq!((usage.resident, usage.peak_resident), (1 << 20, 2 << 20));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).expect("it runs");
        assert!(usage.resident > 0 && usage.peak_resident >= usage.resident);
        assert!(Usage::of(u32::MAX).is_none());
    }
}
