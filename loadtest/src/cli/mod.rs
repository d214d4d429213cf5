//! The command line of `headgate-loadtest`.

mod authorities;
mod calibrate;
mod compare;
mod goose_flags;
mod merge;
mod plan;
mod remote;
mod report;
mod results;
mod run;
mod run_args;
mod smoke;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use headgate_proto::build;

/// Load that a fleet of game servers would make, and figures that can be trusted.
///
/// Exit status: 0 pass, 1 internal error, 2 usage, 3 a rule or a step failed, 4 the run is invalid (the load tester was the limit),
/// 5 events were lost or doubled, 130 interrupted.
#[derive(Parser)]
#[command(name = "headgate-loadtest", version = build::DESCRIPTION, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a load against a gateway, and judge it.
    Run(Box<run_args::RunArgs>),
    /// Say what a run would do, without doing it; list and print scenarios and models.
    Plan(Box<plan::PlanArgs>),
    /// Find out how many events this machine can offer.
    Calibrate(calibrate::CalibrateArgs),
    /// Bring the results of all shards together, exactly, and judge them as one run.
    Merge(merge::MergeArgs),
    /// Compare two results, with confidence intervals; exit status 3 if the second is worse.
    Compare(compare::CompareArgs),
    /// Write the report of a result as one HTML file.
    Report(report::ReportArgs),
    /// Ask a gateway that was just deployed whether it works, end to end; exit status 3 if a step fails.
    Smoke(smoke::SmokeArgs),
}

/// Why a command failed, and the exit status that says so.
struct Failure {
    status: u8,
    what: String,
}

impl Failure {
    const INTERNAL: u8 = 1;
    const USAGE: u8 = 2;

    fn usage(what: impl ToString) -> Self {
        Self { status: Self::USAGE, what: what.to_string() }
    }

    fn internal(what: impl ToString) -> Self {
        Self { status: Self::INTERNAL, what: what.to_string() }
    }
}

/// Runs the command that the arguments give.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Plan(args) => plan::plan(&args),
        Command::Calibrate(args) => calibrate::calibrate(&args),
        Command::Merge(args) => merge::merge(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Report(args) => report::report(&args),
        Command::Smoke(args) => smoke::smoke(args),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(Failure { status, what }) => {
            eprintln!("headgate-loadtest: {what}");
            ExitCode::from(status)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    // Goose's flags and ours are one set: a name or a short letter that both have would panic here.
    #[test]
    fn no_flag_collides_with_one_of_gooses() {
        Cli::command().debug_assert();
    }
}
