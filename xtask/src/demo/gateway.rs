//! The gateway's process: `headgate serve` on its embedded defaults, with a data folder of its own.
//!
//! It runs in a process group of its own, so that Ctrl-C reaches just the demo, which then stops it by SIGTERM. Dropped
//! without that, it is killed; and should the demo itself be killed, the kernel ends it too (on Linux).

use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headgate_loadtest::health::ProcessUsage;
use headgate_loadtest::terminal::{Line, Look, Screen};
use http::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::{Folders, Stop, http as client, words};

/// The listeners' default addresses and the variables that set others.
const LISTENERS: [(&str, &str, &str); 3] = [
    ("gRPC", "127.0.0.1:50051", "HEADGATE_GRPC__LISTEN"),
    ("REST", "127.0.0.1:8080", "HEADGATE_REST__LISTEN"),
    ("operators", "127.0.0.1:9090", "HEADGATE_OPERATE__LISTEN"),
];
const ANY_PORT: &str = "127.0.0.1:0";
const READY_WITHIN: Duration = Duration::from_secs(30);
const COMPACTED_WITHIN: Duration = Duration::from_secs(120);
/// Longer than the gateway's own drain deadline.
const STOPPED_WITHIN: Duration = Duration::from_secs(40);

/// What `serve` writes once it listens.
#[derive(Clone, Copy, Debug, Deserialize)]
struct LockFile {
    pid: u32,
    grpc: SocketAddr,
    operate: SocketAddr,
}

pub(super) struct Gateway {
    process: Child,
    pid: u32,
    listens: Option<LockFile>,
    data: PathBuf,
    log: PathBuf,
    binary: PathBuf,
    /// The last figures that could be read, since an ended process has none.
    usage: ProcessUsage,
}

