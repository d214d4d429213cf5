//! The command line of `scale`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::timing::Timing;

/// Shows how the gateway's cost changes with what it is sent.
#[derive(Clone, Debug, Parser)]
#[command(name = "scale")]
pub struct Options {
    #[command(flatten)]
    timing: Timing,
    /// Only these curves [default: all, and the memory of idle streams]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Dimension>,
    /// Only the memory of idle streams
    #[arg(long, conflicts_with = "only")]
    idle: bool,
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

/// What changes along a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dimension {
    /// Connections, with a stream each.
    Connections,
    /// Events in a batch.
    Batch,
    /// Bytes of an event on the wire.
    Bytes,
    /// Applications, on 64 connections.
    Applications,
    /// Cores that the server may use.
    Cores,
}

impl Dimension {
    const ALL: [Self; 5] = [Self::Connections, Self::Batch, Self::Bytes, Self::Applications, Self::Cores];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Batch => "events in a batch",
            Self::Bytes => "bytes of an event",
            Self::Applications => "applications",
            Self::Cores => "cores",
        }
    }

    /// Where it is measured.
    #[must_use]
    pub fn values(self) -> Vec<u32> {
        match self {
            Self::Connections => vec![1, 8, 64, 512, 5_000],
            Self::Batch => vec![1, 3, 10, 30, 100, 300, 1_000],
            Self::Bytes => vec![100, 340, 1_024, 4_096, 16_384],
            Self::Applications => vec![1, 10, 100, 1_000],
            Self::Cores => {
                let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                (1..=u32::try_from(cores).unwrap_or(1)).filter(|cores| cores.is_power_of_two()).collect()
            }
        }
    }
}

impl Options {
    /// How often each point is measured.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.timing.rounds(3, 1)
    }

    /// Length of one measurement.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.timing.time(1.5, 0.7)
    }

    /// The curves.
    #[must_use]
    pub fn dimensions(&self) -> Vec<Dimension> {
        match &self.only[..] {
            _ if self.idle => Vec::new(),
            [] => Dimension::ALL.to_vec(),
            only => only.to_vec(),
        }
    }

    /// Whether the memory of idle streams is measured.
    #[must_use]
    pub fn measures_idle(&self) -> bool {
        self.only.is_empty()
    }
}
