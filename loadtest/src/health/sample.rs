//! What this process and its machine did in the last second.
//!
//! Reads a few small files of `/proc` and the cgroup, some 4 us for each thread. A file that does not exist, as
//! outside Linux or without PSI, leaves its figure at zero or none.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::cgroup::Cgroups;
use super::machine::{self, ProcessUsage};

/// What happened since the sample before. Figures that are "per second" are scaled to one, however long that was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// How long that was.
    pub span: Duration,
    /// Time that threads were ready and had no core, in seconds of all threads together, per second.
    pub run_queue_s: f64,
    /// CPU time of this process, in seconds per second.
    pub cpu_s: f64,
    /// The busiest runtime worker's share, 0 to 1; or the process's share of its cores, where that is more: game servers'
    /// clients have threads of their own, and not everywhere are workers counted.
    pub busy: f64,
    /// Share of the time for which the cgroup's CPU quota stopped this process, 0 to 1. The kernel sums over CPUs, so
    /// this is an upper bound.
    pub throttled: f64,
    /// Share of the time in which some task of the machine waited for a CPU, 0 to 1; none without PSI.
    pub pressure: Option<f64>,
    /// Resident bytes at the end.
    pub resident: u64,
}

/// Takes samples.
pub struct Sampler {
    proc: PathBuf,
    cgroups: Cgroups,
    runtime: Handle,
    cores: u32,
    before: Counters,
    at: Instant,
}

/// The counters that samples are differences of.
#[derive(Default)]
struct Counters {
    /// By thread: how long it has been ready without a core.
    waited: HashMap<u32, Duration>,
    usage: ProcessUsage,
    /// By worker.
    busy: Vec<Duration>,
    throttled: Option<Duration>,
    stalled: Option<Duration>,
}

impl Sampler {
    /// Begins to look at this process, whose load runs on `runtime`.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self::within(Path::new("/proc"), runtime)
    }

    fn within(proc: &Path, runtime: Handle) -> Self {
        let mut sampler = Self {
            proc: proc.to_path_buf(),
            cgroups: Cgroups::find(proc),
            runtime,
            cores: machine::cores(),
            before: Counters::default(),
            at: Instant::now(),
        };
        sampler.before = sampler.read();
        sampler
    }

    /// What happened since the sample before, or since the sampler began. To be called once a second.
    pub fn sample(&mut self, now: Instant) -> Sample {
        let counters = self.read();
        let span = now.saturating_duration_since(self.at);
        let sample =
            Sample { resident: counters.usage.resident, ..difference(&self.before, &counters, span, self.cores) };
        self.before = counters;
        self.at = now;
        sample
    }

    fn read(&self) -> Counters {
        let metrics = self.runtime.metrics();
        #[cfg(target_has_atomic = "64")]
        let busy = (0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).collect();
        #[cfg(not(target_has_atomic = "64"))]
        let busy = Vec::new();
        let pressure = fs::read_to_string(self.proc.join("pressure/cpu"));
        Counters {
            waited: waits(&self.proc.join("self/task")),
            usage: ProcessUsage::read(&self.proc.join("self")).unwrap_or_default(),
            busy,
            throttled: self.cgroups.throttled(),
            stalled: pressure.ok().as_deref().and_then(parse_pressure),
        }
    }
}

fn difference(before: &Counters, after: &Counters, span: Duration, cores: u32) -> Sample {
    let seconds = span.as_secs_f64().max(1e-3);
    let per_second = |time: Duration| time.as_secs_f64() / seconds;
    // A thread that ended takes the last of its wait with it; a new one that got an old one's number starts from nothing.
    let waits = after.waited.iter().map(|(thread, waited)| {
        let base = before.waited.get(thread).copied().filter(|base| base <= waited).unwrap_or_default();
        per_second(*waited - base)
    });
    let run_queue_s = waits.sum();
    let cpu_s = per_second(after.usage.cpu.saturating_sub(before.usage.cpu));
    let workers = after.busy.iter().zip(&before.busy).map(|(now, then)| per_second(now.saturating_sub(*then)));
    let busy = workers.fold(cpu_s / f64::from(cores.max(1)), f64::max);
    let share = |then: Option<Duration>, now: Option<Duration>| Some(per_second(now?.saturating_sub(then?)).min(1.0));
    Sample {
        span,
        run_queue_s,
        cpu_s,
        busy: busy.min(1.0),
        throttled: share(before.throttled, after.throttled).unwrap_or(0.0),
        pressure: share(before.stalled, after.stalled),
        resident: 0,
    }
}

/// The run-queue wait of each live thread.
fn waits(tasks: &Path) -> HashMap<u32, Duration> {
    let Ok(threads) = fs::read_dir(tasks) else { return HashMap::new() };
    threads
        .filter_map(|thread| {
            let thread = thread.ok()?;
            let number = thread.file_name().to_str()?.parse().ok()?;
            Some((number, parse_schedstat(&fs::read_to_string(thread.path().join("schedstat")).ok()?)?))
        })
        .collect()
}

