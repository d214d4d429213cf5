//! What a measurement ran on: a figure without it says nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fmt, fs};

use serde::Serialize;

use crate::Result;

/// The machine, its compiler, and the state of the code.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The CPU's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Vector instructions that matter here.
    pub flags: Vec<String>,
    /// The kernel's release.
    pub kernel: String,
    /// The allocator of every process measured.
    pub allocator: &'static str,
    /// The compiler's version.
    pub rustc: String,
    /// The commit, with `+` where files differ from it.
    pub commit: String,
}

const FLAGS: [&str; 6] = ["sse4_2", "avx2", "avx512f", "avx512bw", "sha_ni", "asimd"];

impl Machine {
    /// This one. `source` is a folder of the repository. What can't be found out is `unknown`.
    #[must_use]
    pub fn look(source: &Path) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let known = field(&info, "flags").or_else(|| field(&info, "Features")).unwrap_or_default();
        let flags = FLAGS
            .into_iter()
            .filter(|flag| known.split_ascii_whitespace().any(|known| known == *flag))
            .map(str::to_owned)
            .collect();
        let unknown = || "unknown".to_owned();
        let in_source = |program: &str, arguments: &[&str]| run(source, program, arguments);
        let commit = in_source("git", &["rev-parse", "--short=10", "HEAD"]).map(|commit| {
            let changed = in_source("git", &["status", "--porcelain", "--untracked-files=no"]);
            if changed.is_none_or(|changes| changes.is_empty()) { commit } else { format!("{commit}+") }
        });
        Self {
            cpu: field(&info, "model name").map_or_else(unknown, str::to_owned),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            flags,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |release| release.trim().to_owned()),
            allocator: "mimalloc",
            rustc: in_source("rustc", &["--version"]).unwrap_or_else(unknown),
            commit: commit.unwrap_or_else(unknown),
        }
    }
}

/// Cargo's target folder, from where this program lies: `TARGET/release/deps/side_by_side-…`.
///
/// # Errors
/// If it lies elsewhere.
pub fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(3).ok_or("this program does not lie in a target folder of cargo's")?;
    Ok(folder.to_owned())
}

impl Machine {
    /// As the first lines of a report.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, flags, kernel, allocator, rustc, commit } = self;
        writeln!(f, "cpu        {cpu}, {cores} cores, {}", flags.join(" "))?;
        writeln!(f, "kernel     {kernel}")?;
        writeln!(f, "allocator  {allocator}")?;
        writeln!(f, "compiler   {rustc}")?;
        writeln!(f, "commit     {commit}")
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        (known.trim() == name).then(|| value.trim())
    })
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
