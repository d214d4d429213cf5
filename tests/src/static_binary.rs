//! The programs linked statically, as an image without any library takes them: from the very crates that the tests were
//! built with. Whether libc is linked in is decided when a program is linked, so this costs seconds and no second build.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::{binary, python};

/// A program of the workspace.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    main: &'static str,
    /// The crates that its `main` names.
    crates: &'static [&'static str],
}

/// The gateway.
pub const GATEWAY: Program = Program {
    name: "headgate",
    main: "gateway/src/main.rs",
    crates: &["headgate", "clap", "mimalloc", "libmimalloc_sys"],
};
/// The load tester.
pub const LOAD_TESTER: Program =
    Program { name: "headgate-loadtest", main: "loadtest/src/main.rs", crates: &["headgate_loadtest"] };

/// What cargo says while it builds.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        target: Target,
        filenames: Vec<PathBuf>,
    },
    BuildScriptExecuted {
        linked_paths: Vec<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Links a program into a folder, and gives its path.
///
/// # Panics
/// If it can't be linked: glibc's static libraries (Debian's libc6-dev) are needed.
#[must_use]
pub fn link(program: Program, folder: &Path) -> PathBuf {
    let messages: Vec<Message> =
        binary::cargo_messages().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (target_dir, profile) = binary::target_dir();
    let linked = folder.join(program.name);
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(binary::workspace()).args(["--edition", "2024", "--crate-type", "bin", program.main]);
    rustc.arg("--crate-name").arg(program.name.replace('-', "_")).arg("-o").arg(&linked);
    rustc.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"]);
    if profile == "release" {
        // Its crates are kept for that only (`lto` of the profile).
        rustc.args(["-C", "lto=thin"]);
    }
    rustc.arg("-L").arg(format!("dependency={}", target_dir.join(&profile).join("deps").display()));
    for message in &messages {
        if let Message::BuildScriptExecuted { linked_paths } = message {
            for path in linked_paths {
                rustc.arg("-L").arg(path);
            }
        }
    }
    for name in program.crates {
        rustc.arg("--extern").arg(format!("{name}={}", library(&messages, name).display()));
    }
    python::run(&mut rustc).unwrap_or_else(|problem| panic!("{} can't be linked statically: {problem}", program.name));
    linked
}

fn library<'a>(messages: &'a [Message], name: &str) -> &'a Path {
    let libraries = messages.iter().filter_map(|message| match message {
        Message::CompilerArtifact { target, filenames }
            if target.kind.iter().any(|kind| kind == "lib") && target.name.replace('-', "_") == name =>
        {
            filenames.iter().find(|file| file.extension().is_some_and(|extension| extension == "rlib"))
        }
        _ => None,
    });
    let libraries: Vec<&PathBuf> = libraries.collect();
    assert_eq!(libraries.len(), 1, "cargo built one crate {name}");
    libraries[0]
}
