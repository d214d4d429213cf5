//! The command line of `delivery`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::cost::Output;
use crate::events::Size;
use crate::timing::Timing;

/// Shows what delivery to Kinesis and Firehose costs the gateway beside a destination that discards.
#[derive(Clone, Debug, Parser)]
#[command(name = "delivery")]
pub struct Options {
    #[command(flatten)]
    timing: Timing,
    /// How large events are
    #[arg(long, value_enum, default_value_t = Events::Usual)]
    events: Events,
    /// Connections of the load
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Measure this gateway, already built, such as one of another commit
    #[arg(long, value_name = "PROGRAM")]
    pub gateway: Option<PathBuf>,
    /// The stand-in for Kinesis and Firehose, already built
    #[arg(long, value_name = "PROGRAM")]
    pub stand_in: Option<PathBuf>,
    /// A setting of the gateway's, such as kinesis.max_call=1MiB; may be repeated
    #[arg(long = "set", value_name = "SETTING=VALUE")]
    pub set: Vec<String>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Measure the steps of a call instead: how this program starts itself with variables for the SDK
    #[arg(long, hide = true)]
    pub steps: bool,
    /// `cargo bench` says so
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// How large events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Events {
    /// Those of `side_by_side`: 342 bytes on the wire, stream records of about 650.
    Usual,
    /// With next to no payload: stream records of about 410 bytes, most of them the format's own.
    Small,
}

impl Options {
    /// How often each destination is measured.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.timing.rounds(5, 2)
    }

    /// Length of one measurement.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.timing.time(3.0, 1.0)
    }

    /// How large events are.
    #[must_use]
    pub fn size(&self) -> Size {
        match self.events {
            Events::Small => Size::Small,
            Events::Usual => Size::Usual,
        }
    }
}
