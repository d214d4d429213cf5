//! Builds the gateway with cargo, whose progress shows on standard error.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use super::Stop;
use super::group::Group;

/// What cargo says of each thing it made; the other messages have none of these.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn workspace() -> PathBuf {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Cargo's target folder.
pub(super) fn target_dir() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    shortened(target)
}

/// Relative to the current folder where it can be: what the demo prints is there to be copied.
fn shortened(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(path)
}

/// Builds the gateway, and says where its binary is.
pub(super) async fn gateway(profile: &str) -> Result<PathBuf, Stop> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace())
        .args(["build", "--package", "headgate", "--bin", "headgate", "--message-format", "json-render-diagnostics"])
        .args(["--profile", profile])
        .stdout(Stdio::piped());
    let building = async { Group::start(&mut command)?.finish().await };
    let (status, output) = building.await.map_err(|error| format!("can't run cargo: {error}"))?;
    if !status.success() {
        return Err(Stop::Failed("the gateway does not build (cargo's messages are above)".to_owned()));
    }
    let messages = String::from_utf8_lossy(&output);
    let executable = messages
        .lines()
        .filter_map(|message| serde_json::from_str::<Artifact>(message).ok())
        .filter(|artifact| artifact.target.name == "headgate")
        .find_map(|artifact| artifact.executable);
    Ok(executable.map(shortened).ok_or_else(|| "cargo built no binary named headgate".to_owned())?)
}
