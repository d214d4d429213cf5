//! `merge`.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::merge::{MergeOptions, merge_files};
use crate::progress::{Mode, Progress};
use crate::run::judge;
use crate::slo::Rule;
use crate::{report, result};

/// Flags of `merge`.
#[derive(Args)]
pub(super) struct MergeArgs {
    /// The result of each shard.
    #[arg(required = true, value_name = "RESULT")]
    results: Vec<PathBuf>,
    /// Where the merged result goes; its report goes beside it.
    #[arg(long, value_name = "FILE", default_value = "merged.json")]
    output: PathBuf,
    /// Judge the rules even if a load tester was the limit.
    #[arg(long)]
    allow_invalid: bool,
    /// Rules instead of those of the run.
    #[arg(long, value_name = "RULE")]
    slo: Vec<String>,
}

/// Merges, judges, writes, and says the exit status.
pub(super) fn merge(args: &MergeArgs) -> Result<u8, Failure> {
    let first = result::read(&args.results[0]).map_err(Failure::usage)?;
    let texts = if args.slo.is_empty() { &first.config.slos } else { &args.slo };
    let rules = texts.iter().map(|text| Rule::parse(text).map_err(Failure::usage)).collect::<Result<Vec<_>, _>>()?;
    let merged = merge_files(
        &args.results,
        MergeOptions { allow_invalid: args.allow_invalid, ..MergeOptions::default() },
        |result| {
            judge(result, &rules, None, args.allow_invalid, false);
        },
    )
    .map_err(Failure::usage)?;
    result::write(&merged.result, &args.output).map_err(Failure::internal)?;
    let html = args.output.with_extension("html");
    std::fs::write(&html, report::html(&merged.result, &[]))
        .map_err(|error| Failure::internal(format!("{}: {error}", html.display())))?;
    Progress::new(Mode::Off).close(&merged.result, &[args.output.clone(), html]);
    Ok(merged.result.verdict.exit_code())
}
