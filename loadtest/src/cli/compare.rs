//! `compare`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, remote};
use crate::merge::{CompareOptions, compare as compare_results};
use crate::report;

/// Flags of `compare`.
#[derive(Args)]
pub(super) struct CompareArgs {
    /// The result to compare with: a file, or s3://BUCKET/KEY.
    a: PathBuf,
    /// The result in question.
    b: PathBuf,
    /// A change up to this share does not matter.
    #[arg(long, default_value_t = 0.05)]
    tolerance: f64,
    /// Compare runs with different settings all the same.
    #[arg(long)]
    force: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Write a report of the second with the first laid over it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Compares, and says the exit status: 3 if the second is worse.
pub(super) fn compare(args: &CompareArgs) -> Result<u8, Failure> {
    let (a, b) = (remote::read(&args.a)?, remote::read(&args.b)?);
    let options = CompareOptions { tolerance: args.tolerance, force: args.force, ..CompareOptions::default() };
    let comparison = compare_results(&a, &b, &options).map_err(Failure::usage)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison).map_err(Failure::internal)?);
    } else {
        println!("{comparison}");
    }
    if let Some(path) = &args.report {
        std::fs::write(path, report::html(&b, &[a]))
            .map_err(|error| Failure::internal(format!("{}: {error}", path.display())))?;
    }
    Ok(comparison.exit_code())
}
