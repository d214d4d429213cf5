//! A copy of the source in Cargo's target folder, which is built there. What it is built from besides, the dependencies, is
//! shared with the tests' own build.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::list::Edit;
use crate::binary::{target_dir, workspace};

/// Not copied: what is built, and the history.
const LEFT_OUT: [&str; 2] = ["target", ".git"];
const PROFILE: &str = "debug";
const PROGRAM: &str = "torture";

/// See the module.
pub(super) struct Tree {
    folder: PathBuf,
}

impl Tree {
    /// Makes the copy, or takes up the one that is there.
    pub(super) fn new() -> Result<Self, String> {
        let tree = Self { folder: target_dir().0.join("sabotage") };
        let build = tree.folder.join("target");
        let of_tests = target_dir().0.join(PROFILE);
        if !build.join(PROFILE).is_dir() && of_tests.is_dir() {
            fs::create_dir_all(&build).map_err(|error| format!("{}: {error}", build.display()))?;
            // As links: the dependencies are large, and neither build writes into a file of the other's.
            let copied = Command::new("cp").arg("-al").arg(&of_tests).arg(&build).status();
            copied.map_err(|error| format!("cp: {error}"))?;
            // Cargo's lock is one file under two names otherwise, and either build waits for the other.
            let _ = fs::remove_file(build.join(PROFILE).join(".cargo-lock"));
        }
        Ok(tree)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Brings the copy to what the source is. Files that are the same are left alone, so that they are not built again.
    pub(super) fn restore(&self) -> Result<(), String> {
        let copy = self.path("source");
        copy_folder(workspace(), &copy, &LEFT_OUT).map_err(|error| format!("{}: {error}", copy.display()))
    }

    /// Changes one text of one file.
    pub(super) fn edit(&self, edit: &Edit) -> Result<(), String> {
        let path = self.path("source").join(edit.file);
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(failed)?;
        if text.matches(edit.old).count() != 1 {
            return Err(format!("{} does not hold this text once: {}", edit.file, edit.old));
        }
        fs::write(&path, text.replace(edit.old, edit.new)).map_err(failed)
    }

    /// Builds it; where the program lies.
    pub(super) fn build(&self) -> Result<PathBuf, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let build = self.path("target");
        let output = Command::new(cargo)
            .current_dir(self.path("source"))
            // The workspace as a whole, so that dependencies have the features that they are built with already.
            .args(["build", "--workspace", "--locked", "--quiet", "--bin", PROGRAM, "--target-dir"])
            .arg(&build)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("the sabotaged source does not build:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(build.join(PROFILE).join(PROGRAM))
    }
}

fn copy_folder(from: &Path, to: &Path, left_out: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if left_out.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let (source, copy) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            copy_folder(&source, &copy, &[])?;
        } else if fs::read(&copy).ok() != Some(fs::read(&source)?) {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}
