//! The `headgate` command.

mod allocator;

use std::process::ExitCode;

use clap::Parser;
use headgate::cli::arguments::{Arguments, run};

fn main() -> ExitCode {
    allocator::configure();
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headgate: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
