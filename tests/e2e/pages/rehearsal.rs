//! What a shell block would call: bash reads it, loops and substitutions included, and every command is written down
//! instead of being run.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use super::cargo;
use super::checkout::{self, Checkout};

/// Where commands are written down, beside the checkout: the place, the number of words, the words, a NUL behind each.
pub(super) const RECORDS: &str = "records";

/// The words of a command.
pub(super) type Spoken = Vec<String>;

/// The commands of a block, in order; those of a pipe in any.
///
/// # Errors
/// What bash can't make of it.
pub(super) fn of(text: &str, checkout: &Checkout) -> Result<Vec<Spoken>, String> {
    let records = checkout.own(RECORDS);
    let _ = fs::remove_file(&records);
    let output = checkout
        .bash()
        .arg("-c")
        .arg(format!("{}{}", prelude(text), text))
        .env("RECORDS", &records)
        .stdin(Stdio::null())
        .output()
        .expect("bash can be run");
    let spoken = recorded(checkout).into_iter().map(|(_, spoken)| spoken).collect();
    let _ = fs::remove_file(&records);
    if output.status.success() { Ok(spoken) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

/// What has been written down, with the place of its block.
pub(super) fn recorded(checkout: &Checkout) -> Vec<(String, Spoken)> {
    let text = fs::read(checkout.own(RECORDS)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut words = text.split_terminator('\0').map(str::to_owned);
    let mut found = Vec::new();
    while let (Some(place), Some(count)) = (words.next(), words.next()) {
        let count = count.parse().expect("a number of words");
        found.push((place, words.by_ref().take(count).collect()));
    }
    found
}

/// Whatever is called is written down: bash asks this function for what is on no path, and takes functions for what has a
/// slash in its name. Below `target` lies what a command would have made.
fn prelude(text: &str) -> String {
    let mut prelude = String::from(
        // Nothing of this machine is to be found by chance.
        "set -eo pipefail\n\
         PATH=/nowhere\n\
         command_not_found_handle() {\n\
             printf '%s\\0' '' \"$#\" \"$@\" >>\"$RECORDS\"\n\
             if [ -p /dev/stdin ]; then mapfile -t _; fi\n\
             printf 'ANSWER\\n'\n\
         }\n\
         cd() { case $1 in target/*) ;; *) builtin cd \"$@\" ;; esac; }\n",
    );
    let scripts = checkout::files().iter().filter(|name| name.contains('/') && text.contains(name.as_str())).cloned();
    let built = cargo::programs().iter().map(|name| format!("target/release/{name}"));
    for name in scripts.chain(built) {
        prelude.push_str(&format!("{name}() {{ command_not_found_handle '{name}' \"$@\"; }}\n"));
    }
    // A word that nothing gives a value stands for itself.
    for name in variables(text) {
        prelude.push_str(&format!(": \"${{{name}:={name}}}\"\n"));
    }
    prelude
}

/// Names behind a dollar sign.
fn variables(text: &str) -> BTreeSet<&str> {
    let after = text.split('$').skip(1).map(|rest| rest.trim_start_matches('{'));
    let names = after.map(|rest| {
        let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        &rest[..end.unwrap_or(rest.len())]
    });
    names.filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_says_what_a_block_would_call() {
        let block = "export A=1   # a comment\n\
                     TASK=$(aws ecs run-task --query 'a[0]' \\\n    --output text)\n\
                     for app in 1 2; do headgate apps create game-$app; done\n\
                     nice fuzz/run all --for 3d | head -n 1 > keys.txt\n\
                     (cd docs && B=2 target/release/torture \"$C d\" ${TASK##*/})\n";
        let spoken = of(block, &Checkout::fresh()).expect("bash takes it");
        let mut spoken: Vec<String> = spoken.iter().map(|words| words.join("|")).collect();
        // The two of a pipe run side by side.
        spoken[3..5].sort_unstable();
        assert_eq!(
            spoken,
            [
                "aws|ecs|run-task|--query|a[0]|--output|text",
                "headgate|apps|create|game-1",
                "headgate|apps|create|game-2",
                "head|-n|1",
                "nice|fuzz/run|all|--for|3d",
                "target/release/torture|C d|ANSWER",
            ]
        );
    }

    #[test]
    fn what_bash_cannot_read_is_told() {
        let problem = of("headgate 'apps\n", &Checkout::fresh()).expect_err("a quotation mark too few");
        assert!(problem.contains("matching"), "{problem}");
    }
}
