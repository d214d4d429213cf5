//! The command line of `latency`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::load::USUAL_CONNECTIONS;
use crate::timing::Timing;

/// Shows what the gateway adds to latency.
#[derive(Clone, Debug, Parser)]
#[command(name = "latency")]
pub struct Options {
    #[command(flatten)]
    timing: Timing,
    /// Loads, in per cent of the gateway's core
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=95), default_values_t = [30, 70, 90])]
    loads: Vec<u32>,
    /// Events in a batch, 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub batch: u32,
    /// Connections, with a stream each
    #[arg(long, default_value_t = USUAL_CONNECTIONS)]
    pub connections: usize,
    /// A further setting of the gateway's; may be repeated
    #[arg(long, value_name = "SETTING=VALUE")]
    pub set: Vec<String>,
    /// Measure this gateway, already built
    #[arg(long, value_name = "PROGRAM")]
    pub gateway: Option<PathBuf>,
    /// Serve instead of measuring: how this program starts the server it compares with
    #[arg(long, hide = true, value_enum)]
    pub serve: Option<crate::server::Kind>,
    /// `cargo bench` says so
    #[arg(long, hide = true)]
    pub bench: bool,
}

impl Options {
    /// How often each load is measured.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.timing.rounds(10, 2)
    }

    /// Length of one measurement.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.timing.time(2.0, 0.7)
    }

    /// The loads, the lightest first.
    #[must_use]
    pub fn loads(&self) -> Vec<u32> {
        let mut loads = self.loads.clone();
        loads.sort_unstable();
        loads.dedup();
        loads
    }
}
