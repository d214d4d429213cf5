//! What was measured: for people as tables, for programs as JSON.

use std::fmt;

use serde::Serialize;

use super::idle::Idle;
use super::options::{Dimension, Options};
use crate::machine::Machine;
use crate::measurement::{NOISE, Spread};

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// Length of a measurement.
    pub seconds: f64,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Memory of idle streams, if it was measured.
    pub idle: Option<Idle>,
}

/// A curve.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// What changes along it.
    pub dimension: Dimension,
    /// Its points.
    pub points: Vec<Measured>,
}

/// A point.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measured {
    /// Where it is.
    pub value: u32,
    /// The gateway's CPU seconds per million events.
    pub gateway: Spread,
    /// The bare server's.
    pub bare: Spread,
    /// The one over the other, round by round.
    pub ratio: Spread,
    /// Events a second through the gateway meanwhile.
    pub gateway_rate: f64,
    /// Cores busy with anything else, at worst.
    pub noise: f64,
}

impl Curve {
    pub(super) fn new(dimension: Dimension) -> Self {
        Self { dimension, points: Vec::new() }
    }
}

impl Report {
    pub(super) fn new(machine: Machine, options: &Options) -> Self {
        Self { machine, seconds: options.time().as_secs_f64(), curves: Vec::new(), idle: None }
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never, for figures that were measured.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.write(f)?;
        for Curve { dimension, points } in &self.curves {
            writeln!(f)?;
            writeln!(
                f,
                "{:<18} {:>9} {:<15} {:>8} {:>6} {:<13} {:>8}   {:>5}",
                dimension.name(),
                "gateway",
                "",
                "bare",
                "ratio",
                "",
                "M ev/s",
                "noise"
            )?;
            for Measured { value, gateway, bare, ratio, gateway_rate, noise } in points {
                writeln!(
                    f,
                    "{value:<18} {:>9.3} {:<15} {:>8.3} {:>6.2} {:<13} {:>8.3}   {noise:>5.2}",
                    gateway.median,
                    format!("({:.3}-{:.3})", gateway.min, gateway.max),
                    bare.median,
                    ratio.median,
                    format!("({:.2}-{:.2})", ratio.min, ratio.max),
                    gateway_rate / 1e6,
                )?;
            }
        }
        writeln!(f)?;
        writeln!(f, "server CPU seconds (user + system) per million events, medians (min-max); the gateway discards")?;
        writeln!(
            f,
            "noise: cores busy with neither server nor load, at worst; above {NOISE} the figures are doubtful"
        )?;
        if let Some(Idle { connection_with_a_stream, stream }) = self.idle {
            let kib = |bytes: f64| bytes / 1_024.0;
            writeln!(f)?;
            writeln!(
                f,
                "idle: {:.1} KiB for a connection with a stream, {:.1} KiB for a stream more",
                kib(connection_with_a_stream),
                kib(stream)
            )?;
        }
        Ok(())
    }
}
