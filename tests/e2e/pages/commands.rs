//! What a command is held to where it is not run: that the program is there, and takes these subcommands, options and values.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use headgate_tests::binary;

use super::aws;
use super::cargo;
use super::checkout;
use super::rehearsal::Spoken;

/// What others make, and nobody here knows the options of.
const OTHERS: [&str; 19] = [
    "apt-get",
    "cat",
    "cp",
    "curl",
    "cut",
    "date",
    "docker",
    "dotnet",
    "git",
    "grpcurl",
    "head",
    "jq",
    "mkdir",
    "openssl",
    "rustc",
    "sed",
    "sha256sum",
    "skopeo",
    "zip",
];
/// Of them, what needs nothing but a machine.
const HARMLESS: [&str; 6] = ["cat", "cp", "head", "jq", "mkdir", "sed"];
/// In front of a command.
const BEFORE: [&str; 2] = ["nice", "time"];
/// Makes a stack of a template beside it.
const DEPLOY: &str = "deploy/cloudformation/deploy";
/// Hands what stands behind `--` to the load tester.
const FARGATE: &str = "deploy/cloudformation/loadtest";

/// What is wrong with a command.
pub(super) fn problem(spoken: &Spoken) -> Option<String> {
    let words: Vec<&str> = spoken.iter().map(String::as_str).collect();
    problem_of(&words).err().map(|problem| format!("{}\n  {problem}", spoken.join(" ")))
}

fn problem_of(words: &[&str]) -> Result<(), String> {
    let (name, arguments) = words.split_first().ok_or("no command")?;
    if let Some(program) = name.strip_prefix("target/release/") {
        return of_a_built_program(program, arguments);
    }
    match *name {
        name if BEFORE.contains(&name) => problem_of(arguments),
        "headgate" => parses(binary::headgate(), arguments),
        "headgate-loadtest" => parses(binary::loadtest(), arguments),
        "cargo" => cargo::problem(arguments),
        "aws" => {
            aws::problem(arguments)?;
            parameters_of_a_template(arguments)
        }
        "python" | "python3" => match arguments.split_first() {
            Some((script, rest)) if !script.starts_with('-') => of_a_script(script, rest),
            _ => Ok(()),
        },
        name if OTHERS.contains(&name) => Ok(()),
        name if name.contains('/') => of_a_script(name, arguments),
        name => Err(format!("there is no rule for `{name}`: write one in tests/e2e/pages/commands.rs")),
    }
}

/// Whether a command would run here as it stands: then it needs no mark.
pub(super) fn could_run(spoken: &Spoken) -> bool {
    let Some((name, arguments)) = spoken.split_first() else { return true };
    let stands_for_something = |word: &String| {
        let capitals = word.split(|character: char| !character.is_ascii_uppercase() && character != '_');
        word.contains("https://")
            || word.contains("s3://")
            || word == "..."
            || capitals.into_iter().any(|run| run.len() > 1)
    };
    let harmless = match name.as_str() {
        "headgate" => arguments.first().is_none_or(|command| command != "serve"),
        "headgate-loadtest" => arguments.first().is_some_and(|command| command == "plan"),
        "cargo" => arguments.first().is_some_and(|command| !cargo::IS_ITS_OWN.contains(&command.as_str())),
        name => HARMLESS.contains(&name),
    };
    harmless && !arguments.iter().any(stands_for_something)
}

/// A program of this project that reads its command line with clap: whatever stands before `--help` is read before help is
/// given, and what is missing behind it is not missed.
pub(super) fn parses(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let kept: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "...").collect();
    let mut command = Command::new(program);
    command.args(kept).arg("--help").env_remove("HEADGATE_OUTPUT").stdin(Stdio::null());
    let Output { status, stderr, .. } =
        command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    if status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&stderr).trim().to_owned()) }
}

/// A program of the workspace beside gateway and load tester.
pub(super) fn of_a_built_program(name: &str, arguments: &[&str]) -> Result<(), String> {
    match name {
        "headgate" => parses(binary::headgate(), arguments),
        "headgate-loadtest" => parses(binary::loadtest(), arguments),
        "torture" => parses(Path::new(env!("CARGO_BIN_EXE_torture")), arguments),
        "overload" => parses(Path::new(env!("CARGO_BIN_EXE_overload")), arguments),
        "faults" => parses(Path::new(env!("CARGO_BIN_EXE_faults")), arguments),
        "hostile" => parses(Path::new(env!("CARGO_BIN_EXE_hostile")), arguments),
        name if cargo::programs().iter().any(|program| program == name) => Ok(()),
        name => Err(format!("cargo builds no `{name}`")),
    }
}

/// A script of the repository: each option that it is given stands in it, or in what lies in its folder.
fn of_a_script(name: &str, arguments: &[&str]) -> Result<(), String> {
    if !checkout::files().iter().any(|file| file == name) {
        return Err(format!("there is no {name}"));
    }
    let (own, handed_on) = match arguments.iter().position(|argument| *argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let folder = Path::new(name).parent().expect("a script is in a folder");
    options_stand_in(folder, own)?;
    match name {
        DEPLOY => parameters_of_a_stack(own),
        FARGATE => parses(binary::loadtest(), &[&["run"], handed_on].concat()),
        _ => Ok(()),
    }
}

/// That the sources in a folder have an option of each name.
pub(super) fn options_stand_in(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let sources: Vec<String> = checkout::files()
        .iter()
        .filter(|file| Path::new(file).starts_with(folder) && !file.ends_with(".md"))
        .filter_map(|file| fs::read_to_string(binary::workspace().join(file)).ok())
        .collect();
    for option in arguments.iter().filter_map(|argument| argument.strip_prefix("--")).filter(|name| !name.is_empty()) {
        let name = option.split('=').next().expect("a first part");
        // As clap's derive has it, and as others write it.
        let (field, written) = (format!("{}:", name.replace('-', "_")), format!("--{name}"));
        if !sources.iter().any(|source| source.contains(&field) || source.contains(&written)) {
            return Err(format!("nothing in {} has an option --{name}", folder.display()));
        }
    }
    Ok(())
}

/// `ENVIRONMENT STACK [Parameter=value ...]`.
fn parameters_of_a_stack(arguments: &[&str]) -> Result<(), String> {
    let mut words = arguments.iter().filter(|argument| !argument.starts_with("--"));
    let stack = words.nth(1).ok_or("no stack")?;
    has_parameters(&format!("deploy/cloudformation/{stack}.yaml"), words)
}

/// `cloudformation deploy --template-file FILE … --parameter-overrides [Parameter=value ...]`.
fn parameters_of_a_template(arguments: &[&str]) -> Result<(), String> {
    let Some(at) = arguments.iter().position(|argument| *argument == "--template-file") else { return Ok(()) };
    let template = arguments.get(at + 1).ok_or("no template")?;
    let given = arguments.iter().skip_while(|argument| **argument != "--parameter-overrides").skip(1);
    has_parameters(template, given.take_while(|argument| !argument.starts_with("--")))
}

fn has_parameters<'a>(template: &str, given: impl Iterator<Item = &'a &'a str>) -> Result<(), String> {
    let text =
        fs::read_to_string(binary::workspace().join(template)).map_err(|error| format!("{template}: {error}"))?;
    for name in given.filter_map(|argument| Some(argument.split_once('=')?.0)) {
        if !text.contains(&format!("\n  {name}:\n")) {
            return Err(format!("{template} has no parameter {name}"));
        }
    }
    Ok(())
}
