//! Which rule a block is under, and what came of it; over all pages, the summary.

use std::cell::LazyCell;
use std::fmt;

use super::block::{Block, Page};
use super::checkout::Checkout;
use super::script::Step;
use super::{commands, fragments, rehearsal, script, still};

/// What became of a block that is as it should be.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Run,
    /// Held to what it names, and needs no mark for that.
    Checked,
    /// Why not.
    NotRun(String),
}

/// Of all blocks of a page.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// By place.
    pub(super) outcomes: Vec<(String, Outcome)>,
    pub(super) problems: Vec<String>,
}

/// Of all pages.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) run: usize,
    checked: usize,
    not_run: Vec<(String, String)>,
    pub(super) problems: Vec<String>,
}

/// Tries a page's blocks.
pub(super) fn of(page: &Page) -> Verdicts {
    let mut verdicts = Verdicts { problems: page.problems.clone(), ..Verdicts::default() };
    // What is only rehearsed leaves nothing where the others run.
    let checkout: LazyCell<Checkout> = LazyCell::new(Checkout::fresh);
    let rehearsed: LazyCell<Checkout> = LazyCell::new(Checkout::fresh);
    let mut steps = Vec::new();
    for block in &page.blocks {
        let place = page.place(block);
        match &block.mark {
            Some(reason) => match marked(block, &rehearsed) {
                Ok(()) => verdicts.outcomes.push((place, Outcome::NotRun(reason.clone()))),
                Err(problem) => verdicts.problem(&place, &problem),
            },
            None => match rule(page, block) {
                Rule::Step(text) => steps.push(Step { place, text, shell: block.language == "sh" }),
                Rule::Held(Ok(())) => verdicts.outcomes.push((place, Outcome::Checked)),
                Rule::Held(Err(problem)) => verdicts.problem(&place, &problem),
            },
        }
    }
    if !steps.is_empty() {
        script::run(&steps, &checkout, &mut verdicts);
    }
    verdicts
}

enum Rule {
    /// For bash.
    Step(String),
    Held(Result<(), String>),
}

fn rule(page: &Page, block: &Block) -> Rule {
    if let Some(step) = fragments::step(&page.name, block) {
        return Rule::Step(step);
    }
    let text = &block.text;
    match block.language.as_str() {
        "sh" => Rule::Step(text.clone()),
        "python" => Rule::Step(script::fed("python", text)),
        "sql" => Rule::Step(script::fed("duckdb -init deploy/queries/duckdb/setup.sql", text)),
        "toml" => Rule::Held(still::settings(text)),
        "json" => Rule::Held(still::json(text)),
        "rust" => Rule::Held(still::documented(text)),
        "text" => Rule::Held(Err("what can't be run says why: put <!-- not run: REASON --> before it".to_owned())),
        other => Rule::Held(Err(format!(
            "there is no rule for `{other}`: put <!-- not run: REASON --> before it, or write a rule in tests/e2e/pages"
        ))),
    }
}

/// A block with a mark: its commands are right as far as can be told, and it needs the mark.
fn marked(block: &Block, checkout: &LazyCell<Checkout>) -> Result<(), String> {
    let needless = match block.language.as_str() {
        "sh" => {
            let spoken = rehearsal::of(&block.text, checkout)?;
            let problems: Vec<String> = spoken.iter().filter_map(commands::problem).collect();
            if !problems.is_empty() {
                return Err(problems.join("\n"));
            }
            !spoken.is_empty() && !block.text.contains('…') && spoken.iter().all(commands::could_run)
        }
        "toml" => still::settings(&block.text).is_ok(),
        "json" => still::json(&block.text).is_ok(),
        "rust" => still::documented(&block.text).is_ok(),
        _ => false,
    };
    if needless { Err("it can be run or checked: take the mark away".to_owned()) } else { Ok(()) }
}

impl Verdicts {
    pub(super) fn problem(&mut self, place: &str, problem: &str) {
        self.problems.push(format!("{place}: {problem}"));
    }
}

