//! How the gateway's cost changes with what it is sent, and what idle streams take.
//!
//! `cargo bench -p headgate-benches --bench scale`, options after `--`; see the README beside `Cargo.toml`.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use headgate_benches::scale::{self, Options};
use headgate_benches::{Result, machine};

// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    headgate_benches::bench("scale", options.serve, options.bench, || measure(&options))
}

fn measure(options: &Options) -> Result<()> {
    // One thread: the load must leave the cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(scale::run(options, Path::new(env!("CARGO_MANIFEST_DIR"))))?;
    println!("\n{report}");
    let path = machine::target_dir()?.join("scale");
    let (json, plot) = (path.with_extension("json"), path.with_extension("svg"));
    std::fs::write(&json, report.to_json()?)?;
    scale::draw(&report, &plot)?;
    println!("written to {} and {}", json.display(), plot.display());
    Ok(())
}
