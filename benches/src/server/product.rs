//! A product that others build: made and started by `peers/run`, which says where it listens.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::load::{Protocol, Target};

/// A product that runs.
#[derive(Debug)]
pub struct Product {
    // It ends with its input.
    script: Option<Child>,
    pid: u32,
    target: Target,
    said: Said,
}

/// A product that can't be had on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Why, and what would mend it.
    pub why: String,
}

/// What a product says of itself.
#[derive(Clone, Debug, Deserialize)]
struct Said {
    pid: Option<u32>,
    address: Option<SocketAddr>,
    protocol: Option<Spoken>,
    version: Option<String>,
    does: Option<String>,
    missing: Option<String>,
    /// Whether it looks into messages at all.
    #[serde(default = "yes")]
    decodes: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Spoken {
    HeadgateGrpc,
    OtlpGrpc,
}

impl Product {
    /// Those that there are.
    ///
    /// # Errors
    /// If the script can't be run.
    pub fn names() -> Result<Vec<String>> {
        let output = Command::new(script()).arg("--list").stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err("benches/peers/run does not say which there are; it needs Python 3.11".into());
        }
        Ok(String::from_utf8(output.stdout)?.split_whitespace().map(str::to_owned).collect())
    }

    /// Makes one, where it has not to be built, and starts it.
    ///
    /// # Errors
    /// If it could be had and does not start.
    pub fn start(name: &str, target_dir: &Path) -> Result<std::result::Result<Self, Missing>> {
        eprintln!("{name}: fetched where it is not there yet");
        let mut child = Command::new(script())
            .args([name, "--no-build"])
            .env("CARGO_TARGET_DIR", target_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let said: Said = serde_json::from_str(&line).map_err(|_| format!("{name} does not start"))?;
        if let Some(why) = said.missing {
            let _ = child.wait();
            return Ok(Err(Missing { name: name.to_owned(), why }));
        }
        let (Some(pid), Some(address), Some(spoken)) = (said.pid, said.address, said.protocol) else {
            return Err(format!("{name} does not say where it listens: {line}").into());
        };
        let protocol = match spoken {
            Spoken::HeadgateGrpc => Protocol::Headgate,
            Spoken::OtlpGrpc => Protocol::Otlp,
        };
        Ok(Ok(Self { script: Some(child), pid, target: Target::open(address, protocol), said }))
    }

    /// The process that does its work.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where to send events.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Which version it is.
    #[must_use]
    pub fn version(&self) -> &str {
        self.said.version.as_deref().unwrap_or("unknown")
    }

    /// Whether it is one that studios put in front of their events, rather than a library's server, and does a part of the
    /// gateway's work.
    #[must_use]
    pub fn is_rival(&self) -> bool {
        self.target.protocol == Protocol::Otlp && self.said.decodes
    }

    /// What it does with events.
    #[must_use]
    pub fn does(&self) -> &str {
        self.said.does.as_deref().unwrap_or("")
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            let _ = script.wait();
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/run")
}
