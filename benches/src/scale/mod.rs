//! How the gateway's cost changes with what it is sent: connections, events in a batch, bytes of an event, applications,
//! cores; and what a stream takes of memory that nobody sends on.
//!
//! The gateway discards, and a bare tonic + prost server gets the same beside it: what rises with both is the transport's.

mod idle;
mod options;
mod plot;
mod points;
mod report;

use std::path::Path;

pub use self::idle::Idle;
pub use self::options::{Dimension, Options};
pub use self::plot::draw;
use self::points::{Point, Servers};
pub use self::report::Report;
use self::report::{Curve, Measured};
use crate::Result;
use crate::machine::Machine;
use crate::measurement::{Measurement, Spread};
use crate::server::{Destination, Programs};
use crate::subject::Work;

/// Measures and reports.
///
/// # Errors
/// If a server does not start, or does not accept every event.
pub async fn run(options: &Options, source: &Path) -> Result<Report> {
    let programs = Programs::of_gateway(options.gateway.as_deref())?;
    let mut report = Report::new(Machine::look(source), options);
    for dimension in options.dimensions() {
        let mut curve = Curve::new(dimension);
        for value in dimension.values() {
            let point = Point { dimension, value };
            eprintln!("{} {value}", dimension.name());
            let mut servers = Servers::start(point, &programs).await?;
            let (mut gateway, mut bare) = (Vec::new(), Vec::new());
            let Work { connections, size, .. } = point.work(options.time());
            servers.gateway.warm_up(connections, size).await?;
            servers.bare.warm_up(connections, size).await?;
            for _ in 0..options.rounds() {
                bare.push(servers.bare.measure(point.work(options.time())).await?);
                gateway.push(servers.gateway.measure(point.work(options.time())).await?);
            }
            curve.points.push(measured(value, &gateway, &bare));
        }
        report.curves.push(curve);
    }
    if options.measures_idle() {
        report.idle = Some(idle::measure(&programs).await?);
    }
    Ok(report)
}

fn measured(value: u32, gateway: &[Measurement], bare: &[Measurement]) -> Measured {
    let cost = |measured: &[Measurement]| Spread::over(measured, Measurement::server_per_million);
    let rate = |measured: &[Measurement]| Spread::over(measured, Measurement::rate).median;
    Measured {
        value,
        gateway: cost(gateway),
        bare: cost(bare),
        ratio: Spread::of_ratios(gateway, bare),
        gateway_rate: rate(gateway),
        noise: Spread::over(gateway, |measurement| measurement.elsewhere_cores).max,
    }
}

/// The gateway of every point but those of `cores`.
const DESTINATION: Destination = Destination::Discard;
