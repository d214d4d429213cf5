use std::process::Command;

use super::program::Program;
use super::source;
use super::workshop::Workshop;

const NEEDS: &str = "Debian's g++ cmake pkg-config libgrpc++-dev protobuf-compiler-grpc";

pub(super) fn prepare() -> Program {
    let workshop = Workshop::enter("cpp", NEEDS);
    let folder = workshop.path("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(source("cpp")).arg("-B").arg(&folder).arg("-DCMAKE_BUILD_TYPE=Debug");
    workshop.run(&mut configure);
    workshop.run(Command::new("cmake").arg("--build").arg(&folder));
    Program::new("C++", [folder.join("send")])
}
