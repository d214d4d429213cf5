//! What delivery costs: the gateway with a destination that discards, with Kinesis over HTTP and over HTTPS, and with
//! Firehose, each of the latter to a stand-in of its own, on the same load in turn. What one spends more than the first is
//! what delivery costs.

mod options;
mod report;
pub mod steps;

use std::path::Path;

pub use self::options::Options;
pub use self::report::Report;
use crate::load::{Call, Case};
use crate::machine::Machine;
use crate::measurement::Measurement;
use crate::server::{Certificate, Destination, House, Programs, StandIn};
use crate::subject::Work;
use crate::{Error, Result};

const CASE: Case = Case::new(Call::Stream, 100);

/// In the order in which they are measured.
const DESTINATIONS: [Destination; 4] =
    [Destination::Discard, Destination::Kinesis, Destination::KinesisTls, Destination::Firehose];

/// Measures and reports.
///
/// # Errors
/// If a server does not start, or does not accept every event.
pub async fn run(options: &Options, programs: &Programs, source: &Path) -> Result<Report> {
    let mut subjects = Vec::new();
    for destination in DESTINATIONS {
        let mut subject = House::start(destination.name(), destination, programs, &options.set).await?;
        subject.warm_up(options.connections, options.size()).await?;
        subjects.push((subject, Vec::<Measurement>::new()));
    }
    let work = Work { case: CASE, size: options.size(), connections: options.connections, time: options.time() };
    for _ in 0..options.rounds() {
        for (subject, measured) in &mut subjects {
            let measurement = subject.measure(work).await?;
            eprintln!("{:<13} {:.3}", subject.name(), measurement.server_per_million());
            measured.push(measurement);
        }
    }
    let mut report = Report::new(Machine::look(source), options);
    for (subject, measured) in subjects {
        let (house, events) = subject.into_server();
        let destination = house.destination();
        let arrived = house.stop(events).map_err(|error| Error::from(format!("{}: {error}", destination.name())))?;
        report.add(destination, measured, arrived);
    }
    // Last, when no gateway runs any more.
    let certificate = Certificate::new()?;
    for tls in [false, true] {
        let stand_in = StandIn::start(&programs.stand_in, tls.then(|| certificate.files()))?;
        report.add_steps(tls, steps::measure(&stand_in, &certificate)?);
    }
    Ok(report)
}
