//! Does torture notice? Bugs of the kind that it is there for are put into a copy of the source, one at a time; each must
//! be caught, and as what it is. Nothing of it is in what is shipped: the copy lies in Cargo's target folder.

pub mod list;

mod tree;

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

pub use self::list::{SABOTAGES, Sabotage};
use self::tree::Tree;
use super::plan::{Plan, Scope};
use super::progress::Progress;

/// Seeds that a sabotage is given: all of a kind that meets it.
const SEEDS: usize = 24;
/// Looked through for them.
const LOOKED_AT: u64 = 200_000;
/// In these plans everything is in one process, so that one program has to be built.
const SCOPE: Scope = Scope { processes: false, dynamodb: false };

/// What became of a sabotage.
pub struct Caught {
    /// Its name.
    pub name: &'static str,
    /// Runs until it was caught.
    pub runs: u64,
    /// The kinds of breach that were found.
    pub kinds: Vec<String>,
    /// Whether one of them is what was expected.
    pub as_expected: bool,
}

/// What a campaign's report says, as far as it is read here.
#[derive(Deserialize)]
struct Report {
    tally: Tally,
}

#[derive(Deserialize)]
struct Tally {
    runs: u64,
    breaches: std::collections::BTreeMap<String, u64>,
}

/// Builds and runs the sabotages whose names hold `only`.
///
/// # Errors
/// In words, if a copy can't be made or built: then nothing is known.
pub fn run(only: &str, jobs: usize, progress: &Progress) -> Result<Vec<Caught>, String> {
    let tree = Tree::new()?;
    let chosen = SABOTAGES.iter().filter(|sabotage| sabotage.name.contains(only));
    chosen.map(|sabotage| one(&tree, sabotage, jobs, progress)).collect()
}

fn one(tree: &Tree, sabotage: &Sabotage, jobs: usize, progress: &Progress) -> Result<Caught, String> {
    tree.restore()?;
    for edit in sabotage.edits {
        tree.edit(edit)?;
    }
    progress.say(&format!("{}: building", sabotage.name));
    let program = tree.build()?;
    let report = tree.path("report.json");
    let seeds = seeds(sabotage);
    let status = torture(&program, &seeds, jobs, &report)?;
    let text = std::fs::read_to_string(&report).map_err(|error| format!("{}: no report: {error}", sabotage.name))?;
    let report: Report = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", sabotage.name))?;
    let kinds: Vec<String> = report.tally.breaches.into_keys().collect();
    let expected = kinds.iter().any(|kind| sabotage.expected.contains(&kind.as_str()));
    let caught = Caught { name: sabotage.name, runs: report.tally.runs, kinds, as_expected: expected && !status };
    progress.say(&format!("{}: {}", sabotage.name, caught.words()));
    Ok(caught)
}

impl Caught {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.as_expected, self.kinds.is_empty()) {
            (true, _) => format!("caught after {} runs as {}", self.runs, self.kinds.join(", ")),
            (false, true) => format!("NOT CAUGHT in {} runs", self.runs),
            (false, false) => format!("found in {} runs, but only as {}", self.runs, self.kinds.join(", ")),
        }
    }
}

/// The first seeds whose plans meet a sabotage.
fn seeds(sabotage: &Sabotage) -> Vec<u64> {
    let plans = (0..LOOKED_AT).map(|seed| Plan::of(seed, SCOPE));
    plans.filter(|plan| (sabotage.meets)(plan)).map(|plan| plan.seed).take(SEEDS).collect()
}

/// Runs a campaign of the program that was built; whether it passed.
fn torture(program: &Path, seeds: &[u64], jobs: usize, report: &Path) -> Result<bool, String> {
    let _ = std::fs::remove_file(report);
    let mut command = Command::new(program);
    for seed in seeds {
        command.args(["--seed", &seed.to_string()]);
    }
    command.args(["--no-processes", "--no-dynamodb", "--stop-at-first", "--jobs", &jobs.to_string(), "--json"]);
    let status = command.arg(report).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.map(|status| status.success()).map_err(|error| format!("{}: {error}", program.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::binary::workspace;

    #[test]
    fn every_sabotage_still_finds_the_text_that_it_changes_once() {
        for sabotage in SABOTAGES {
            for edit in sabotage.edits {
                let text = fs::read_to_string(workspace().join(edit.file)).expect("the file is there");
                let found = text.matches(edit.old).count();
                assert_eq!(found, 1, "{}: {} holds {found} times\n{}", sabotage.name, edit.file, edit.old);
                assert_ne!(edit.old, edit.new, "{}: {} stays as it is", sabotage.name, edit.file);
            }
        }
    }

    #[test]
    fn every_sabotage_has_seeds_that_meet_it() {
        for sabotage in SABOTAGES {
            assert_eq!(seeds(sabotage).len(), SEEDS, "{}", sabotage.name);
        }
    }
}
