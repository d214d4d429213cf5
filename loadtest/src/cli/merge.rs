//! `merge`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::run_args::duration;
use super::{Failure, remote};
use crate::merge::{MergeOptions, merge_files};
use crate::progress::{Mode, Progress};
use crate::run::judge;
use crate::slo::Rule;
use crate::store::Gathered;
use crate::{report, result};

/// Flags of `merge`.
#[derive(Args)]
pub(super) struct MergeArgs {
    /// The result of each shard, or s3://BUCKET/PREFIX where all of them are.
    #[arg(required = true, value_name = "RESULT|S3")]
    results: Vec<PathBuf>,
    /// Wait so long until every shard has left its result in S3.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,
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
    let gathered = gathered(args)?;
    let results = gathered.as_ref().map_or(&args.results, |gathered| &gathered.files);
    let first = result::read(&results[0]).map_err(Failure::usage)?;
    let texts = if args.slo.is_empty() { &first.config.slos } else { &args.slo };
    let rules = texts.iter().map(|text| Rule::parse(text).map_err(Failure::usage)).collect::<Result<Vec<_>, _>>()?;
    let merged =
        merge_files(results, MergeOptions { allow_invalid: args.allow_invalid, ..MergeOptions::default() }, |result| {
            judge(result, &rules, None, args.allow_invalid, false);
            result.findings.extend(gathered.iter().flat_map(|gathered| gathered.missing.clone()));
        })
        .map_err(Failure::usage)?;
    result::write(&merged.result, &args.output).map_err(Failure::internal)?;
    let html = args.output.with_extension("html");
    std::fs::write(&html, report::html(&merged.result, &[]))
        .map_err(|error| Failure::internal(format!("{}: {error}", html.display())))?;
    Progress::new(Mode::Off).close(&merged.result, &[args.output.clone(), html]);
    Ok(merged.result.verdict.exit_code())
}

/// The results that are fetched, if they are not files here.
fn gathered(args: &MergeArgs) -> Result<Option<Gathered>, Failure> {
    let places = args.results.iter().map(|path| remote::place(path)).collect::<Result<Vec<_>, _>>()?;
    match places.as_slice() {
        [Some(place)] => remote::gathered(place.clone(), args.wait.unwrap_or_default()).map(Some),
        [] | [None, ..] if args.wait.is_some() => {
            Err(Failure::usage("--wait is for results in S3: give s3://BUCKET/PREFIX, or leave it out"))
        }
        places if places.iter().all(Option::is_none) => Ok(None),
        _ => Err(Failure::usage("give one s3://BUCKET/PREFIX alone: it stands for all results in it")),
    }
}
