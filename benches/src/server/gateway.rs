//! The gateway: built, started on a data folder of its own, and without rates that could refuse the load.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use http::HeaderValue;
use serde::Deserialize;
use tempfile::TempDir;

use super::{Process, build, pinned_command, wait_for};
use crate::Result;
use crate::load::{Protocol, Target};

const SETTINGS: [&str; 4] = [
    "admission.events_per_second=4000000000",
    "admission.events_burst=4000000000",
    "admission.bytes_per_second=1TiB",
    "admission.bytes_burst=1TiB",
];

/// Where a gateway runs.
#[derive(Debug)]
pub struct Ground {
    /// Its data folder is `data` in it.
    pub folder: TempDir,
    /// So many cores, the first ones; `None`: all of them.
    pub pinned: Option<u32>,
}

impl Ground {
    /// A folder of its own and every core.
    ///
    /// # Errors
    /// If there is no room for a folder.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, pinned: None })
    }
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    target: Target,
    // Removed with the gateway, which comes first.
    _folder: TempDir,
}

/// What a gateway says in its data folder's lock.
#[derive(Deserialize)]
struct Running {
    grpc: SocketAddr,
}

impl Gateway {
    /// Builds it with the profile of benches, into the folder that the running program was built into. Returns its path.
    ///
    /// # Errors
    /// If it does not build.
    pub fn build() -> Result<PathBuf> {
        build("headgate", "headgate")
    }

    /// Starts it with a destination, these settings on top of the bench's own, and these variables in its environment.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_to(
        destination: &str,
        program: &Path,
        settings: &[String],
        environment: &[(&str, String)],
        ground: Ground,
    ) -> Result<Self> {
        let Ground { folder, pinned } = ground;
        let data = folder.path().join("data");
        let log = folder.path().join("log");
        let mut command = pinned_command(program, pinned);
        // Settings of whoever measures must not leak in.
        for (name, _) in std::env::vars_os() {
            if ["HEADGATE_", "AWS_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .args([
                "serve",
                "--destination",
                destination,
                "--listen",
                "127.0.0.1:0",
                "--operate-listen",
                "127.0.0.1:0",
                "--set",
                "rest.enabled=false",
            ])
            .arg("--data-dir")
            .arg(&data)
            .args(
                SETTINGS.into_iter().chain(settings.iter().map(String::as_str)).flat_map(|setting| ["--set", setting]),
            )
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        let mut process = Process(command.spawn()?);
        let started = wait_for(&mut process, || {
            let lock = fs::read_to_string(data.join("lock")).ok()?;
            let running: Running = serde_json::from_str(&lock).ok()?;
            let key = fs::read_to_string(data.join("demo-api-key")).ok()?;
            Some((running.grpc, HeaderValue::from_str(key.trim()).ok()?))
        });
        let (address, key) = match started.await {
            Ok(started) => started,
            Err(error) => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("the gateway does not start: {error}\n{said}").into());
            }
        };
        Ok(Self { process, target: Target { address, key, protocol: Protocol::Headgate }, _folder: folder })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where to send events.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }
}
