use std::fs;
use std::process::Command;

use super::program::Program;
use super::workshop::Workshop;
use super::{out, protos};

const NEEDS: &str = "Debian's golang-go golang-google-grpc-dev golang-github-golang-protobuf-1-5-dev \
                     golang-google-genproto-dev protobuf-compiler protoc-gen-go-1-5 protoc-gen-go-grpc";
/// Where Debian puts Go's packages.
const DEBIAN: &str = "/usr/share/gocode";

pub(super) fn prepare() -> Program {
    let workshop = Workshop::enter("go", NEEDS);
    let sources = workshop.emptied("src");
    let folder = sources.join("send");
    fs::create_dir(&folder).expect("a new folder");
    workshop.copy("go", &["sender.go", "main.go"], &folder);
    let mut generate = Command::new("protoc");
    generate.arg("-I").arg(protos()).args([out("go", &sources), out("go-grpc", &sources)]);
    workshop.run(generate.arg("headgate/v1/ingest.proto"));
    let program = workshop.path("send");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(".").current_dir(&folder);
    // Neither a module nor a proxy: what Debian has, and what was just generated.
    build.envs([("GO111MODULE", "off"), ("GOFLAGS", ""), ("GOPROXY", "off")]);
    build.env("GOPATH", format!("{}:{DEBIAN}", workshop.path("").display())).env("GOCACHE", workshop.path("cache"));
    workshop.run(&mut build);
    Program::new("Go", [program])
}
