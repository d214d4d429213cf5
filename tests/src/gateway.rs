//! A gateway as a process of its own: started, asked, killed, told to stop, started again on what it left.
//!
//! It never outlives the test: dropped, it is killed and waited for, and when the test fails, the end of its log is shown.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Target;
use crate::metrics::Scrape;
use crate::{binary, http as operators, poll, process};

/// From the start to readiness, recovery included.
const START_PATIENCE: Duration = Duration::from_secs(30);
const ASK_PATIENCE: Duration = Duration::from_secs(60);
/// So much of the log is shown when a test fails.
const LOG_SHOWN: u64 = 12 << 10;

/// What a running gateway says of itself in `DATA_DIR/lock`.
#[derive(Deserialize)]
struct Running {
    pid: u32,
    grpc: SocketAddr,
    rest: Option<SocketAddr>,
    operate: SocketAddr,
}

/// A gateway's process and the data folder that it works on.
pub struct GatewayProcess {
    program: PathBuf,
    data_dir: PathBuf,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
    grpc: SocketAddr,
    rest: SocketAddr,
    operate: SocketAddr,
    child: Option<Child>,
}

impl GatewayProcess {
    /// Starts one on `data_dir`, with settings such as `lake.segment_age=1s`, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start(data_dir: &Path, settings: &[&str]) -> Self {
        Self::start_in(data_dir, settings, &[]).await
    }

    /// As [`Self::start`], with more variables in its environment.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start_in(data_dir: &Path, settings: &[&str], environment: &[(String, String)]) -> Self {
        Self::start_program(binary::headgate(), data_dir, settings, environment).await
    }

    /// As [`Self::start_in`], of another build than the tests'.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start_program(
        program: &Path,
        data_dir: &Path,
        settings: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let mut gateway = Self {
            program: program.to_owned(),
            data_dir: data_dir.to_owned(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            environment: environment.to_vec(),
            grpc: free_address(),
            rest: free_address(),
            operate: free_address(),
            child: None,
        };
        gateway.start_again().await;
        gateway
    }

    /// Starts it again, on the same data folder and ports, after it ended.
    ///
    /// # Panics
    /// If it runs, or does not get ready.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let [grpc, rest, operate] = [self.grpc, self.rest, self.operate].map(|address| address.to_string());
        let mut arguments: Vec<&OsStr> = vec![OsStr::new("serve"), OsStr::new("--data-dir"), self.data_dir.as_os_str()];
        arguments.extend(["--listen", &grpc, "--rest-listen", &rest, "--operate-listen", &operate].map(OsStr::new));
        for setting in &self.settings {
            arguments.extend([OsStr::new("--set"), OsStr::new(setting)]);
        }
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("the log can be written");
        let child = binary::command_of(&self.program, &arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("headgate can be run");
        let pid = child.id();
        self.child = Some(child);
        let running = poll::until("the gateway's lock names its addresses", START_PATIENCE, async || {
            self.assert_running();
            let text = fs::read_to_string(self.data_dir.join("lock")).ok()?;
            serde_json::from_str::<Running>(&text).ok().filter(|running| running.pid == pid)
        })
        .await;
        assert_eq!((running.grpc, running.operate), (self.grpc, self.operate));
        assert_eq!(running.rest.unwrap_or(self.rest), self.rest);
        poll::until("the gateway is ready", START_PATIENCE, async || {
            self.assert_running();
            let answer = self.ask(Method::GET, "/readyz").await;
            matches!(answer, Ok((StatusCode::OK, _))).then_some(())
        })
        .await;
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its lake.
    #[must_use]
    pub fn lake(&self) -> PathBuf {
        self.data_dir.join("lake")
    }

    /// The demo application and its key.
    #[must_use]
    pub fn demo(&self) -> (Uuid, Target) {
        let key = fs::read_to_string(self.data_dir.join("demo-api-key")).expect("the first start writes the demo key");
        (self.application("demo"), self.target(key.trim()))
    }

    /// Registers another application with a key.
    #[must_use]
    pub fn new_application(&self, name: &str) -> (Uuid, Target) {
        self.new_application_with(name, &[])
    }

    /// The same, with further arguments of `apps create`.
    #[must_use]
    pub fn new_application_with(&self, name: &str, more: &[&str]) -> (Uuid, Target) {
        let _ = binary::run_json(&self.data_dir, &[&["apps", "create", name], more].concat());
        let key = binary::run_json(&self.data_dir, &["keys", "create", name, "--name", "server"]);
        let key = key["api_key"].as_str().unwrap_or_else(|| panic!("no key in {key}"));
        (self.application(name), self.target(key))
    }

    fn application(&self, name: &str) -> Uuid {
        let application = binary::run_json(&self.data_dir, &["apps", "show", name]);
        let id = application["application_id"].as_str().unwrap_or_else(|| panic!("no id in {application}"));
        id.parse().expect("an application's id is a UUID")
    }

    /// Its gRPC door, with this key.
    #[must_use]
    pub fn target(&self, key: &str) -> Target {
        Target::new(self.grpc, key)
    }

    /// Its REST door.
    #[must_use]
    pub fn rest(&self) -> SocketAddr {
        self.rest
    }

    /// The operators' listener.
    #[must_use]
    pub fn operate_address(&self) -> SocketAddr {
        self.operate
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Panics
    /// If it does not run any more.
    pub fn kill(&mut self) {
        self.assert_running();
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("one's own child can be killed");
        let _ = child.wait().expect("one's own child can be waited for");
    }

    /// Sends it a signal, such as SIGSTOP and later SIGCONT for a stall in which its connections stay open.
    ///
    /// # Panics
    /// If it does not run any more.
    pub fn signal(&mut self, signal: Signal) {
        self.assert_running();
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("one's own child can be signalled");
    }

    /// SIGTERM, and waits until the process has ended by itself.
    ///
    /// # Panics
    /// If it does not within `deadline`.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(deadline).await
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// If it does not within `deadline`.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("it was started");
        let ended = poll::until("the gateway ends", deadline, async || {
            child.try_wait().expect("one's own child can be waited for")
        })
        .await;
        self.child = None;
        ended
    }

    /// Its metrics.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn metrics(&self) -> Scrape {
        let (status, text) = self.ask(Method::GET, "/metrics").await.expect("the gateway shows its metrics");
        assert_eq!(status, StatusCode::OK, "{text}");
        Scrape::parse(&text)
    }

    /// Its process's id.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// What it takes of memory now, bytes.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        process::resident(self.pid())
    }

    /// What its operators' listener shows at a path.
    ///
    /// # Panics
    /// If it answers anything but 200.
    pub async fn get(&self, path: &str) -> String {
        let (status, text) = self.ask(Method::GET, path).await.expect("the gateway answers");
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        text
    }

    /// Has the lake's log turned into Parquet now.
    ///
    /// # Panics
    /// If that fails.
    pub async fn compact(&self) -> serde_json::Value {
        let (status, text) = self.ask(Method::POST, "/lake/compact").await.expect("the gateway compacts");
        assert_eq!(status, StatusCode::OK, "{text}");
        let report: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
        assert_eq!(report["failed"], serde_json::json!([]), "{report}");
        report
    }

    /// Everything that it has logged, all starts together.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, String), String> {
        operators::ask(method, self.operate, path, ASK_PATIENCE).await
    }

    fn log_file(&self) -> PathBuf {
        self.data_dir.join("gateway.log")
    }

    fn assert_running(&mut self) {
        let child = self.child.as_mut().expect("it was started");
        if let Some(status) = child.try_wait().expect("one's own child can be waited for") {
            panic!("the gateway has ended by itself: {status}");
        }
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the gateway's log ends so:\n{}", end_of(&self.log_file()).unwrap_or_default());
        }
    }
}

fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LOG_SHOWN)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// An address that is free now and that nobody gets by chance: the system draws the ports of outgoing connections from
/// another range (so that a client which knocks while the gateway is down can't be given the very port it knocks at).
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16 % COUNT;
    for _ in 0..COUNT {
        let port = FIRST + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port from {FIRST} on is free");
}
