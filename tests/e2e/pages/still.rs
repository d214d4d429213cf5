//! Blocks that are no commands: settings, JSON, and Rust.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use headgate_tests::binary;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::checkout;

/// In what `check-config` says of a file that a setting names.
const MISSING: &str = "there is no file ";

/// Settings: `headgate check-config` takes them. Files that they name are made, below a folder of the test's own.
pub(super) fn settings(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("headgate.toml");
    fs::write(&file, text.replace("\"/", &format!("\"{}/", folder.path().display()))).expect("it can be written");
    let Err(problem) = check(folder.path()) else { return Ok(()) };
    let missing = problem.split(MISSING).skip(1).filter_map(|rest| rest.lines().next());
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["gateway.example".to_owned()]).expect("a certificate can be made");
    for name in missing.map(|name| name.trim_end_matches([',', ';'])) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        let contents = match path.file_name().and_then(|name| name.to_str()).unwrap_or_default() {
            name if name.contains("access-keys") => {
                "AKIDOFTHEPAGE a-secret-of-forty-characters-0123456789a\n".to_owned()
            }
            name if name.contains("token") => format!("{}\n", "0123456789abcdef".repeat(4)),
            name if name.contains("key") => signing_key.serialize_pem(),
            _ => cert.pem(),
        };
        fs::write(path, contents).expect("it can be written");
    }
    check(folder.path())
}

fn check(folder: &Path) -> Result<(), String> {
    let mut command = binary::command(&["check-config", "--config", "headgate.toml"].map(OsStr::new));
    let output = command.current_dir(folder).output().expect("headgate can be run");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

pub(super) fn json(text: &str) -> Result<(), String> {
    let read: Result<serde_json::Value, _> = serde_json::from_str(text);
    read.map(|_| ()).map_err(|error| format!("no JSON: {error}"))
}

/// Rust that a crate's documentation holds word for word: rustdoc compiles it there.
pub(super) fn documented(text: &str) -> Result<(), String> {
    let crates = checkout::files().iter().filter(|file| file.ends_with("src/lib.rs"));
    let mut documentations = crates.map(|file| {
        let source = fs::read_to_string(binary::workspace().join(file)).expect("it is there");
        let lines = source.lines().filter_map(|line| line.strip_prefix("//!"));
        lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect::<String>()
    });
    if documentations.any(|documentation| documentation.contains(text)) {
        Ok(())
    } else {
        Err("no crate's documentation (`//!` of a src/lib.rs) holds it word for word, so nothing compiles it"
            .to_owned())
    }
}
