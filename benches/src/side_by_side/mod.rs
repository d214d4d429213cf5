//! Measures servers in turn, A B A B, on the same load: what is under a gateway, the gateway with each of its
//! destinations, and products that do a part of the same.

mod options;
mod plot;
mod report;
mod servers;

use std::path::Path;

pub use self::options::Options;
pub use self::plot::draw;
use self::report::CaseResult;
pub use self::report::Report;
use self::servers::Server;
use crate::Result;
use crate::events::Size;
use crate::machine::Machine;
use crate::measurement::{Measurement, NOISE};
use crate::server::{Missing, Programs};
use crate::subject::Work;

/// Measures and reports.
///
/// # Errors
/// If a server does not start, or does not accept every event.
pub async fn run(options: &Options, source: &Path) -> Result<Report> {
    let mut report = Report::new(Machine::look(source), options);
    let names = options.servers()?;
    let gateway = options.gateway.as_deref();
    // Building it takes minutes.
    let programs = if names.iter().any(|name| servers::needs_stand_in(name)) {
        Programs::find(gateway, options.stand_in.as_deref())?
    } else {
        Programs::of_gateway(gateway)?
    };
    let mut subjects = Vec::new();
    for name in names {
        match Server::start(&name, &programs, options).await? {
            Ok(subject) => subjects.push(subject),
            Err(missing) => {
                eprintln!("{}: missing. {}", missing.name, missing.why);
                report.missing.push(missing);
            }
        }
    }
    let mut warm = Vec::new();
    for mut subject in subjects {
        match subject.warm_up(options.connections, Size::Usual).await {
            Ok(()) => {
                report.add(&subject);
                warm.push(subject);
            }
            // What somebody else's server does not do is no reason to measure none of the others.
            Err(error) if subject.server().is_product() => {
                let missing = Missing { name: subject.name().to_owned(), why: format!("it does not warm up: {error}") };
                eprintln!("{}: missing. {}", missing.name, missing.why);
                report.missing.push(missing);
            }
            Err(error) => return Err(error),
        }
    }
    let mut subjects = warm;
    for case in options.cases() {
        let mut result = CaseResult::new(case);
        for _ in 0..options.rounds() {
            for subject in subjects.iter_mut().filter(|subject| subject.takes(case)) {
                let work = Work { case, size: Size::Usual, connections: options.connections, time: options.time() };
                let measurement = subject.measure(work).await.map_err(|error| format!("{case}: {error}"))?;
                eprintln!("{case:<12} {:<14} {}", subject.name(), line(&measurement));
                result.add(subject.name(), measurement);
            }
        }
        report.cases.push(result);
    }
    Ok(report)
}

/// How it went.
fn line(measurement: &Measurement) -> String {
    let elsewhere = measurement.elsewhere_cores;
    let noise =
        if elsewhere > NOISE { format!("  ({elsewhere:.2} cores busy with something else)") } else { String::new() };
    format!("{:>8.3}{noise}", measurement.server_per_million())
}
