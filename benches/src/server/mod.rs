//! The servers that are measured, each a process of its own.

mod bare;
mod certificate;
mod floor;
mod gateway;
mod house;
mod peer;
mod product;
mod raw;
mod stand_in;
mod usual;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use tokio::time::Instant;

pub use self::certificate::Certificate;
pub use self::gateway::{Gateway, Ground};
pub use self::house::{Arrived, Destination, House, Programs, environment};
pub use self::peer::{Kind, Peer, serve};
pub use self::product::{Missing, Product};
pub use self::stand_in::{Counted, CountedService, STREAM, StandIn, TlsFiles};
use crate::Result;
use crate::machine::target_dir;

const START_DEADLINE: Duration = Duration::from_secs(20);

/// A server's process. Ends with this value.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn id(&self) -> u32 {
        self.0.id()
    }

    /// Fails if it has ended.
    fn check_alive(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("it ended with {status}").into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about any other error.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program on the first so many cores, or on all.
fn pinned_command(program: &Path, cores: Option<u32>) -> Command {
    let Some(cores) = cores else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &format!("0-{}", cores.saturating_sub(1))]).arg(program);
    command
}

/// Builds a program of the workspace with the profile of benches, into the folder that the running program was built into.
/// Returns its path.
fn build(package: &str, program: &str) -> Result<PathBuf> {
    let target_dir = target_dir()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    eprintln!("building {program} (cargo build --release -p {package})");
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", package, "--bin", program, "--target-dir"])
        .arg(&target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if status.success() {
        Ok(target_dir.join("release").join(program))
    } else {
        Err(format!("{program} does not build").into())
    }
}

/// Asks for something until it is there.
async fn wait_for<T>(process: &mut Process, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        if let Some(there) = ask() {
            return Ok(there);
        }
        process.check_alive()?;
        if Instant::now() > deadline {
            return Err(format!("it did not start within {START_DEADLINE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
