//! What a process takes of the machine.

use std::fs;
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
}
