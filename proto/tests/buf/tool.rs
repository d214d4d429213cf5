//! buf itself, of the version that `package-lock.json` pins by its digest, in `target/buf`; installed once and kept. It asks
//! no network. Where it can't be had, the tests fail and say what is missing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde::Deserialize;

/// What buf says of one place. Its other members say where exactly.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    #[serde(default)]
    path: String,
    #[serde(default, rename = "start_line")]
    line: u32,
    /// The rule, such as `FIELD_SAME_TYPE`; `COMPILE` where the file is no valid proto.
    #[serde(rename = "type")]
    pub(crate) rule: String,
    message: String,
}

impl Finding {
    pub(crate) fn line(&self) -> String {
        format!("{}:{}: {}: {}", self.path, self.line, self.rule, self.message)
    }
}

/// What the rules of `buf.yaml` say of the protos in its folder.
pub(crate) fn lint(folder: &Path) -> Vec<Finding> {
    findings(Command::new(program()).current_dir(folder).args(["lint", "--error-format", "json"]))
}

/// What in the protos of a folder with a `buf.yaml` breaks those of another folder.
pub(crate) fn breaking(folder: &Path, earlier: &Path) -> Vec<Finding> {
    let mut command = Command::new(program());
    command.current_dir(folder).args(["breaking", "--error-format", "json", "--against"]).arg(earlier);
    findings(&mut command)
}

/// The rules that the `buf.yaml` of a folder turns on: `lint` or `breaking`.
pub(crate) fn rules(folder: &Path, kind: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Rule {
        id: String,
    }

    let list = format!("ls-{kind}-rules");
    let output = run(Command::new(program()).current_dir(folder).args([
        "config",
        &list,
        "--configured-only",
        "--format",
        "json",
    ]));
    assert!(output.status.success(), "buf lists no rules: {}", String::from_utf8_lossy(&output.stderr));
    lines::<Rule>(&output.stdout).into_iter().map(|rule| rule.id).collect()
}

fn findings(command: &mut Command) -> Vec<Finding> {
    // What buf answers with where it has something to say of the protos.
    const FOUND: i32 = 100;

    let output = run(command);
    let findings = lines::<Finding>(&output.stdout);
    let expected = if findings.is_empty() { 0 } else { FOUND };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected), "{command:?}: {findings:?} {said}");
    findings
}

/// One JSON object a line.
fn lines<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Vec<T> {
    let text = std::str::from_utf8(bytes).expect("buf writes UTF-8");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        install().unwrap_or_else(|problem| {
            panic!(
                "no buf to check the protos with: {problem}\nneeded: Node.js 18 or later with npm, and from an npm \
                 registry what proto/tests/buf/package-lock.json names"
            )
        })
    })
}

fn install() -> Result<PathBuf, String> {
    let target =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's folder of temporary files is in target");
    let folder = target.join("buf");
    let lock_file = target.join("buf.lock");
    let lock = File::create(&lock_file).map_err(|error| format!("{}: {error}", lock_file.display()))?;
    // Given back when the file is closed. Another test process may be installing it.
    lock.lock().map_err(|error| format!("{}: {error}", lock_file.display()))?;

    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/buf");
    let names = ["package.json", "package-lock.json"];
    // Written last: what npm was killed at counts as nothing.
    let installed = folder.join("installed");
    let is_current = is_same(&manifests.join(names[1]), &installed);
    if let Some(program) = native(&folder).filter(|_| is_current) {
        return Ok(program);
    }
    fs::remove_file(&installed).ok();
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for name in names {
        fs::copy(manifests.join(name), folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    // Its script only makes the start faster.
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"];
    let output =
        Command::new("npm").args(npm).current_dir(&folder).output().map_err(|error| format!("npm: {error}"))?;
    if !output.status.success() {
        return Err(format!("npm ci: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let program = native(&folder).ok_or_else(|| "npm has installed no buf for this kind of machine".to_owned())?;
    fs::copy(manifests.join(names[1]), &installed).map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(program)
}

/// The program of the package for this kind of machine, the only one that npm installs. What the main package brings only
/// starts it, by way of Node.js, which takes longer than the check.
fn native(folder: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(folder.join("node_modules/@bufbuild")).ok()?;
    let mut programs = packages.filter_map(|package| Some(package.ok()?.path().join("bin/buf")));
    programs.find(|program| program.is_file() && !program.starts_with(folder.join("node_modules/@bufbuild/buf")))
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
