//! The fault table of `docs/reliability.md`, measured: `cargo run --release -p headgate-tests --bin faults` lets each fault
//! loose on a gateway of its own and prints a row for it as soon as it has one. `--only TEXT` takes some of them, `--for
//! TIME` says how long each fault lasts. Exits with 0 if every bar held, with 1 if one is broken, with 2 if its arguments
//! make no sense.

#![allow(clippy::disallowed_methods, reason = "a tool's own time")]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use headgate_tests::faults::{Run, TABLE};
use headgate_tests::ministack;
use headgate_tests::torture::progress::say_in_a_line;

/// Lets each fault of the fault table loose, and measures.
#[derive(Parser)]
struct Arguments {
    /// Only the row of this number, or those with this in their faults' names; may be repeated.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// How long each fault lasts, and each stretch without one that it is compared with, such as 10s.
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// What is left to chance follows from it; otherwise it is drawn, and printed.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    // SAFETY: there is no other thread yet.
    unsafe { ministack::set_process_credentials() };
    std::panic::set_hook(Box::new(say_in_a_line));
    let Arguments { only, time, seed } = Arguments::parse();
    let rows: Vec<_> =
        TABLE.iter().filter(|row| only.is_empty() || only.iter().any(|text| row.is_like(text))).collect();
    if rows.is_empty() {
        eprintln!("faults: no row is like {}", only.join(", "));
        return ExitCode::from(2);
    }
    let seed = seed.unwrap_or_else(|| getrandom::u32().expect("the system has randomness").into());
    eprintln!("seed {seed}");
    println!("| # | fault | measured | bar | |");
    println!("|---|---|---|---|---|");
    let mut held = true;
    for row in rows {
        eprintln!("{} {}", row.number, row.fault);
        let began = Instant::now();
        let figures = row.measure(Run { seed, time });
        held &= figures.as_ref().is_none_or(|figures| figures.held());
        eprintln!("  {:.0} s", began.elapsed().as_secs_f64());
        println!("{}", row.line(figures.as_ref()));
        // Into a file, too, as soon as it is there.
        let _ = std::io::stdout().flush();
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
