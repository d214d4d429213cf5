//! Calls of the AWS CLI: its own tables say which operations and options there are.

use std::path::Path;
use std::process::Command;

use headgate_tests::python;

/// Of version 2 alone, which no package index has.
const OF_VERSION_2: [[&str; 2]; 1] = [["logs", "tail"]];

/// What is wrong with a call, by the AWS CLI's own tables.
pub(super) fn problem(arguments: &[&str]) -> Result<(), String> {
    if OF_VERSION_2.iter().any(|command| arguments.starts_with(command.as_slice())) {
        return Ok(());
    }
    let mut command = Command::new(python::aws_cli().join("python"));
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/pages/aws.py")).args(arguments);
    match python::run(&mut command)?.as_str() {
        "" => Ok(()),
        problem => Err(problem.to_owned()),
    }
}
