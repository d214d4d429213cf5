//! Generates the gRPC code from `proto/` with protox, so that no protoc is needed, and says what a release is built of.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use prost::Message;

const FILES: [&str; 2] = ["headgate/v1/ingest.proto", "headgate/admin/v1/admin.proto"];

/// The library of common game events, of which no code is made: events carry them as JSON.
const EVENT_FILES: [&str; 8] = [
    "headgate/events/v1/error.proto",
    "headgate/events/v1/feedback.proto",
    "headgate/events/v1/item.proto",
    "headgate/events/v1/level.proto",
    "headgate/events/v1/match.proto",
    "headgate/events/v1/performance.proto",
    "headgate/events/v1/purchase.proto",
    "headgate/events/v1/session.proto",
];

/// What a build is told of itself; `src/build.rs` has the names.
const COMMIT: &str = "HEADGATE_COMMIT";
const BUILD: &str = "HEADGATE_BUILD";

fn main() -> Result<(), Box<dyn Error>> {
    say_what_is_built();
    println!("cargo:rerun-if-changed=proto");

    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    // With their comments, which say what a field holds.
    let events =
        protox::Compiler::new(["proto"])?.include_source_info(true).open_files(EVENT_FILES)?.file_descriptor_set();
    fs::write(out.join("events.bin"), events.encode_to_vec())?;

    tonic_prost_build::configure()
        .bytes(".headgate.v1.Event.event_data")
        // They hold a key; `redacted.rs` says what is shown of them.
        .skip_debug([
            ".headgate.admin.v1.CreateAuthorizationResponse",
            ".headgate.admin.v1.RotateAuthorizationResponse",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}

/// The commit, as somebody says it or as git does. A development build says none: it would be compiled anew for each.
fn say_what_is_built() {
    println!("cargo:rerun-if-env-changed={COMMIT}");
    println!("cargo:rerun-if-env-changed={BUILD}");
    let said = env::var(COMMIT).ok().filter(|said| !said.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = said.or_else(|| if is_release { commit_of_git() } else { None }).unwrap_or_default();
    println!("cargo:rustc-env={COMMIT}={commit}");
    println!("cargo:rustc-env={BUILD}={}", env::var(BUILD).unwrap_or_default());
}

/// `None` where there is no git, or nothing is checked out of it.
fn commit_of_git() -> Option<String> {
    // It grows with each commit and each checkout.
    let log = Path::new("../.git/logs/HEAD");
    if log.exists() {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    // As it was checked out; a change that is in no commit is in none.
    let said =
        Command::new("git").args(["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]).output().ok()?;
    let commit = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    (said.status.success() && !commit.is_empty()).then_some(commit)
}
