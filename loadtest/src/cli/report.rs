//! `report`.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::{report as html, result};

/// Flags of `report`.
#[derive(Args)]
pub(super) struct ReportArgs {
    /// The result.
    result: PathBuf,
    /// Results to lay over it.
    #[arg(long, value_name = "RESULT")]
    compare: Vec<PathBuf>,
    /// Where the report goes; default: beside the result.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes a report.
pub(super) fn report(args: &ReportArgs) -> Result<u8, Failure> {
    let read = |path| result::read(path).map_err(Failure::usage);
    let one = read(&args.result)?;
    let others = args.compare.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let path = args.output.clone().unwrap_or_else(|| args.result.with_extension("html"));
    std::fs::write(&path, html::html(&one, &others))
        .map_err(|error| Failure::internal(format!("{}: {error}", path.display())))?;
    println!("{}", path.display());
    Ok(0)
}
