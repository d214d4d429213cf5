//! The command line of `side_by_side`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::servers;
use crate::Result;
use crate::load::{Call, Case};
use crate::server::Kind;
use crate::timing::Timing;

/// What is measured where nothing else is asked for.
const CASES: [Case; 4] =
    [Case::new(Call::Stream, 1), Case::new(Call::Stream, 100), Case::new(Call::Unary, 1), Case::new(Call::Unary, 100)];

/// Compares what the gateway, servers under it and other products spend on the same load.
#[derive(Clone, Debug, Parser)]
#[command(name = "side_by_side")]
pub struct Options {
    #[command(flatten)]
    timing: Timing,
    /// Only this case, such as stream-100 or unary-1; may be repeated [default: those two, stream-1 and unary-100]
    #[arg(long, value_name = "CASE")]
    only: Vec<Case>,
    /// Streams and calls of 1, 10, 100 and 1000
    #[arg(long, conflicts_with = "only")]
    all_cases: bool,
    /// Only these servers, such as bare,gateway,kinesis [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    servers: Vec<String>,
    /// Connections of the load
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Measure this gateway, already built, such as one of another commit
    #[arg(long, value_name = "PROGRAM")]
    pub gateway: Option<PathBuf>,
    /// The stand-in for Kinesis and Firehose, already built
    #[arg(long, value_name = "PROGRAM")]
    pub stand_in: Option<PathBuf>,
    /// A setting of the gateway's, such as ingest.dedupe_window=0; may be repeated
    #[arg(long = "set", value_name = "SETTING=VALUE")]
    pub set: Vec<String>,
    /// Serve instead of measuring: how this program starts the servers it compares with
    #[arg(long, hide = true, value_enum)]
    pub serve: Option<Kind>,
    /// `cargo bench` says so
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Options {
    /// How often each server is measured with each case.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.timing.rounds(5, 2)
    }

    /// Length of one measurement.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.timing.time(1.5, 0.6)
    }

    /// The cases to measure.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        match &self.only[..] {
            [] if self.all_cases => Case::ALL.to_vec(),
            [] => CASES.to_vec(),
            only => only.to_vec(),
        }
    }

    /// The servers to measure, in order.
    ///
    /// # Errors
    /// If one is not known.
    pub fn servers(&self) -> Result<Vec<String>> {
        let known = servers::names()?;
        if let Some(unknown) = self.servers.iter().find(|name| !known.contains(name)) {
            return Err(format!("{unknown} is no server; there are {}", known.join(", ")).into());
        }
        let is_wanted = |name: &String| self.servers.is_empty() || self.servers.contains(name);
        Ok(known.into_iter().filter(is_wanted).collect())
    }
}
