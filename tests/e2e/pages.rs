//! Every page keeps its word: each code block of each Markdown page that git knows is run, or held to what it names, or says
//! why it is not run. A new page is covered by being there.
//!
//! | a block of | is |
//! |---|---|
//! | `sh` | run by bash in a fresh copy of the checkout, in the page's order, with what the page has done before; a gateway that it starts goes on beside it, and where the page starts none, one of no settings is there. Loads are short. `cargo …` is not run: packages, targets, profiles and options have to be there |
//! | `python`, `sql` | run likewise: after the stubs are made, on the lake of the gateway |
//! | `cpp`, `go`, `java`, `ts` of `docs/clients` | compiled within a function that has what the page's words assume ([`fragments`]) |
//! | `js` of `docs/grpc-web.md` | run by Node, with the packages of gRPC-Web's stock clients ([`fragments`]) |
//! | `rust` | one that a crate's documentation holds word for word, where rustdoc compiles it |
//! | `toml` | settings that `headgate check-config` takes; files that it names are made |
//! | `json` | JSON |
//!
//! A line of a shell block that begins with `# {` is what the block prints.
//!
//! **What can't be run** has a mark before it, on a line of its own, with the reason. Readers don't see it:
//!
//! ```text
//! <!-- not run: needs an AWS account -->
//! ```
//!
//! Each command of a marked shell block is still held to the program that it names: subcommands, options and values of
//! `headgate` and the load tester, options of scripts, parameters of stacks, operations and options of the AWS CLI
//! ([`commands`]). Words that stand for something, such as `$NAME` or `ACCOUNT`, stay as they are. Output and drawings are
//! `text`, and marked. A mark on a block that needs none is a failure, too.
//!
//! `HEADGATE_TEST_PAGE=docs/rest.md cargo test --test e2e pages::` tests one page.

mod aws;
mod block;
mod cargo;
mod checkout;
mod commands;
mod fragments;
mod links;
mod rehearsal;
mod script;
mod still;
mod verdict;

use std::collections::VecDeque;
use std::process::Command;
use std::sync::Mutex;

use headgate_tests::{binary, python};

use self::block::Page;
use self::verdict::Summary;

/// Names the one page to be tested.
const VARIABLE: &str = "HEADGATE_TEST_PAGE";
/// What has happened is nobody's to follow.
const NOT_A_PAGE: &str = "CHANGELOG.md";
/// At once: what they wait for is mostly compilers and gateways.
const WORKERS: usize = 3;

#[test]
fn every_code_block_of_every_page_runs_or_says_why_not() {
    let queue: Mutex<VecDeque<String>> = Mutex::new(pages().into());
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no worker panics with it").pop_front();
                    let Some(name) = next else { break };
                    let verdicts = verdict::of(&Page::read(&name));
                    summary.lock().expect("no worker panics with it").add(verdicts);
                }
            });
        }
    });
    let summary = summary.into_inner().expect("no worker has panicked");
    println!("{summary}");
    assert!(summary.problems.is_empty(), "{}", summary.problems.join("\n\n"));
    assert!(summary.run > 0, "no page has a block that runs: is {VARIABLE} the name of a page?");
}

/// The pages to be tested. Those that compile come first: they take longest.
fn pages() -> Vec<String> {
    let wanted = std::env::var(VARIABLE).ok();
    let mut names = all_pages();
    names.retain(|name| wanted.as_deref().is_none_or(|wanted| name == wanted));
    names.sort_by_key(|name| !name.starts_with("docs/clients/"));
    names
}

/// Every Markdown file that git knows.
fn all_pages() -> Vec<String> {
    let mut git = Command::new("git");
    git.current_dir(binary::workspace()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]);
    let names = python::run(&mut git).expect("git lists the pages: install git");
    let names = names.split('\0').filter(|name| *name != NOT_A_PAGE && binary::workspace().join(name).is_file());
    names.map(str::to_owned).collect()
}
