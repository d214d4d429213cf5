use std::fs;
use std::process::Command;

use super::program::Program;
use super::protos;
use super::workshop::Workshop;

const FILES: [&str; 4] = ["CMakeLists.txt", "send.cc", "sender.cc", "sender.h"];
const NEEDS: &str = "Debian's g++ cmake pkg-config libgrpc++-dev protobuf-compiler-grpc";

pub(super) fn prepare() -> Program {
    let workshop = Workshop::enter("cpp", NEEDS);
    // What cmake has made is for sources in one place: another checkout may use the same target folder.
    let (sources, made) = (workshop.path("sources"), workshop.path("made"));
    fs::create_dir_all(&sources).unwrap_or_else(|error| panic!("{}: {error}", sources.display()));
    workshop.copy("cpp", &FILES, &sources);
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&sources).arg("-B").arg(&made).arg("-DCMAKE_BUILD_TYPE=Debug");
    workshop.run(configure.arg(format!("-Dprotos={}", protos().display())));
    workshop.run(Command::new("cmake").arg("--build").arg(&made));
    Program::new("C++", [made.join("send")])
}
