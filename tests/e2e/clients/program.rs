//! A program that sends events, a run of it, and the line with which that ends.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use headgate_tests::poll;
use tempfile::TempDir;

/// How to run it.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    command: Vec<OsString>,
    environment: Vec<(&'static str, PathBuf)>,
}

/// A run, which does not outlive the test.
pub(super) struct Run {
    child: Child,
    folder: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) success: bool,
    pub(super) report: Report,
    /// What it wrote to standard error.
    pub(super) errors: String,
}

/// What became of the events, as it says itself.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) resent: u64,
    pub(super) put_off: u64,
    pub(super) streams: u64,
}

impl Program {
    pub(super) fn new(name: &'static str, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { name, command: command.into_iter().map(Into::into).collect(), environment: Vec::new() }
    }

    pub(super) fn with(mut self, variable: &'static str, path: PathBuf) -> Self {
        self.environment.push((variable, path));
        self
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Has it send so many events, one `every` so long, with TLS where there is an authority.
    pub(super) fn start(
        &self,
        address: &str,
        key_file: &Path,
        ca: Option<&PathBuf>,
        events: u64,
        every: Duration,
    ) -> Run {
        let folder = super::folder();
        let written_to = |name: &str| File::create(folder.path().join(name)).expect("it can be written");
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).envs(self.environment.iter().map(|(name, path)| (name, path)));
        command.args(["--address", address, "--events", &events.to_string()]);
        command.args(["--every", &every.as_millis().to_string(), "--key-file"]).arg(key_file);
        if let Some(ca) = ca {
            command.arg("--ca").arg(ca);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(written_to("said"))
            .stderr(written_to("errors"))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Run { child, folder }
    }
}

impl Run {
    /// # Panics
    /// If it has ended: shows what it said.
    pub(super) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("one's own child can be waited for") {
            panic!("it has ended too early: {status}\n{}{}", self.read("said"), self.errors());
        }
    }

    /// What it has written to standard error by now.
    pub(super) fn errors(&self) -> String {
        self.read("errors")
    }

    /// Waits until it has ended by itself.
    pub(super) async fn ended(mut self, patience: Duration) -> Ended {
        let status = poll::until("the client ends", patience, async || {
            self.child.try_wait().expect("one's own child can be waited for")
        })
        .await;
        let said = self.read("said");
        let report = Report::parse(&said).unwrap_or_else(|| panic!("no report: {said:?}\n{}", self.errors()));
        Ended { success: status.success(), report, errors: self.errors() }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the client said:\n{}{}", self.read("said"), self.errors());
        }
    }
}

impl Report {
    fn parse(said: &str) -> Option<Self> {
        let line = said.lines().last()?;
        let figure = |name: &str| {
            let of_it = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
            of_it.parse().ok()
        };
        Some(Self {
            acknowledged: figure("acknowledged")?,
            refused: figure("refused")?,
            resent: figure("resent")?,
            put_off: figure("put_off")?,
            streams: figure("streams")?,
        })
    }
}
