//! What the gateway adds to latency.
//!
//! `cargo bench -p headgate-benches --bench latency`, options after `--`; see the README beside `Cargo.toml`.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use headgate_benches::latency::{self, Options};
use headgate_benches::{Result, machine};

// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    headgate_benches::bench("latency", options.serve, options.bench, || measure(&options))
}

fn measure(options: &Options) -> Result<()> {
    // One thread, which looks for answers after each turn of a connection: what has come does not wait.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(4).build()?;
    let report = runtime.block_on(latency::run(options, Path::new(env!("CARGO_MANIFEST_DIR"))))?;
    println!("\n{report}");
    let path = machine::target_dir()?.join("latency");
    let (json, plot) = (path.with_extension("json"), path.with_extension("svg"));
    std::fs::write(&json, report.to_json()?)?;
    latency::draw(&report, &plot)?;
    println!("\nwritten to {} and {}", json.display(), plot.display());
    Ok(())
}