impl Summary {
    pub(super) fn add(&mut self, verdicts: Verdicts) {
        self.problems.extend(verdicts.problems);
        for (place, outcome) in verdicts.outcomes {
            match outcome {
                Outcome::Run => self.run += 1,
                Outcome::Checked => self.checked += 1,
                Outcome::NotRun(reason) => self.not_run.push((place, reason)),
            }
        }
        self.not_run.sort();
        self.problems.sort();
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, checked, not_run, problems } = self;
        writeln!(f, "{run} blocks run, {checked} checked, {} not run, {} wrong", not_run.len(), problems.len())?;
        for (place, reason) in not_run {
            writeln!(f, "  not run: {place}: {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(text: &str) -> Verdicts {
        of(&Page::parse("page.md", text))
    }

    fn only_problem(text: &str) -> String {
        let problems = tried(text).problems;
        assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
        problems.into_iter().next().expect("one")
    }

    /// A page as a reader has it: what a block leaves behind is there for the next one, and the gateway is real.
    #[test]
    fn blocks_run_in_the_pages_order_against_a_real_gateway() {
        let verdicts = tried(
            "```sh\nheadgate serve\nNAME=skyfall\n```\n\n```sh\nheadgate apps create $NAME\n\
             curl -s http://127.0.0.1:9090/healthz\nprintf '{\"a\":1}\\n'\n# {\"a\":1}\n```\n\n\
             ```python\nassert open('headgate-data/demo-api-key').read()\n```\n\n\
             ```sql\nSELECT count(*) FROM raw_events\n```\n\n```sh\ncargo build --release -p headgate\n```\n",
        );
        assert!(verdicts.problems.is_empty(), "{verdicts:?}");
        let outcomes: Vec<&Outcome> = verdicts.outcomes.iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(outcomes, [&Outcome::Run, &Outcome::Run, &Outcome::Run, &Outcome::Run, &Outcome::Checked]);
    }

    #[test]
    fn what_does_not_work_is_told_with_its_place() {
        for (text, place, problem) in [
            ("```sh\nheadgate apps show nobody\n```\n", "page.md:1: ", "nobody"),
            (
                "```sh\ntrue\n```\n\n```sh\nheadgate apps create x --no-such-option\n```\n",
                "page.md:5: ",
                "--no-such-option",
            ),
            ("```sh\necho 1\n# {\"a\":1}\n```\n", "page.md:1: ", "it does not print {\"a\":1}"),
            ("```sh\ncargo bench -p headgate-benches --bench no-such-bench\n```\n", "page.md:1: ", "no-such-bench"),
            ("```python\nraise SystemExit('no')\n```\n", "page.md:1: ", "ends with 1"),
            ("```sql\nSELECT no_such_column FROM raw_events\n```\n", "page.md:1: ", "no_such_column"),
            ("```toml\n[grpc]\nlisten = \"nowhere\"\n```\n", "page.md:1: ", "grpc.listen"),
            ("```json\n{\"a\": }\n```\n", "page.md:1: ", "no JSON"),
            ("```rust\nfn nowhere() {}\n```\n", "page.md:1: ", "no crate's documentation"),
            ("```text\noutput\n```\n", "page.md:1: ", "<!-- not run: REASON -->"),
            ("```cobol\nSTOP RUN.\n```\n", "page.md:1: ", "no rule for `cobol`"),
        ] {
            let found = only_problem(text);
            assert!(found.starts_with(place) && found.contains(problem), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn marked_commands_are_held_to_what_they_name() {
        for (commands, problem) in [
            ("headgate apps make my-game --gateway https://NAME:443", "make"),
            ("headgate keys rotate KEY --overlap tomorrow", "--overlap"),
            ("headgate-loadtest run --workload launch --shards 3 ...", "--shards"),
            ("for app in 1 2; do headgate serve --no-such-option; done", "--no-such-option"),
            ("cd no/such/folder", "no/such/folder"),
            ("fuzz/no-such-script all", "fuzz/no-such-script"),
            ("fuzz/run all --until tomorrow", "--until"),
            ("deploy/cloudformation/deploy prod no-such-stack", "no-such-stack"),
            ("deploy/cloudformation/deploy prod data NoSuchParameter=1", "NoSuchParameter"),
            ("deploy/cloudformation/loadtest prod --shards 2 -- --no-such-option 1", "--no-such-option"),
            ("target/release/torture --no-such-option", "--no-such-option"),
            ("cargo run --release -p headgate-tests --bin no-such-program", "no-such-program"),
            ("aws kinesis make-stream", "make-stream"),
            ("aws kinesis", "wants an operation"),
            ("X=$(aws kinesis describe-stream --no-such-option a)", "--no-such-option"),
            ("aws cloudformation deploy --template-file no-such.yaml --stack-name a", "no-such.yaml"),
            ("no-such-tool --help", "no-such-tool"),
        ] {
            let found = only_problem(&format!("<!-- not run: needs an account -->\n```sh\n{commands}\n```\n"));
            assert!(found.starts_with("page.md:2: ") && found.contains(problem), "{commands:?}: {found:?}");
        }
    }

    #[test]
    fn a_mark_that_nothing_needs_is_a_problem() {
        for block in ["```sh\nheadgate apps list\n```", "```json\n{}\n```", "```toml\n[rest]\nenabled = false\n```"] {
            let found = only_problem(&format!("<!-- not run: no time -->\n{block}\n"));
            assert!(found.contains("take the mark away"), "{block:?}: {found:?}");
        }
        let verdicts = tried("<!-- not run: a drawing -->\n```text\na -> b\n```\n");
        assert_eq!(verdicts.outcomes, [("page.md:2".to_owned(), Outcome::NotRun("a drawing".to_owned()))]);
    }
}
