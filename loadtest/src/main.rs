//! `headgate-loadtest`: see `headgate_loadtest::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    headgate_loadtest::cli::main()
}
