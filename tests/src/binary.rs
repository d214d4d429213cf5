//! The binaries, `headgate`, `headgate-loadtest` and the functions', built once for a run of tests, in the profile of the
//! tests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// Names a gateway to test instead of the one that is built.
const VARIABLE: &str = "HEADGATE_TEST_BINARY";
const GATEWAY: &str = "headgate";
const LOAD_TESTER: &str = "headgate-loadtest";
const TRANSFORM: &str = "headgate-transform";
const METRICS: &str = "headgate-metrics";

/// The repository's root.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Cargo's target folder, and the profile's folder in it.
///
/// # Panics
/// If this is no test that cargo built.
#[must_use]
pub fn target_dir() -> (PathBuf, String) {
    // TARGET/PROFILE/deps/NAME-HASH of a test, TARGET/PROFILE/NAME of a program.
    let own = std::env::current_exe().expect("a program knows its own file");
    let folder = own.parent().expect("built by cargo");
    let profile = if folder.ends_with("deps") { folder.parent().expect("built by cargo") } else { folder };
    let name = profile.file_name().and_then(OsStr::to_str).expect("built by cargo").to_owned();
    (profile.parent().expect("built by cargo").to_owned(), name)
}

/// The gateway's path. Other test processes that ask at the same moment wait for cargo's own lock.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn headgate() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => built().gateway.clone(),
    })
}

/// The load tester's path.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn loadtest() -> &'static Path {
    &built().load_tester
}

/// The path of the function that makes rows for Firehose.
#[must_use]
pub fn transform() -> &'static Path {
    &built().transform
}

/// The path of the function that counts for CloudWatch.
#[must_use]
pub fn metrics() -> &'static Path {
    &built().metrics
}

/// What cargo said while it built them, a JSON object a line: where each crate is, too.
#[must_use]
pub(crate) fn cargo_messages() -> &'static str {
    &built().messages
}

/// The `headgate` command, blind to settings of the environment that the tests run in.
#[must_use]
pub fn command(arguments: &[&OsStr]) -> Command {
    command_of(headgate(), arguments)
}

/// The same for `headgate-loadtest`.
#[must_use]
pub fn loadtest_command(arguments: &[&OsStr]) -> Command {
    command_of(loadtest(), arguments)
}

/// The same for a program that somebody else built.
pub(crate) fn command_of(program: &Path, arguments: &[&OsStr]) -> Command {
    let mut command = Command::new(program);
    forget_settings(&mut command);
    command.args(arguments);
    command
}

/// Makes a command blind to settings of the environment that the tests run in.
pub(crate) fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HEADGATE_")) {
        command.env_remove(name);
    }
}

/// Runs a command of `headgate` that must succeed, and reads the JSON that it prints.
///
/// # Panics
/// If it fails or prints something else.
#[must_use]
pub fn run_json(data_dir: &Path, arguments: &[&str]) -> serde_json::Value {
    let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    all.extend([OsStr::new("--output"), OsStr::new("json"), OsStr::new("--data-dir"), data_dir.as_os_str()]);
    let output = command(&all).stdin(Stdio::null()).output().expect("headgate can be run");
    let Output { status, stdout, stderr } = &output;
    assert!(status.success(), "headgate {arguments:?}: {status}\n{}", String::from_utf8_lossy(stderr));
    serde_json::from_slice(stdout)
        .unwrap_or_else(|error| panic!("headgate {arguments:?}: {error}\n{}", String::from_utf8_lossy(stdout)))
}

#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// What cargo built.
struct Built {
    gateway: PathBuf,
    load_tester: PathBuf,
    transform: PathBuf,
    metrics: PathBuf,
    messages: String,
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> Built {
    let (target_dir, profile) = target_dir();
    // The one profile whose folder has another name.
    let profile = if profile == "debug" { "dev" } else { &profile };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        // The workspace as a whole, so that the features of dependencies are those that the tests were built with.
        .args(["build", "--workspace", "--profile", profile])
        .args([GATEWAY, LOAD_TESTER, TRANSFORM, METRICS].iter().flat_map(|name| ["--bin", *name]))
        .args(["--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target_dir)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "the binaries do not build (cargo's messages are above)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let artifacts: Vec<Artifact> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let path = |name: &str| {
        let of_it = artifacts.iter().filter(|artifact| artifact.target.name == name);
        let found = of_it.filter_map(|artifact| artifact.executable.clone()).next();
        found.unwrap_or_else(|| panic!("cargo does not name the {name} that it built"))
    };
    Built {
        gateway: path(GATEWAY),
        load_tester: path(LOAD_TESTER),
        transform: path(TRANSFORM),
        metrics: path(METRICS),
        messages: text,
    }
}
