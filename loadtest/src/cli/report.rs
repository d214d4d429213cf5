//! `report`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, remote};
use crate::report as html;

/// Flags of `report`.
#[derive(Args)]
pub(super) struct ReportArgs {
    /// The result: a file, or s3://BUCKET/KEY.
    result: PathBuf,
    /// Results to lay over it.
    #[arg(long, value_name = "RESULT")]
    compare: Vec<PathBuf>,
    /// Where the report goes; default: beside the result, or in this folder if the result is in S3.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes a report.
pub(super) fn report(args: &ReportArgs) -> Result<u8, Failure> {
    let one = remote::read(&args.result)?;
    let others = args.compare.iter().map(|path| remote::read(path)).collect::<Result<Vec<_>, _>>()?;
    let beside = || match remote::place(&args.result) {
        Ok(Some(place)) => PathBuf::from(place.split().1),
        _ => args.result.clone(),
    };
    let path = args.output.clone().unwrap_or_else(|| beside().with_extension("html"));
    std::fs::write(&path, html::html(&one, &others))
        .map_err(|error| Failure::internal(format!("{}: {error}", path.display())))?;
    println!("{}", path.display());
    Ok(0)
}
