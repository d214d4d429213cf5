//! The load tester as a process of its own: started beside a gateway, watched by what it prints, and read when it ends.
//!
//! It never outlives the test: dropped, it is killed and waited for. When a test fails, what it said is shown.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use headgate_loadtest::result::{self, RunResult};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{binary, poll};

/// Runs here take seconds; a busy machine and the verification are in it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `headgate-loadtest`, and the folder of its results.
pub struct LoadTester {
    child: Child,
    folder: TempDir,
}

/// What came of it.
pub struct Ended {
    /// The exit status, if no signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub printed: String,
    /// Standard error.
    pub complained: String,
    folder: TempDir,
}

impl LoadTester {
    /// Starts it in the folder `home` with these arguments and variables.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start(home: &Path, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| File::create(folder.path().join(name)).expect("the folder can be written");
        let mut all: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let is_run = arguments.first() == Some(&"run");
        if is_run && !arguments.contains(&"--result-dir") {
            all.extend([OsString::from("--result-dir"), folder.path().into()]);
        }
        if is_run && !arguments.contains(&"--progress") {
            all.extend(["--progress", "json"].map(OsString::from));
        }
        let all: Vec<&OsStr> = all.iter().map(OsString::as_os_str).collect();
        let child = binary::loadtest_command(&all)
            .current_dir(home)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file("printed"))
            .stderr(file("complained"))
            .spawn()
            .expect("headgate-loadtest can be run");
        Self { child, folder }
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn run(home: &Path, arguments: &[&str]) -> Ended {
        Self::start(home, arguments, &[]).ended().await
    }

    /// Waits until it has told of its first seconds.
    ///
    /// # Panics
    /// If it does not.
    pub async fn in_progress(&self) {
        poll::until("the load tester's first line of progress", PATIENCE, async || {
            let printed = fs::read_to_string(self.folder.path().join("printed")).unwrap_or_default();
            printed.contains("\"kind\":\"progress\"").then_some(())
        })
        .await;
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("one's own child can be signalled");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not.
    pub async fn ended(mut self) -> Ended {
        let child = &mut self.child;
        let status = poll::until("the load tester ends", PATIENCE, async || {
            child.try_wait().expect("one's own child can be waited for")
        })
        .await;
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"));
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        let (printed, complained) = (text("printed"), text("complained"));
        Ended { status: status.code(), printed, complained, folder }
    }
}

impl Drop for LoadTester {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The result's file; a shard's has its number in its name.
    #[must_use]
    pub fn result_file(&self) -> PathBuf {
        let shard = (1..=9).flat_map(|of| (1..=of).map(move |index| format!("result-{index}-of-{of}.json")));
        let names = std::iter::once("result.json".to_owned()).chain(shard);
        names.map(|name| self.file(&name)).find(|file| file.is_file()).unwrap_or_else(|| self.file("result.json"))
    }

    /// A file of the run's results.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The result, if the exit status is this one and the verdict says the same.
    ///
    /// # Panics
    /// If it ended otherwise or left no result.
    #[must_use]
    pub fn result(&self, status: u8) -> RunResult {
        assert_eq!(self.status, Some(status.into()), "{self}");
        let result = result::read(&self.result_file()).unwrap_or_else(|error| panic!("{error}\n{self}"));
        assert_eq!(result.verdict.exit_code(), status, "{self}");
        result
    }

    /// The lines of progress.
    ///
    /// # Panics
    /// If one of them is no JSON.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}\n{self}"));
        self.printed.lines().map(parse).collect()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "it ended with {:?} and said:\n{}{}", self.status, self.printed, self.complained)
    }
}
