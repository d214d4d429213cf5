//! A Node with stock clients of gRPC-Web, in `target/grpc-web`: the packages, and the code that their generator makes of our
//! proto file; made once and kept. Where it can't be had, the test that asks for it fails and says why.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::{binary, python};

/// The newest that Node 20 runs. Google's client asks for a browser's `XMLHttpRequest`, which xhr2 is outside of one.
const PACKAGES: [(&str, &str); 6] = [
    ("@bufbuild/protobuf", "2.12.0"),
    ("@bufbuild/protoc-gen-es", "2.12.0"),
    ("@connectrpc/connect", "2.1.2"),
    ("@connectrpc/connect-web", "2.1.2"),
    ("grpc-web", "2.1.1"),
    ("xhr2", "0.2.1"),
];

/// The folder with `node_modules`, and `gen` with the code that is made of the proto file.
///
/// # Panics
/// If it can't be made: says what to install.
#[must_use]
pub fn grpc_web() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let (target, _) = binary::target_dir();
        let folder = target.join("grpc-web");
        make(&folder).unwrap_or_else(|problem| {
            let packages = PACKAGES.map(|(name, version)| format!("{name}@{version}")).join(" ");
            panic!(
                "no Node for the stock clients of gRPC-Web: {problem}\n\
                 needed: node (20 or later) and npm, and from a package registry {packages}; install nodejs and npm, or \
                 put them by hand into {}",
                folder.display()
            )
        });
        folder
    })
}

fn make(folder: &Path) -> Result<(), String> {
    let lock_file = folder.with_extension("lock");
    let lock = File::create(&lock_file).map_err(|error| format!("{}: {error}", lock_file.display()))?;
    // Given back when the file is closed. Another test process may be making it.
    lock.lock().map_err(|error| format!("{}: {error}", lock_file.display()))?;
    let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
    if PACKAGES.iter().any(|(name, version)| installed(folder, name).as_deref() != Some(version)) {
        fs::create_dir_all(folder).map_err(wrong)?;
        let dependencies: Value = PACKAGES.iter().map(|(name, version)| (*name, *version)).collect();
        let package = json!({"private": true, "type": "module", "dependencies": dependencies});
        fs::write(folder.join("package.json"), package.to_string()).map_err(wrong)?;
        let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
        python::run(Command::new("npm").args(install).current_dir(folder))?;
    }
    fs::create_dir_all(folder.join("gen")).map_err(wrong)?;
    let plugin = folder.join("node_modules/.bin/protoc-gen-es");
    let mut protoc = Command::new(python::interpreter());
    protoc.args(["-m", "grpc_tools.protoc", "--es_opt=target=js"]);
    protoc.arg(format!("-I{}", binary::workspace().join("proto/proto").display()));
    protoc.arg(format!("--plugin=protoc-gen-es={}", plugin.display()));
    protoc.arg(format!("--es_out={}", folder.join("gen").display())).arg("headgate/v1/ingest.proto");
    python::run(&mut protoc).map(drop)
}

/// The version of a package that is there.
fn installed(folder: &Path, name: &str) -> Option<String> {
    let package = fs::read(folder.join("node_modules").join(name).join("package.json")).ok()?;
    let package: Value = serde_json::from_slice(&package).ok()?;
    package["version"].as_str().map(str::to_owned)
}
