//! What delivery to Kinesis and Firehose costs a gateway, against a stand-in for both.
//!
//! `cargo bench -p headgate-benches --bench delivery`, options after `--`; see the README beside `Cargo.toml`.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use headgate_benches::Result;
use headgate_benches::cost::Output;
use headgate_benches::delivery::{self, Options, steps};
use headgate_benches::server::Programs;

// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.steps {
        steps::run()
    } else if options.bench {
        measure(&options)
    } else {
        // `cargo test --all-targets` runs benches too, built without optimisation.
        println!("nothing is measured; run it with cargo bench");
        Ok(())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("delivery: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let programs = Programs::find(options.gateway.as_deref(), options.stand_in.as_deref())?;
    // One thread: the load must leave the cores to the gateway.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let report = runtime.block_on(delivery::run(options, &programs, source))?;
    match options.output {
        Output::Table => println!("\n{report}"),
        Output::Json => println!("{}", report.to_json()?),
    }
    Ok(())
}
