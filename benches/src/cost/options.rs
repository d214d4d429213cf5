//! The command line of `cost`.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Shows which share of a bill of Kinesis or Firehose is payload, by event size and rate.
#[derive(Clone, Debug, Parser)]
#[command(name = "cost")]
pub struct Options {
    /// A short run for a first look
    #[arg(long)]
    pub quick: bool,
    /// How long flows are measured, in seconds [default: 20]
    #[arg(long)]
    seconds: Option<f64>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// `cargo bench` says so
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Options {
    /// How long flows are measured.
    #[must_use]
    pub fn measured(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { 5.0 } else { 20.0 });
        Duration::from_secs_f64(seconds.clamp(1.0, 300.0))
    }
}
