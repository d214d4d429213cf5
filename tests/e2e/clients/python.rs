use std::process::Command;

use headgate_tests::python;

use super::program::Program;
use super::workshop::Workshop;
use super::{out, protos, source};

pub(super) fn prepare() -> Program {
    let workshop = Workshop::enter("python", "python3 with venv and pip, and what tests/src/python.rs names");
    let python = python::interpreter();
    let generated = workshop.emptied("generated");
    let mut generate = Command::new(python);
    generate.args(["-m", "grpc_tools.protoc", "-I"]).arg(protos());
    generate.args([out("python", &generated), out("grpc_python", &generated)]).arg("headgate/v1/ingest.proto");
    workshop.run(&mut generate);
    Program::new("Python", [python.as_os_str(), source("python/send.py").as_os_str()]).with("PYTHONPATH", generated)
}
