//! What delivery costs: the gateway with a destination that discards, with Kinesis over HTTP and over HTTPS, and with
//! Firehose, each of the latter to a stand-in of its own, on the same load in turn. What one spends more than the first is
//! what delivery costs.

mod certificate;
mod options;
mod report;
pub mod steps;
mod subject;

use std::path::Path;
use std::time::Duration;

use self::certificate::Certificate;
pub use self::options::Options;
pub use self::report::Report;
use self::subject::{Destination, Measurement, Subject};
use crate::machine::Machine;
use crate::server::StandIn;
use crate::{Error, Result};

/// No measurement may take longer than this, whatever a server does.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures and reports. `programs`: the gateway and the stand-in.
///
/// # Errors
/// If a server does not start, or does not accept every event.
pub async fn run(options: &Options, programs: (&Path, &Path), source: &Path) -> Result<Report> {
    let certificate = Certificate::new()?;
    let mut subjects = Vec::new();
    for destination in Destination::ALL {
        let mut subject = Subject::start(destination, options, programs, &certificate).await?;
        patiently(destination, subject.warm_up(options)).await?;
        subjects.push((subject, Vec::<Measurement>::new()));
    }
    for _ in 0..options.rounds() {
        for (subject, measured) in &mut subjects {
            let destination = subject.destination;
            let measurement = patiently(destination, subject.measure(options)).await?;
            eprintln!("{:<13} {:.3}", destination.name(), measurement.gateway_per_million());
            measured.push(measurement);
        }
    }
    let mut report = Report::new(Machine::look(source), options);
    for (subject, measured) in subjects {
        let destination = subject.destination;
        let arrived = subject.stop().map_err(|error| Error::from(format!("{}: {error}", destination.name())))?;
        report.add(destination, measured, arrived);
    }
    // Last, when no gateway runs any more.
    for tls in [false, true] {
        let stand_in = StandIn::start(programs.1, tls.then(|| certificate.files()))?;
        report.add_steps(tls, steps::measure(&stand_in, &certificate)?);
    }
    Ok(report)
}

async fn patiently<T>(destination: Destination, work: impl Future<Output = Result<T>>) -> Result<T> {
    let result = tokio::time::timeout(PATIENCE, work).await;
    let result = result.unwrap_or_else(|_| Err(format!("it did not end within {PATIENCE:?}").into()));
    result.map_err(|error| Error::from(format!("{}: {error}", destination.name())))
}
