//! The `headgate` binary, built once for a run of tests, in the profile of the tests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// Names a binary to test instead of the one that is built.
const VARIABLE: &str = "HEADGATE_TEST_BINARY";

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
    // TARGET/PROFILE/deps/NAME-HASH
    let test = std::env::current_exe().expect("the test knows its own file");
    let profile = test.ancestors().nth(2).expect("built by cargo");
    let name = profile.file_name().and_then(OsStr::to_str).expect("built by cargo").to_owned();
    (profile.parent().expect("built by cargo").to_owned(), name)
}

/// The binary's path. Other test processes that ask at the same moment wait for cargo's own lock.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn headgate() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// The `headgate` command, blind to settings of the environment that the tests run in.
#[must_use]
pub fn command(arguments: &[&OsStr]) -> Command {
    let mut command = Command::new(headgate());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HEADGATE_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
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

fn build() -> PathBuf {
    let (target_dir, profile) = target_dir();
    // The one profile whose folder has another name.
    let profile = if profile == "debug" { "dev" } else { &profile };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        // The workspace as a whole, so that the features of dependencies are those that the tests were built with.
        .args(["build", "--workspace", "--bin", "headgate", "--profile", profile])
        .args(["--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target_dir)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "the gateway does not build (cargo's messages are above)");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.name == "headgate")
        .find_map(|artifact| artifact.executable)
        .expect("cargo names the binary that it built")
}
