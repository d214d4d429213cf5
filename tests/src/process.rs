//! What a process takes of the machine.

use std::fs;
use std::process::Command;
use std::time::Duration;

/// The CPU time of a process so far, in user space and in the kernel.
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process shows its times");
    // Its name, in brackets, may hold blanks.
    let fields = stat.rsplit_once(')').expect("a name in brackets").1;
    // proc(5): fields 14 and 15, of which the first behind the name is 3.
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The most memory that a process has taken since [`forget_peak`], bytes.
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn peak_resident(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

/// What a process takes of memory now, bytes.
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn resident(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

/// Has [`peak_resident`] begin anew (proc(5), `clear_refs`).
///
/// # Panics
/// If there is no such process, or it is someone else's.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the peak of one's own process can be reset");
}

/// The cores that this process may use, as `taskset` names them, in order.
///
/// # Panics
/// If the system does not say.
#[must_use]
pub fn cores() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").expect("a process shows its status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("and its cores");
    let number = |text: &str| text.trim().parse::<u32>().expect("a number");
    let ranges = list.split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    ranges.flat_map(|(first, last)| number(first)..=number(last)).map(|core| core.to_string()).collect()
}

/// Keeps a process, all of its threads and what they start, to these cores.
///
/// # Panics
/// If that can't be done: `taskset` (util-linux) has to be there.
pub fn pin(pid: u32, cores: &[String]) {
    let output = Command::new("taskset").args(["-a", "-p", "-c", &cores.join(","), &pid.to_string()]).output();
    let output = output.expect("taskset can be run: install util-linux");
    assert!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
}

fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process shows its status");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("and its memory");
    let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("in kB");
    kib << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time() {
        let before = cpu_time(std::process::id());
        let mut number = 0_u64;
        while cpu_time(std::process::id()) == before {
            number = std::hint::black_box(number.wrapping_add(1));
        }
        assert!(number > 0);
    }

    #[test]
    fn a_peak_can_be_forgotten() {
        let own = std::process::id();
        drop(std::hint::black_box(vec![1_u8; 256 << 20]));
        assert!(peak_resident(own) > 256 << 20);
        forget_peak(own);
        // Other tests of this process take memory, too.
        assert!(peak_resident(own) >= resident(own) / 2);
    }
}
