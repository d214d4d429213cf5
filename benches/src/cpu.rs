//! CPU time of processes, from the kernel's own books. Linux only.

use std::fs;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Result;

/// A process's CPU time.
#[derive(Clone, Copy, Debug)]
pub struct CpuClock {
    pid: u32,
    clock: ClockId,
}

/// CPU time at one moment.
#[derive(Clone, Copy, Debug)]
pub struct CpuReading {
    // User and system time of all threads, ended ones included.
    total: Duration,
    // Ticks: too coarse to measure with, good enough for the proportion of the two.
    user_ticks: u64,
    system_ticks: u64,
}

impl CpuClock {
    /// Of a process that runs.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn of(pid: u32) -> Result<Self> {
        let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))?;
        Ok(Self { pid, clock })
    }

    /// The process's resident memory, bytes.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next()).ok_or("/proc/PID/status has no VmRSS")?;
        Ok(kib.parse::<u64>()? << 10)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn read(&self) -> Result<CpuReading> {
        let time = clock_gettime(self.clock)?;
        let total = Duration::from(time);
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let (user_ticks, system_ticks) = ticks(&stat).ok_or("/proc/PID/stat has an unknown form")?;
        Ok(CpuReading { total, user_ticks, system_ticks })
    }
}

impl CpuReading {
    /// Seconds from `earlier` to this reading.
    #[must_use]
    pub fn seconds_since(&self, earlier: &Self) -> f64 {
        self.total.saturating_sub(earlier.total).as_secs_f64()
    }

    /// The part of it that was spent in the kernel, 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "ticks of minutes")]
    pub fn system_share_since(&self, earlier: &Self) -> f64 {
        let user = self.user_ticks.saturating_sub(earlier.user_ticks) as f64;
        let system = self.system_ticks.saturating_sub(earlier.system_ticks) as f64;
        system / (user + system).max(1.0)
    }
}

// proc_pid_stat(5): the command's name may hold anything, so fields count from its closing parenthesis; utime is the 14th
// field, stime the 15th, and the one after the parenthesis the third.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(14 - 3);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The CPU time of this thread so far.
#[must_use]
pub fn thread_time() -> Duration {
    // The clock exists since Linux 2.6.12 and takes no argument that could be wrong.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// How busy the whole machine was.
#[derive(Clone, Copy, Debug)]
pub struct MachineReading {
    busy_ticks: u64,
    all_ticks: u64,
}

impl MachineReading {
    /// Now.
    ///
    /// # Errors
    /// If `/proc/stat` can't be read.
    pub fn take() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().ok_or("/proc/stat is empty")?;
        // proc_stat(5): user nice system idle iowait irq softirq steal guest guest_nice; guests are part of user.
        let ticks: Vec<u64> = line.split_ascii_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
        let all_ticks = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { busy_ticks: all_ticks - idle, all_ticks })
    }

    /// The part of all cores that was busy (or taken by the hypervisor) since `earlier`, 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "ticks of minutes")]
    pub fn busy_since(&self, earlier: &Self) -> f64 {
        let all = self.all_ticks.saturating_sub(earlier.all_ticks).max(1) as f64;
        self.busy_ticks.saturating_sub(earlier.busy_ticks) as f64 / all
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 111 222 0 0 20";
        assert_eq!(ticks(stat), Some((111, 222)));
    }

    #[test]
    fn work_shows_on_the_clock() {
        let clock = CpuClock::of(std::process::id()).expect("this process runs");
        let before = clock.read().expect("reads");
        let mut sum = 0_u64;
        for n in 0..5_000_000_u64 {
            sum = black_box(sum.wrapping_add(n));
        }
        let after = clock.read().expect("reads");
        assert!(after.seconds_since(&before) > 0.000_1);
    }
}
