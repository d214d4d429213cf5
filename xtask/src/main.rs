//! What developers and newcomers run: `cargo demo` shows the whole of Headgate at work on this machine.

mod demo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What developers and newcomers run")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a gateway on its embedded defaults, sends it events of players, checks that all are in its lake, and asks the
    /// lake first questions.
    Demo(demo::Args),
}

fn main() -> ExitCode {
    // `cargo demo -- --exit`: cargo hands the `--` on, since the alias has one already.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|word| word == "demo") && arguments.get(2).is_some_and(|word| word == "--") {
        arguments.remove(2);
    }
    match Cli::parse_from(arguments).command {
        Command::Demo(arguments) => demo::run(&arguments),
    }
}
