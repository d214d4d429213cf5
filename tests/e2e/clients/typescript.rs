use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::program::Program;
use super::workshop::Workshop;
use super::{protos, source};

const FILES: [&str; 5] = ["package.json", "package-lock.json", "tsconfig.json", "sender.ts", "send.ts"];
const NEEDS: &str =
    "Node 18.17 or later with npm, and from npm's registry what docs/clients/typescript/package-lock.json names";

pub(super) fn prepare() -> Program {
    let workshop = Workshop::enter("typescript", NEEDS);
    let folder = workshop.path("");
    install(&workshop, &folder);
    workshop.copy("typescript", &FILES, &folder);
    // As `npm run generate`, which looks for the protos where the page has them.
    let mut generate = Command::new(folder.join("node_modules/.bin/proto-loader-gen-types"));
    generate.args(["--longs=Number", "--enums=String", "--defaults", "--oneofs", "--grpcLib=@grpc/grpc-js"]);
    generate.arg("--includeDirs").arg(protos()).arg("--outDir").arg(workshop.emptied("gen"));
    workshop.run(generate.arg("headgate/v1/ingest.proto"));
    workshop.run(Command::new("npm").args(["run", "--silent", "build"]).current_dir(&folder));
    let program = folder.join("build/send.js");
    Program::new("TypeScript", [OsStr::new("node"), program.as_os_str(), OsStr::new("--protos"), protos().as_os_str()])
}

/// The packages, made once for a lock file, which is copied last: what was broken off is made again.
fn install(workshop: &Workshop, folder: &Path) {
    let wanted = fs::read(source("typescript/package-lock.json")).expect("it is there");
    let made_for = folder.join("made-for");
    if fs::read(&made_for).ok().as_ref() == Some(&wanted) {
        return;
    }
    workshop.copy("typescript", &FILES, folder);
    let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    workshop.run(Command::new("npm").args(install).current_dir(folder));
    fs::write(made_for, wanted).expect("it can be written");
}
