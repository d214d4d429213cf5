//! The control groups whose limits bind this process: version 2, version 1, or both at once.
//!
//! A limit binds on every level, so a group's ancestors are looked at too, as far up as they are mounted here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folders of this process's groups, innermost first; empty where there are none.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    cpu: Vec<PathBuf>,
    memory: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds them by `/proc/self/cgroup` and `/proc/self/mountinfo`.
    pub(super) fn find(proc: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(proc.join("self").join(name)).unwrap_or_default();
        let (groups, mounts) = (read("cgroup"), read("mountinfo"));
        Self { cpu: levels(&groups, &mounts, "cpu"), memory: levels(&groups, &mounts, "memory") }
    }

    /// For how long a CPU quota has stopped the group so far, summed over its CPUs; none where that is not told.
    pub(super) fn throttled(&self) -> Option<Duration> {
        let times =
            self.cpu.iter().filter_map(|group| parse_throttled(&fs::read_to_string(group.join("cpu.stat")).ok()?));
        times.reduce(|sum, time| sum + time)
    }

    /// The tightest memory limit, in bytes; none where there is no limit.
    pub(super) fn memory_limit(&self) -> Option<u64> {
        let limit = |group: &PathBuf| {
            let text = fs::read_to_string(group.join("memory.max"))
                .or_else(|_| fs::read_to_string(group.join("memory.limit_in_bytes")));
            text.ok()?.trim().parse::<u64>().ok()
        };
        self.memory.iter().filter_map(limit).min()
    }
}

/// `cpu.stat`: microseconds in version 2, nanoseconds in version 1.
fn parse_throttled(stat: &str) -> Option<Duration> {
    stat.lines().find_map(|line| match line.split_once(' ')? {
        ("throttled_usec", us) => us.trim().parse().ok().map(Duration::from_micros),
        ("throttled_time", ns) => ns.trim().parse().ok().map(Duration::from_nanos),
        _ => None,
    })
}

/// The folders of a controller's group and its ancestors: of version 1 if the controller is mounted so, else of
/// version 2. See cgroups(7) and proc_pid_mountinfo(5).
fn levels(groups: &str, mounts: &str, controller: &str) -> Vec<PathBuf> {
    let has = |list: &str| list.split(',').any(|name| name == controller);
    let mut found = None;
    for mount in mounts.lines() {
        let Some((place, kind)) = mount.split_once(" - ") else { continue };
        let place: Vec<_> = place.split(' ').collect();
        let (Some(root), Some(point)) = (place.get(3), place.get(4)) else { continue };
        let mut kind = kind.split(' ');
        match (kind.next(), kind.nth(1)) {
            (Some("cgroup"), Some(options)) if has(options) => {
                found = Some((true, *root, *point));
                break;
            }
            (Some("cgroup2"), _) => found = Some((false, *root, *point)),
            _ => {}
        }
    }
    let Some((version_1, root, point)) = found else { return Vec::new() };
    let path = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        (if version_1 { has(controllers) } else { controllers.is_empty() }).then_some(path)
    });
    // A path outside of what is mounted, as in a container with the host's view, leaves the mount point.
    let inside = path.and_then(|path| path.strip_prefix(root.trim_end_matches('/'))).unwrap_or("");
    let inside = if inside.contains("..") { "" } else { inside.trim_matches('/') };
    let point = PathBuf::from(point);
    let mut levels: Vec<_> =
        point.join(inside).ancestors().take_while(|level| level.starts_with(&point)).map(Path::to_path_buf).collect();
    levels.retain(|level| level.is_dir());
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttled_time_is_read_in_both_versions() {
        let version_2 = "usage_usec 9\nuser_usec 5\nnr_periods 7\nnr_throttled 3\nthrottled_usec 250000\n";
        let version_1 = "nr_periods 7\nnr_throttled 3\nthrottled_time 250000000\n";
        assert_eq!(parse_throttled(version_2), Some(Duration::from_millis(250)));
        assert_eq!(parse_throttled(version_1), Some(Duration::from_millis(250)));
        assert_eq!(parse_throttled("usage_usec 9\n"), None);
    }

    /// A container's view, where the group is the mount's root; a host's view; and both versions side by side.
    #[test]
    fn the_groups_of_both_versions_are_found() {
        let tree = tempfile::tempdir().expect("a folder");
        let root = tree.path().to_str().expect("UTF-8");
        for folder in ["unified/app/task", "cpu/app/task"] {
            fs::create_dir_all(tree.path().join(folder)).expect("created");
        }
        let v2 = |of: &str| format!("31 23 0:28 {of} {root}/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n");
        let v1 = |of: &str| format!("32 23 0:29 {of} {root}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
        let relative = |groups: &str, mounts: &str| -> Vec<String> {
            let strip = |level: PathBuf| level.strip_prefix(tree.path()).expect("beneath").display().to_string();
            levels(groups, mounts, "cpu").into_iter().map(strip).collect()
        };
        assert_eq!(relative("0::/\n", &v2("/")), ["unified"]);
        assert_eq!(relative("0::/app/task\n", &v2("/")), ["unified/app/task", "unified/app", "unified"]);
        assert_eq!(relative("0::/docker/1/app\n", &v2("/docker/1")), ["unified/app", "unified"]);
        assert_eq!(relative("0::/../other\n", &v2("/")), ["unified"]);
        let both = "3:cpu,cpuacct:/app\n0::/app/task\n";
        assert_eq!(relative(both, &(v2("/") + &v1("/"))), ["cpu/app", "cpu"]);
        assert!(relative("", "").is_empty());
    }

    #[test]
    fn the_tightest_limit_of_all_levels_counts() {
        let tree = tempfile::tempdir().expect("a folder");
        let group = tree.path().join("task");
        fs::create_dir(&group).expect("created");
        let write = |path: PathBuf, text: &str| fs::write(path, text).expect("written");
        write(group.join("memory.max"), "max\n");
        write(tree.path().join("memory.max"), "536870912\n");
        write(group.join("cpu.stat"), "throttled_usec 1000\n");
        write(tree.path().join("cpu.stat"), "throttled_usec 2000\n");
        let levels = vec![group, tree.path().to_path_buf()];
        let cgroups = Cgroups { cpu: levels.clone(), memory: levels };
        assert_eq!(cgroups.memory_limit(), Some(512 << 20));
        assert_eq!(cgroups.throttled(), Some(Duration::from_millis(3)));
        assert_eq!((Cgroups::default().memory_limit(), Cgroups::default().throttled()), (None, None));
    }
}
