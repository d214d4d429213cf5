//! What the operating system says of this process, under the names that every Prometheus client gives it: looked up at
//! each scrape. What the system does not tell (there is no `/proc`) is left out, not shown as 0.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Description;

described! {
    /// Figures of the process.
    Process {
        CpuSeconds = "process_cpu_seconds" [] "CPU time of all threads so far, in user and system mode, seconds.";
        ResidentMemory = "process_resident_memory_bytes" [] "Memory that is in RAM.";
        VirtualMemory = "process_virtual_memory_bytes" [] "Address space, in RAM or not.";
        OpenDescriptors = "process_open_fds" [] "Open file descriptors; a connection is one.";
        MostDescriptors = "process_max_fds" [] "The limit of open file descriptors (RLIMIT_NOFILE); absent if there is none.";
        StartTime = "process_start_time_seconds" [] "When the process started, seconds of Unix time.";
        Threads = "process_threads" [] "Threads of the operating system.";
    }
}

impl Process {
    /// What its name ends in besides, in the exposition.
    pub(super) fn suffix(self) -> &'static str {
        if self == Self::CpuSeconds { "_total" } else { "" }
    }

    fn metric(self, found: &Found) -> Option<Box<dyn EncodeMetric>> {
        let amount = |figure: Option<u64>| figure.map(|figure| Box::new(ConstGauge::new(figure)) as _);
        match self {
            Self::CpuSeconds => found.cpu_seconds.map(|seconds| Box::new(ConstCounter::new(seconds)) as _),
            Self::ResidentMemory => amount(found.resident_bytes),
            Self::VirtualMemory => amount(found.virtual_bytes),
            Self::OpenDescriptors => amount(found.open_descriptors),
            Self::MostDescriptors => amount(found.most_descriptors),
            Self::StartTime => found.start_seconds.map(|seconds| Box::new(ConstGauge::new(seconds)) as _),
            Self::Threads => amount(found.threads),
        }
    }
}

/// What was found of the process; units are those of the metrics.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    open_descriptors: Option<u64>,
    most_descriptors: Option<u64>,
    start_seconds: Option<f64>,
    threads: Option<u64>,
}

impl Found {
    #[cfg(target_os = "linux")]
    fn now() -> Self {
        use procfs::process::{LimitValue, Process};

        let Ok(process) = Process::myself() else { return Self::default() };
        let ticks_per_second = procfs::ticks_per_second() as f64;
        let limit = process.limits().ok().map(|limits| limits.max_open_files.soft_limit);
        let mut found = Self {
            open_descriptors: process.fd_count().ok().map(|open| open as u64),
            most_descriptors: limit.and_then(|limit| match limit {
                LimitValue::Value(most) => Some(most),
                LimitValue::Unlimited => None,
            }),
            ..Self::default()
        };
        if let Ok(stat) = process.stat() {
            found.cpu_seconds = Some((stat.utime + stat.stime) as f64 / ticks_per_second);
            found.resident_bytes = Some(stat.rss * procfs::page_size());
            found.virtual_bytes = Some(stat.vsize);
            found.threads = u64::try_from(stat.num_threads).ok();
            let since_boot = stat.starttime as f64 / ticks_per_second;
            found.start_seconds = procfs::boot_time_secs().ok().map(|boot| boot as f64 + since_boot);
        }
        found
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        Self::default()
    }
}

/// Looks the process up whenever its registry is encoded.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        encode(encoder, &Found::now())
    }
}

fn encode(mut encoder: DescriptorEncoder<'_>, found: &Found) -> Result<(), fmt::Error> {
    for process in Process::ALL {
        let Some(metric) = process.metric(found) else { continue };
        let Description { name, help, .. } = process.description();
        metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    /// What a collector that finds this exposes.
    impl Collector for Found {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            encode(encoder, self)
        }
    }

    fn exposed(collector: impl Collector) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collector));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
        text
    }

    fn figure(text: &str, name: &str) -> f64 {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().and_then(|figure| figure.parse().ok()).expect("a figure")
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_exposed_under_the_names_of_prometheus_clients() {
        let _held: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").expect("opens")).collect();
        let text = exposed(ProcessCollector);
        let figure = |name| figure(&text, name);
        assert!(figure("process_open_fds") > 50.0, "{text}");
        assert!(figure("process_max_fds") >= figure("process_open_fds"), "{text}");
        assert!(figure("process_resident_memory_bytes") > f64::from(1 << 20), "{text}");
        assert!(figure("process_virtual_memory_bytes") > figure("process_resident_memory_bytes"), "{text}");
        assert!(figure("process_threads") >= 1.0 && figure("process_cpu_seconds_total") >= 0.0, "{text}");
        // After 2020, and not in the future: the reference is a file made just now.
        let made = tempfile::NamedTempFile::new().expect("a file");
        let made = made.as_file().metadata().and_then(|data| data.modified()).expect("a time");
        let now = made.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((1.577e9..=now + 1.0).contains(&figure("process_start_time_seconds")), "{text}");
        assert!(text.contains("# TYPE process_cpu_seconds counter\n"), "{text}");
    }

    #[test]
    fn what_the_system_does_not_tell_is_absent() {
        assert_eq!(exposed(Found::default()), "# EOF\n");
        let text = exposed(Found { open_descriptors: Some(7), ..Found::default() });
        assert!(text.contains("\nprocess_open_fds 7\n") && !text.contains("process_max_fds"), "{text}");
    }
}
