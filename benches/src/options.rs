//! The command line of `side_by_side`.

use std::path::PathBuf;

use clap::Parser;

use crate::load::Case;
use crate::server::Kind;

/// Compares what the gateway and a bare tonic + prost server spend on the same load.
#[derive(Clone, Debug, Parser)]
#[command(name = "side_by_side")]
pub struct Options {
    /// A short run for a first look: its figures are rough
    #[arg(long)]
    pub quick: bool,
    /// Pairs of measurements of each case [default: 5]
    #[arg(long)]
    pairs: Option<u32>,
    /// Length of one measurement, in seconds [default: 1.5]
    #[arg(long)]
    seconds: Option<f64>,
    /// Only this case, such as stream-100 or unary-1; may be repeated
    #[arg(long, value_name = "CASE")]
    pub only: Vec<Case>,
    /// Connections of the load
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Measure the usual way (prost, serde_json, a record for each event) as well
    #[arg(long)]
    pub usual: bool,
    /// Measure this gateway, already built, such as one of another commit
    #[arg(long, value_name = "PROGRAM")]
    pub gateway: Option<PathBuf>,
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
    /// Pairs of measurements of each case.
    #[must_use]
    pub fn pairs(&self) -> u32 {
        self.pairs.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    /// Length of one measurement.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.quick { 0.6 } else { 1.5 }).clamp(0.1, 60.0)
    }

    /// The cases to measure.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        if self.only.is_empty() { Case::ALL.to_vec() } else { self.only.clone() }
    }
}
