//! What `cargo …` names on a page: packages, targets, profiles and aliases of this workspace. Running it is other tests' work.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use headgate_tests::{binary, python};
use serde::Deserialize;

use super::commands;

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Without a value.
const SWITCHES: [&str; 7] =
    ["--release", "--workspace", "--lib", "--locked", "--quiet", "--no-default-features", "--all-targets"];
/// What fetches from elsewhere, or is installed by that.
pub(super) const IS_ITS_OWN: [&str; 2] = ["install", "deny"];
/// Of libtest, behind `--`.
const OF_TESTS: [&str; 2] = ["--ignored", "--nocapture"];
/// That cargo has itself.
const PROFILES: [&str; 4] = ["dev", "release", "test", "bench"];

/// The names of all programs.
pub(super) fn programs() -> &'static [String] {
    static PROGRAMS: OnceLock<Vec<String>> = OnceLock::new();
    PROGRAMS.get_or_init(|| targets("bin").map(|(_, target)| target.name.clone()).collect())
}

/// What is wrong with a call of cargo.
pub(super) fn problem(arguments: &[&str]) -> Result<(), String> {
    let (own, handed_on) = match arguments.iter().position(|argument| *argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let (command, rest) = own.split_first().ok_or("cargo what?")?;
    match *command {
        "build" | "run" | "test" | "bench" => {
            let chosen = chosen(rest)?;
            match *command {
                "run" | "bench" => handed_to(&chosen, handed_on),
                "test" => handed_on
                    .iter()
                    .find(|option| option.starts_with('-') && !OF_TESTS.contains(option))
                    .map_or(Ok(()), |option| Err(format!("no option of tests that is known here: {option}"))),
                _ => Ok(()),
            }
        }
        command if IS_ITS_OWN.contains(&command) => Ok(()),
        alias => {
            let config = read(".cargo/config.toml")?;
            let line = config.lines().find(|line| line.starts_with(&format!("{alias} = [")));
            let line =
                line.ok_or_else(|| format!("neither a command of cargo that is known here nor an alias: {alias}"))?;
            let package =
                line.split('"').skip_while(|word| *word != "--package").nth(2).ok_or("an alias of no package")?;
            commands::options_stand_in(Path::new(package), handed_on)
        }
    }
}

/// What a call chooses: a package, and a target by kind and name, with the package that has it.
#[derive(Debug, Default)]
struct Chosen<'a> {
    package: Option<&'static Package>,
    target: Option<(&'static str, &'a str, &'static Package)>,
}

fn chosen<'a>(arguments: &[&'a str]) -> Result<Chosen<'a>, String> {
    let mut chosen = Chosen::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().ok_or_else(|| format!("{word} wants a value"));
        match *word {
            switch if SWITCHES.contains(&switch) => {}
            "-p" | "--package" => {
                let name = value()?;
                let found = metadata().packages.iter().find(|package| package.name == name);
                chosen.package = Some(found.ok_or_else(|| format!("there is no package {name}"))?);
            }
            "--bin" | "--bench" | "--test" => {
                let (kind, name) = (["bin", "bench", "test"].into_iter().find(|kind| word.ends_with(kind)), value()?);
                let kind = kind.expect("one of them");
                let package = chosen.package.map(|package| &package.name);
                let mut found = targets(kind).filter(|(owner, _)| package.is_none_or(|package| *package == owner.name));
                let target = found.find(|(_, target)| target.name == name);
                let (owner, _) = target.ok_or_else(|| format!("there is no {kind} {name}"))?;
                chosen.target = Some((kind, name, owner));
            }
            // Any that rustc has.
            "--target" => drop(value()?),
            "--profile" => {
                let name = value()?;
                if !PROFILES.contains(&name) && !read("Cargo.toml")?.contains(&format!("[profile.{name}]")) {
                    return Err(format!("there is no profile {name}"));
                }
            }
            option if option.starts_with('-') => {
                return Err(format!("no option of cargo that is known here: {option}"));
            }
            // Which tests, by a part of their names.
            _ => {}
        }
    }
    Ok(chosen)
}

/// What stands behind `--` is for the program.
fn handed_to(chosen: &Chosen<'_>, arguments: &[&str]) -> Result<(), String> {
    let Some(package) = chosen.target.map(|(_, _, owner)| owner).or(chosen.package) else { return Ok(()) };
    let of_it = package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bin"));
    let program = match chosen.target {
        Some(("bin", name, _)) => Some(name),
        None => of_it.map(|target| target.name.as_str()).next(),
        Some(_) => None,
    };
    match program {
        Some(name) => commands::of_a_built_program(name, arguments),
        // A bench is not built here: its sources say which options there are.
        None => {
            let manifest = Path::new(&package.manifest_path);
            let folder = manifest.parent().and_then(|folder| folder.strip_prefix(binary::workspace()).ok());
            commands::options_stand_in(folder.expect("a package of the workspace"), arguments)
        }
    }
}

fn targets(kind: &str) -> impl Iterator<Item = (&'static Package, &'static Target)> {
    let all =
        metadata().packages.iter().flat_map(|package| package.targets.iter().map(move |target| (package, target)));
    all.filter(move |(_, target)| target.kind.iter().any(|of_it| of_it == kind))
}

fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = std::process::Command::new(cargo);
        command.current_dir(binary::workspace()).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
        let text = python::run(&mut command).expect("cargo knows its workspace");
        serde_json::from_str(&text).expect("cargo's metadata is JSON")
    })
}

fn read(name: &str) -> Result<String, String> {
    fs::read_to_string(binary::workspace().join(name)).map_err(|error| format!("{name}: {error}"))
}
