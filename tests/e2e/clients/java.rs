use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::Program;
use super::workshop::Workshop;
use super::{out, protos, source};

const NEEDS: &str = "Debian's default-jdk-headless libgrpc-java libnetty-java libperfmark-java libprotobuf-java \
                     libguava-java libgoogle-common-protos-java libgoogle-gson-java \
                     libgeronimo-annotation-1.3-spec-java protobuf-compiler protobuf-compiler-grpc-java-plugin";
/// Where Debian puts Java's packages, as a class path.
const DEBIAN: &str = "/usr/share/java/*";

pub(super) fn prepare() -> Program {
    let workshop = Workshop::enter("java", NEEDS);
    let (generated, classes) = (workshop.emptied("generated"), workshop.emptied("classes"));
    let mut generate = Command::new("protoc");
    generate.arg("-I").arg(protos()).args([out("java", &generated), out("grpc-java", &generated)]);
    generate.arg("--plugin=protoc-gen-grpc-java=/usr/bin/grpc_java_plugin");
    workshop.run(generate.arg("headgate/v1/ingest.proto"));
    let mut compile = Command::new("javac");
    compile.args(["-nowarn", "-cp", DEBIAN, "-d"]).arg(&classes);
    compile.args(sources(&generated)).args(sources(&source("java")));
    workshop.run(&mut compile);
    let class_path = format!("{}:{DEBIAN}", classes.display());
    Program::new("Java", ["java", "-cp", &class_path, "Send"])
}

/// The Java files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder can be listed").path());
    let found = paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "java")).collect()
}
