//! The stand-in for Kinesis and Firehose, as a process of its own: what it costs is not the gateway's.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

use super::{Process, build};
use crate::Result;

/// So many that the limit of 1 MiB/s a shard, which the gateway keeps to by itself, is never what slows it down.
const SHARDS: &str = "2048";
/// The data stream and the delivery stream that it has.
pub const STREAM: &str = "events";

/// A stand-in that runs. Ends with this value.
#[derive(Debug)]
pub struct StandIn {
    process: Process,
    endpoint: String,
    // It ends with its input.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A certificate and key in files, for TLS with the name `localhost`.
#[derive(Clone, Copy, Debug)]
pub struct TlsFiles<'a> {
    /// PEM.
    pub certificate: &'a Path,
    /// PEM.
    pub key: &'a Path,
}

/// What a stand-in has counted.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Counted {
    /// Data streams.
    pub kinesis: CountedService,
    /// Delivery streams.
    pub firehose: CountedService,
    /// Bytes read from sockets.
    pub wire_bytes_in: u64,
}

/// One service's part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CountedService {
    /// By operation.
    pub calls: std::collections::BTreeMap<String, u64>,
    /// Records that were stored.
    pub stored_records: u64,
    /// Their data.
    pub stored_data_bytes: u64,
    /// Bodies of the calls that put them.
    pub put_body_bytes: u64,
    /// Records that were refused.
    pub failed_records: std::collections::BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Started {
    endpoint: String,
}

impl StandIn {
    /// Builds it with the profile of benches. Returns its path.
    ///
    /// # Errors
    /// If it does not build.
    pub fn build() -> Result<PathBuf> {
        build("headgate-tests", "aws_stand_in")
    }

    /// Starts one that takes whatever comes and keeps nothing.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: &Path, tls: Option<TlsFiles<'_>>) -> Result<Self> {
        let mut command = Command::new(program);
        command.args([
            "--no-throttle",
            "--discard",
            "--shards",
            SHARDS,
            "--stream",
            STREAM,
            "--delivery-stream",
            STREAM,
        ]);
        if let Some(TlsFiles { certificate, key }) = tls {
            command.arg("--tls").arg(certificate).arg(key);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let process = Process(child);
        let mut output = BufReader::new(output.ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let Started { endpoint } =
            serde_json::from_str(&line).map_err(|_| format!("the stand-in does not start: {line}"))?;
        Ok(Self { process, endpoint, input, output })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where SDKs find it.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends it. Returns what it has counted since it started.
    ///
    /// # Errors
    /// If it does not say so.
    pub fn stop(mut self) -> Result<Counted> {
        drop(self.input.take());
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}
