//! Which share of a bill is payload: the gateway's packing, one event a record, and the Kinesis Producer Library's rules.
//!
//! `cargo bench -p headgate-benches --bench cost`, options after `--`; see the README beside `Cargo.toml`.

use std::process::ExitCode;

use clap::Parser;
use headgate_benches::Result;
use headgate_benches::cost::{self, Options, Output};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.bench {
        measure(&options)
    } else {
        // `cargo test --all-targets` runs benches too.
        println!("nothing is measured; run it with cargo bench");
        Ok(())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(cost::run(options))?;
    match options.output {
        Output::Table => println!("{report}"),
        Output::Json => println!("{}", report.to_json()?),
    }
    Ok(())
}
