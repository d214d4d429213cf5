//! Images of `deploy/container`, built by its own script, and containers of them, run by its own script: as nobody, on a
//! root that can't be written to. Nothing of either is left behind, however the test ends.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::gateway::free_address;
use crate::metrics::Scrape;
use crate::static_binary::{self, Program};
use crate::{binary, http as operators, poll, python};

/// What the image says of its user (`USER`).
pub const NOBODY: u32 = 65_532;
const START_PATIENCE: Duration = Duration::from_secs(60);
const ASK_PATIENCE: Duration = Duration::from_secs(10);

/// Makes sure that a tool is there.
///
/// # Panics
/// If it is not: says what to install.
pub fn need(tool: &str) {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(tool).is_file());
    assert!(
        found,
        "{tool} is missing: apt-get install -y --no-install-recommends buildah podman runc skopeo netavark haproxy"
    );
}

fn script(name: &str) -> Command {
    let mut command = Command::new(binary::workspace().join("deploy/container").join(name));
    binary::forget_settings(&mut command);
    command
}

/// A name that no other test process has, nor this one twice.
fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("headgate-test-{}-{}-{what}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs podman.
///
/// # Errors
/// What it said.
pub fn podman(arguments: &[&str]) -> Result<String, String> {
    python::run(Command::new("podman").args(arguments))
}

fn podman_or_panic(arguments: &[&str]) -> String {
    podman(arguments).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Does what takes its time on a thread of its own: the load goes on meanwhile.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

/// An image, as long as this lives.
pub struct Image {
    name: String,
    digest: String,
}

impl Image {
    /// Links the program statically and builds its image of it. `folder` takes what comes up on the way.
    ///
    /// # Panics
    /// If that fails, or a tool is missing (says what to install).
    #[must_use]
    pub fn build(program: Program, folder: &Path) -> Self {
        ["buildah", "skopeo", "podman", "runc"].into_iter().for_each(need);
        let linked = static_binary::link(program, folder);
        // From here on there is something to take away.
        let mut image = Self { name: format!("localhost/{}", unique(program.name)), digest: String::new() };
        let mut build = script("build");
        build.args(["--program", program.name, "--tag", &image.name]).arg("--binary").arg(linked);
        build.arg("--out").arg(folder.join("layout"));
        let told = python::run(&mut build).unwrap_or_else(|problem| panic!("{problem}"));
        println!("{told}");
        let digest = told.lines().find_map(|line| line.strip_prefix("digest")).expect("it says the digest").trim();
        image.digest = digest.to_owned();
        image
    }

    /// What it is called in the local storage.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The manifest's digest, by which a registry knows it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = podman(&["rmi", "--force", &self.name]);
    }
}

/// A gateway in a container, with a volume.
pub struct Container {
    name: String,
    grpc: SocketAddr,
    rest: SocketAddr,
    operate: SocketAddr,
}

impl Container {
    /// One that is not started yet.
    ///
    /// # Panics
    /// If its volume can't be made.
    #[must_use]
    pub fn new(what: &str) -> Self {
        need("podman");
        let (grpc, rest, operate) = (free_address(), free_address(), free_address());
        let container = Self { name: unique(what), grpc, rest, operate };
        podman_or_panic(&["volume", "create", &container.name]);
        container
    }

    /// Puts a copy of a file into its volume, for whom the image runs as.
    ///
    /// # Panics
    /// If it can't be written there, which takes root.
    pub fn put(&self, file: &Path) {
        let volume = self.volume();
        let copy = volume.join(file.file_name().expect("a file has a name"));
        fs::copy(file, &copy).expect("a volume can be written to");
        for path in [&volume, &copy] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root gives files away");
        }
    }

    /// Starts it, with settings such as `lake.segment_age=1s`, and waits until it is ready. Says how long that took, from
    /// before the container was made.
    ///
    /// # Panics
    /// If it does not get ready.
    pub async fn start(&self, image: &Image, settings: &[&str]) -> Duration {
        let mut run = script("run");
        run.arg(image.name()).args(["--detach", "--name", &self.name]);
        run.env("HEADGATE_VOLUME", &self.name);
        for (door, address) in [("GRPC", self.grpc), ("REST", self.rest), ("OPERATE", self.operate)] {
            run.env(format!("HEADGATE_{door}__LISTEN"), address.to_string());
        }
        for setting in settings {
            let (name, value) = setting.split_once('=').expect("SETTING=VALUE");
            run.env(format!("HEADGATE_{}", name.replace('.', "__").to_uppercase()), value);
        }
        let started = Instant::now();
        aside(move || python::run(&mut run)).await.unwrap_or_else(|problem| panic!("{problem}"));
        poll::until("the container's gateway is ready", START_PATIENCE, async || {
            let ready = operators::ask(Method::GET, self.operate, "/readyz", ASK_PATIENCE).await;
            matches!(ready, Ok((StatusCode::OK, _))).then_some(())
        })
        .await;
        started.elapsed()
    }

    /// Its gRPC door.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Its operators' listener.
    #[must_use]
    pub fn operate(&self) -> SocketAddr {
        self.operate
    }

    /// Runs a program of the image in the container.
    ///
    /// # Errors
    /// What it said.
    pub fn exec(&self, line: &[&str]) -> Result<String, String> {
        podman(&[&["exec", &self.name], line].concat())
    }

    /// What podman knows of it, by a Go template.
    ///
    /// # Panics
    /// If it knows nothing.
    #[must_use]
    pub fn inspect(&self, template: &str) -> String {
        podman_or_panic(&["inspect", "--format", template, &self.name])
    }

    /// Where its volume is on this machine.
    #[must_use]
    pub fn volume(&self) -> PathBuf {
        podman_or_panic(&["volume", "inspect", "--format", "{{.Mountpoint}}", &self.name]).into()
    }

    /// Its metrics.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn metrics(&self) -> Scrape {
        let answer = operators::ask(Method::GET, self.operate, "/metrics", ASK_PATIENCE).await;
        Scrape::parse(&answer.expect("the gateway shows its metrics").1)
    }

    /// SIGTERM, and waits until it has ended by itself: its exit code.
    ///
    /// # Panics
    /// If it does not within `deadline`.
    pub async fn terminate(&self, deadline: Duration) -> i32 {
        podman_or_panic(&["kill", "--signal", "TERM", &self.name]);
        let name = self.name.clone();
        let ended = aside(move || podman(&["wait", "--interval", "20ms", &name]));
        let ended = tokio::time::timeout(deadline, ended).await;
        let code = ended.unwrap_or_else(|_| panic!("waited {deadline:?} in vain: the container ends after SIGTERM"));
        code.unwrap_or_else(|problem| panic!("{problem}")).parse().expect("podman tells the exit code")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = Command::new("podman").args(["logs", "--tail", "60", &self.name]).output();
            let logs = logs.map(|logs| [logs.stdout, logs.stderr].concat()).unwrap_or_default();
            eprintln!("{} said:\n{}", self.name, String::from_utf8_lossy(&logs));
        }
        let _ = podman(&["rm", "--force", "--time", "0", &self.name]);
        let _ = podman(&["volume", "rm", "--force", &self.name]);
    }
}
