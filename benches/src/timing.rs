//! How often and how long something is measured, on a command line.

use std::time::Duration;

use clap::Args;

/// Options that all measurements of servers have.
#[derive(Clone, Copy, Debug, Args)]
pub struct Timing {
    /// A short run for a first look: its figures are rough
    #[arg(long)]
    pub quick: bool,
    /// How often each is measured
    #[arg(long)]
    rounds: Option<u32>,
    /// Length of one measurement, in seconds
    #[arg(long)]
    seconds: Option<f64>,
}

impl Timing {
    /// How often; where nothing is said, so often, or so often for a first look.
    #[must_use]
    pub fn rounds(&self, usual: u32, quick: u32) -> u32 {
        self.rounds.unwrap_or(if self.quick { quick } else { usual }).max(1)
    }

    /// How long; where nothing is said, so many seconds, or so many for a first look.
    #[must_use]
    pub fn time(&self, usual: f64, quick: f64) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { quick } else { usual });
        Duration::from_secs_f64(seconds.clamp(0.1, 60.0))
    }
}