/// Nanoseconds on a CPU, nanoseconds on the run queue, time slices: see the kernel's sched-stats.
fn parse_schedstat(text: &str) -> Option<Duration> {
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// `some avg10=… avg60=… avg300=… total=MICROSECONDS`: see the kernel's psi.
fn parse_pressure(text: &str) -> Option<Duration> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.rsplit_once("total=")?.1.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    fn counters(waited: &[(u32, u64)]) -> Counters {
        let waited = waited.iter().map(|(thread, ms)| (*thread, Duration::from_millis(*ms))).collect();
        Counters { waited, ..Counters::default() }
    }

    #[test]
    fn a_wait_is_counted_once_though_threads_come_and_go() {
        let before = counters(&[(1, 100), (2, 900), (3, 700)]);
        // 1 waits 50 ms, 2 has ended, 3 ended and another thread got its number, 4 is new.
        let after = counters(&[(1, 150), (3, 10), (4, 20)]);
        let sample = difference(&before, &after, Duration::from_secs(1), 2);
        assert!((sample.run_queue_s - 0.08).abs() < 1e-9);
        let slow = difference(&before, &after, Duration::from_secs(2), 2);
        assert!((slow.run_queue_s - 0.04).abs() < 1e-9, "a late sample is scaled to a second");
    }

    #[test]
    fn the_busiest_worker_counts_and_the_process_where_workers_do_not() {
        let ms = Duration::from_millis;
        let usage = |cpu| ProcessUsage { cpu, ..ProcessUsage::default() };
        let before = Counters { busy: vec![ms(10), ms(20)], usage: usage(ms(100)), ..Counters::default() };
        let after = Counters { busy: vec![ms(110), ms(620)], usage: usage(ms(900)), ..Counters::default() };
        let sample = difference(&before, &after, ms(1_000), 2);
        assert!((sample.busy - 0.6).abs() < 1e-9 && (sample.cpu_s - 0.8).abs() < 1e-9);
        let without = Counters { busy: Vec::new(), usage: usage(ms(900)), ..Counters::default() };
        assert!((difference(&before, &without, ms(1_000), 2).busy - 0.4).abs() < 1e-9);
    }

    /// Literal files of a `/proc`, with a cgroup of version 2 that is throttled.
    #[test]
    fn files_become_a_sample() {
        let tree = tempfile::tempdir().expect("a folder");
        let proc = tree.path().join("proc");
        let group = tree.path().join("cgroup");
        for folder in [proc.join("self/task/7"), proc.join("self/task/8"), proc.join("pressure"), group.clone()] {
            fs::create_dir_all(folder).expect("created");
        }
        let write = |path: PathBuf, text: &str| fs::write(path, text).expect("written");
        write(proc.join("self/cgroup"), "0::/\n");
        write(
            proc.join("self/mountinfo"),
            &format!("31 23 0:28 / {} rw - cgroup2 cgroup2 rw\n", group.to_str().expect("UTF-8")),
        );
        write(proc.join("self/status"), "VmHWM:\t 2048 kB\nVmRSS:\t 1024 kB\n");
        let step = |cpu_ticks: u64, waited: [u64; 2], throttled: u64, stalled: u64| {
            let stat = format!("1 (x) S 1 1 1 0 -1 0 0 0 0 0 {cpu_ticks} 0 0 0 20 0 2 0 1 1 1 1");
            write(proc.join("self/stat"), &stat);
            write(proc.join("self/task/7/schedstat"), &format!("5 {} 3\n", waited[0]));
            write(proc.join("self/task/8/schedstat"), &format!("5 {} 3\n", waited[1]));
            write(group.join("cpu.stat"), &format!("usage_usec 1\nthrottled_usec {throttled}\n"));
            let some = format!("some avg10=8.71 avg60=2.15 avg300=1.47 total={stalled}\n");
            write(proc.join("pressure/cpu"), &format!("{some}full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"));
        };
        let ticks = rustix::param::clock_ticks_per_second();
        step(0, [1_000_000, 5], 10, 1_000);
        let runtime = runtime();
        let mut sampler = Sampler::within(&proc, runtime.handle().clone());
        step(ticks / 2, [31_000_000, 10_000_005], 20_010, 251_000);
        let sample = sampler.sample(sampler.at + Duration::from_secs(1));
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{sample:?}");
        near(sample.run_queue_s, 0.04);
        near(sample.cpu_s, 0.5);
        near(sample.throttled, 0.02);
        near(sample.pressure.expect("there is a file"), 0.25);
        assert_eq!(sample.resident, 1 << 20);
    }

    #[test]
    fn a_machine_without_these_files_gives_zeros() {
        let nothing = tempfile::tempdir().expect("a folder");
        let runtime = runtime();
        let mut sampler = Sampler::within(nothing.path(), runtime.handle().clone());
        let sample = sampler.sample(sampler.at + Duration::from_secs(1));
        assert_eq!(sample, Sample { span: Duration::from_secs(1), ..Sample::default() });
    }

    /// More spinning threads than cores: some of them have to wait, whatever else the machine does.
    #[cfg(target_os = "linux")]
    #[test]
    fn threads_without_a_core_are_seen_waiting() {
        if !Path::new("/proc/self/schedstat").exists() {
            return;
        }
        let runtime = runtime();
        let mut sampler = Sampler::new(runtime.handle().clone());
        let stop = std::sync::atomic::AtomicBool::new(false);
        let sample = std::thread::scope(|scope| {
            for _ in 0..4 * machine::cores() {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let end = Instant::now() + Duration::from_millis(300);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            let sample = sampler.sample(Instant::now());
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            sample
        });
        assert!(sample.run_queue_s > 0.0 && sample.cpu_s > 0.0, "{sample:?}");
    }
}
