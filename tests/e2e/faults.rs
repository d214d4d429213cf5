//! A few rows of the fault table, shortly: those that no clock judges. All of them are `faults` by hand
//! (docs/reliability.md).

use std::process::{Command, Stdio};

/// Some of 500 records fail; answers are lost after the commit; handlers panic.
const ROWS: [&str; 3] = ["1", "5", "18"];

#[test]
fn the_fault_table_is_measured_and_its_bars_hold() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HEADGATE_")) {
        command.env_remove(name);
    }
    command.args(ROWS.iter().flat_map(|row| ["--only", row])).args(["--for", "1s"]);
    let output = command.stdin(Stdio::null()).output().expect("faults can be run");
    let (said, table) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    println!("{said}\n{table}");
    for row in ROWS {
        let line = table.lines().find(|line| line.starts_with(&format!("| {row} |")));
        let line = line.unwrap_or_else(|| panic!("row {row} is not there"));
        assert!(line.ends_with("| held |") && line.contains(" 0 lost"), "{line}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_row_that_there_is_not_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_faults")).args(["--only", "flood of frogs"]).output();
    let output = output.expect("faults can be run");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no row is like flood of frogs"), "{said}");
}
