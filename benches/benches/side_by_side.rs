//! The gateway beside what is under it and beside other products: what each spends on the same load.
//!
//! `cargo bench -p headgate-benches --bench side_by_side`, options after `--`; see the README beside `Cargo.toml`.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use headgate_benches::side_by_side::{self, Options};
use headgate_benches::{Result, machine};

// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    headgate_benches::bench("side_by_side", options.serve, options.bench, || measure(&options))
}

fn measure(options: &Options) -> Result<()> {
    // One thread: the load must leave the cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(side_by_side::run(options, Path::new(env!("CARGO_MANIFEST_DIR"))))?;
    println!("\n{report}");
    let path = machine::target_dir()?.join("side_by_side");
    let (json, plot) = (path.with_extension("json"), path.with_extension("svg"));
    std::fs::write(&json, report.to_json()?)?;
    side_by_side::draw(&report, &plot)?;
    println!("written to {} and {}", json.display(), plot.display());
    Ok(())
}