impl Gateway {
    /// Starts it in a fresh data folder.
    pub(super) async fn start(binary: &Path, folders: &Folders, screen: &Screen) -> Result<Self, Stop> {
        match fs::remove_dir_all(&folders.data) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Stop::Failed(format!("can't clear {}: {error}", folders.data.display())));
            }
            _ => {}
        }
        let log = open_log(&folders.gateway_log)
            .map_err(|error| format!("can't write {}: {error}", folders.gateway_log.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("--data-dir").arg(&folders.data).process_group(0).kill_on_drop(true);
        command.stdin(std::process::Stdio::null()).stdout(log).stderr(errors);
        // The defaults are to be shown, not what this shell happens to be set up for.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HEADGATE_")) {
            command.env_remove(name);
        }
        for (listener, address, variable) in LISTENERS {
            if TcpListener::bind(address).is_err() {
                let note = format!("{address} is taken; the {listener} listener gets a free port.");
                screen.line(&Line::default().then(Look::Dim, note));
                command.env(variable, ANY_PORT);
            }
        }
        end_with_parent(&mut command);
        let process = command.spawn().map_err(|error| format!("can't start {}: {error}", binary.display()))?;
        let pid = process.id().ok_or_else(|| "the gateway ended at once".to_owned())?;
        Ok(Self {
            process,
            pid,
            listens: None,
            data: folders.data.clone(),
            log: folders.gateway_log.clone(),
            binary: binary.to_path_buf(),
            usage: ProcessUsage::default(),
        })
    }

    /// Waits until it takes events.
    pub(super) async fn ready(&mut self) -> Result<(), Stop> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut last = "it does not listen".to_owned();
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(self.failed(&format!("the gateway ended: {status}")));
            }
            self.listens = self.listens.or_else(|| self.read_lock_file());
            if let Some(listens) = self.listens {
                match client::ask(Method::GET, listens.operate, "/readyz", Duration::from_secs(2)).await {
                    Ok((StatusCode::OK, _)) => return Ok(()),
                    Ok((status, body)) => last = format!("/readyz says {status}: {}", body.trim()),
                    Err(error) => last = format!("/readyz: {error}"),
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        let limit = words::duration(READY_WITHIN);
        Err(self.failed(&format!("the gateway is not ready after {limit} ({last})")))
    }

    fn read_lock_file(&self) -> Option<LockFile> {
        let text = fs::read_to_string(self.data.join("lock")).ok()?;
        serde_json::from_str(&text).ok().filter(|lock: &LockFile| lock.pid == self.pid)
    }

    /// What went wrong, with the end of the log.
    fn failed(&self, what: &str) -> Stop {
        let mut log = fs::read_to_string(&self.log).unwrap_or_default();
        // The gateway shows the demo's key at its first start; it stays where only its owner reads it.
        if let Ok(key) = self.api_key() {
            log = log.replace(&key, "(the demo's key)");
        }
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n  ");
        Stop::Failed(format!("{what}; the end of its log, {}:\n  {end}", self.log.display()))
    }

    /// Where clients connect.
    pub(super) fn endpoint(&self) -> String {
        self.listens.map_or_else(String::new, |listens| format!("http://{}", listens.grpc))
    }

    /// Where operators look.
    pub(super) fn operators(&self) -> String {
        self.listens.map_or_else(String::new, |listens| format!("http://{}", listens.operate))
    }

    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }

    pub(super) fn lake(&self) -> PathBuf {
        self.data.join("lake")
    }

    pub(super) fn api_key_file(&self) -> PathBuf {
        self.data.join("demo-api-key")
    }

    pub(super) fn api_key(&self) -> Result<String, Stop> {
        let file = self.api_key_file();
        let key = fs::read_to_string(&file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
        Ok(key.trim().to_owned())
    }

    /// What it uses, or used when it was last seen.
    pub(super) fn usage(&mut self) -> ProcessUsage {
        if let Some(usage) = ProcessUsage::of(self.pid) {
            self.usage = usage;
        }
        self.usage
    }

    /// Has everything in the lake's log written to Parquet; how long that took.
    pub(super) async fn compact_lake(&mut self) -> Result<Duration, Stop> {
        let Some(listens) = self.listens else { return Err(self.failed("the gateway does not listen")) };
        let begun = Instant::now();
        match client::ask(Method::POST, listens.operate, "/lake/compact", COMPACTED_WITHIN).await {
            Ok((status, _)) if status.is_success() => Ok(begun.elapsed()),
            Ok((status, body)) => Err(self.failed(&format!("/lake/compact says {status}: {}", body.trim()))),
            Err(error) => Err(self.failed(&format!("/lake/compact: {error}"))),
        }
    }

    /// Waits for it to end by itself, which it should not, and says how it did.
    pub(super) async fn ended(&mut self) -> String {
        let how = match self.process.wait().await {
            Ok(status) => format!("the gateway ended by itself: {status}"),
            Err(error) => format!("the gateway can't be watched: {error}"),
        };
        match self.failed(&how) {
            Stop::Failed(what) => what,
            Stop::Interrupted => how,
        }
    }

    /// Stops it as an orchestrator would, by SIGTERM; an error if it does not end well and in time.
    pub(super) async fn stop(mut self) -> Result<(), String> {
        if let Ok(Some(_)) = self.process.try_wait() {
            return Ok(());
        }
        let signalled = i32::try_from(self.pid).ok().and_then(Pid::from_raw).map(|pid| kill_process(pid, Signal::TERM));
        if !matches!(signalled, Some(Ok(()))) {
            return Err(format!("can't signal the gateway (pid {})", self.pid));
        }
        match timeout(STOPPED_WITHIN, self.process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("the gateway did not stop well: {status} (log: {})", self.log.display())),
            Ok(Err(error)) => Err(format!("the gateway can't be watched: {error}")),
            Err(_) => {
                let limit = words::duration(STOPPED_WITHIN);
                Err(format!("the gateway did not stop in {limit} and was killed (log: {})", self.log.display()))
            }
        }
    }
}

/// The log is for its owner only, since the gateway prints the demo's key once.
fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)
}

/// Has the kernel end the gateway when the demo's main thread, which starts it, is gone.
#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    let begin = || {
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one prctl(2), without allocation.
    unsafe {
        command.pre_exec(begin);
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_command: &mut Command) {}
