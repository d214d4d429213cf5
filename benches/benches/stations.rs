//! What each station of the hot path costs by itself, in CPU nanoseconds and in instructions.
//!
//! `cargo bench -p headgate-benches --bench stations`, options after `--`; see the README beside `Cargo.toml`.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use headgate_benches::Result;
use headgate_benches::stations::{self, Guard, Judgement, Options, Report};

// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.station {
        Some(station) => stations::turns_of(station, options.turns).map(|()| true),
        None if options.bench => measure(&options),
        None => {
            // `cargo test --all-targets` runs benches too, built without optimisation.
            println!("nothing is measured; run it with cargo bench");
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("stations: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything holds that was to be checked.
fn measure(options: &Options) -> Result<bool> {
    let report = stations::run(options)?;
    println!("{report}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    if (options.check || options.update) && !report.counts() {
        return Err("instructions can't be counted without callgrind (Debian: apt install valgrind)".into());
    }
    if options.update {
        let mut guard = Guard::read(&path).unwrap_or_default();
        for (station, counted) in counted(&report) {
            guard.enter(station, counted, options.because.as_deref())?;
        }
        guard.write(&path)?;
        println!("written to {}", path.display());
    }
    if options.check { check(&report, &Guard::read(&path)?, options.all()) } else { Ok(true) }
}

fn counted(report: &Report) -> impl Iterator<Item = (&'static str, f64)> {
    report.rows().iter().filter(|row| !row.compared).filter_map(|row| Some((row.station, row.instructions?)))
}

fn check(report: &Report, guard: &Guard, all: bool) -> Result<bool> {
    let mut holds = true;
    for (station, counted) in counted(report) {
        match guard.judge(station, counted) {
            Judgement::Holds => {}
            Judgement::Lower { written } => {
                println!(
                    "{station}: {counted:.1} instructions, {written:.1} written down: write it down with --update"
                );
            }
            Judgement::Higher { written } => {
                holds = false;
                println!(
                    "{station}: {counted:.1} instructions, MORE than the {written:.1} written down. If it pays, write it down with --update --because 'REASON'"
                );
            }
            Judgement::Unknown => {
                holds = false;
                println!("{station}: not written down; write it down with --update");
            }
        }
    }
    let known: Vec<&str> = report.rows().iter().map(|row| row.station).collect();
    for gone in guard.gone(&known).filter(|_| all) {
        holds = false;
        println!("{gone}: written down, and no station; remove it from instructions.toml");
    }
    Ok(holds)
}
