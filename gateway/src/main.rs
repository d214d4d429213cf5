//! The `headgate` command.

use std::process::ExitCode;

use clap::Parser;
use headgate::cli::arguments::{Arguments, run};

// Saves 10 to 25 % of decoding's CPU and much of the compiler's default allocator's fragmentation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("headgate: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
