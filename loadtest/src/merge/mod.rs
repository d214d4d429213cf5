//! Many results into one, and one held against another.
//!
//! [`merge`] puts the shards of a run together without a coordinator: counts and buckets add up exactly, seconds are
//! aligned by wall clock, and the rules are judged once, on the whole. [`compare`] says whether one run is better than
//! another, with an interval that tells a change from noise.

mod align;
mod blocks;
mod bootstrap;
mod compare;
mod difference;
mod fold;
mod gateways;
mod measures;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(feature = "cli")]
mod table;
mod totals;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

pub use align::thin;
pub use bootstrap::interval;
pub use compare::{Change, CompareError, CompareOptions, Comparison, Metric, Side, Unit, compare};
pub use difference::{Difference, differences};

use crate::result::{ResultError, RunResult};
use fold::Fold;

/// How results are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeOptions {
    /// Starts further apart than this are a finding. Default 2 s.
    pub start_tolerance: Duration,
    /// The most intervals of the merged result. Default 3,600.
    pub most_intervals: usize,
    /// Whether missing shards and invalid ones are only told, and the verdict stays what `judge` makes it. Default no.
    pub allow_invalid: bool,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self { start_tolerance: Duration::from_secs(2), most_intervals: 3_600, allow_invalid: false }
    }
}

/// What came of merging.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The whole, judged.
    pub result: RunResult,
    /// The shards that are not in it, ascending; with any, the verdict is no better than invalid, unless that is allowed.
    pub missing: Vec<u32>,
}

/// Why results can't be merged.
#[derive(Debug, Error)]
pub enum MergeError {
    /// There is none.
    #[error("nothing to merge: give the result of each shard")]
    Nothing,
    /// One of them can't be read.
    #[error(transparent)]
    Unreadable(#[from] ResultError),
    /// One of them was merged before.
    #[error("a result that was merged from {0} shards can't be merged again: give the results of its shards")]
    AlreadyMerged(usize),
    /// One of them is of another run.
    #[error("shard {index} ran with other settings: {}; merge only shards of one run", difference::list(.differences))]
    Foreign {
        /// The shard.
        index: u32,
        /// What differs, with the first shard's value first.
        differences: Vec<Difference>,
    },
    /// One of them is of another run with the same settings.
    #[error(
        "shard {index} is of another run ({found}) than the first ({expected}): merge only shards of one run, and give all \
         of them the same --start-at"
    )]
    OtherRun {
        /// The shard.
        index: u32,
        /// Its run's id.
        found: u64,
        /// The first shard's.
        expected: u64,
    },
    /// The run was split in different ways.
    #[error("shard {index} is one of {found}, and others are of {expected}: merge only shards of one run")]
    Split {
        /// The shard.
        index: u32,
        /// Of how many it is.
        found: u32,
        /// Of how many the others are.
        expected: u32,
    },
    /// A shard that can't be.
    #[error("there is no shard {index} of {of}: indices go from 1 to {of}")]
    NoSuchShard {
        /// Its index.
        index: u32,
        /// Of how many.
        of: u32,
    },
    /// The same shard twice.
    #[error("shard {0} is there twice: give each shard's result once")]
    Duplicate(u32),
}

/// Merges the results of a run's shards; their order does not matter. `judge` sets the verdict, the rules' results and
/// the findings from the merged figures.
///
/// # Errors
/// The results are not of one run, or a shard is there twice. A missing shard is no error: it makes the result invalid.
pub fn merge(
    mut results: Vec<RunResult>,
    options: MergeOptions,
    judge: impl Fn(&mut RunResult),
) -> Result<Merged, MergeError> {
    results.sort_by_key(|result| result.config.shard.index);
    let earliest = results.iter().map(|result| result.started_at).fold(f64::INFINITY, f64::min);
    let mut fold = Fold::new(earliest, options);
    for result in results {
        fold.add(result)?;
    }
    fold.finish(judge)
}

/// The same for files, of which one is in memory at a time.
///
/// # Errors
/// As [`merge`], and if a file can't be read.
pub fn merge_files(
    paths: &[PathBuf],
    options: MergeOptions,
    judge: impl Fn(&mut RunResult),
) -> Result<Merged, MergeError> {
    let mut heads = paths.iter().map(|path| Ok((head(path)?, path))).collect::<Result<Vec<_>, MergeError>>()?;
    heads.sort_by_key(|(head, _)| head.config.shard.index);
    let earliest = heads.iter().map(|(head, _)| head.started_at).fold(f64::INFINITY, f64::min);
    let mut fold = Fold::new(earliest, options);
    for (_, path) in heads {
        fold.add(crate::result::read(path)?)?;
    }
    fold.finish(judge)
}

/// What has to be known of every file before the first is added.
#[derive(Deserialize)]
struct Head {
    started_at: f64,
    config: HeadConfig,
}

#[derive(Deserialize)]
struct HeadConfig {
    shard: crate::config::ShardOf,
}

fn head(path: &Path) -> Result<Head, MergeError> {
    let name = || path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| ResultError::File { path: name(), error })?;
    serde_json::from_reader(std::io::BufReader::new(file))
        .map_err(|error| ResultError::Shape { path: name(), error }.into())
}

#[cfg(test)]
mod tests;
