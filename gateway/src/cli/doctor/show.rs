//! Findings as they come, one a line, and the sum at the end; for programs one JSON object at the end.

use std::io::{self, Write};

use serde::Serialize;

use super::check::Finding;
use crate::cli::report::{Report, printable};
use crate::cli::{CliError, Output};

/// Wide enough for the names of most streams and tables.
const NAME_WIDTH: usize = 30;

pub(super) struct Show {
    output: Output,
}

#[derive(Serialize)]
struct Summary<'a> {
    ok: bool,
    failed: usize,
    warned: usize,
    checks: &'a [Finding],
}

impl Show {
    pub(super) fn new(output: Output) -> Self {
        Self { output }
    }

    pub(super) fn finding(&self, finding: &Finding) -> Result<(), CliError> {
        match self.output {
            Output::Table => print(&line(finding)),
            Output::Json => Ok(()),
        }
    }

    pub(super) fn end(&self, findings: &[Finding], failed: usize, warned: usize) -> Result<(), CliError> {
        let text = format!("\n{} checks, {failed} failed, {warned} to look at", findings.len());
        Report::new(text, &Summary { ok: failed == 0, failed, warned, checks: findings })?.show(self.output)
    }
}

fn line(finding: &Finding) -> String {
    let Finding { check, level, says, mend, took_ms } = finding;
    let (check, says) = (printable(check), printable(says));
    let mut line = format!("{:<5} {check:<NAME_WIDTH$} {took_ms:>6} ms  {says}\n", level.word());
    if let Some(mend) = mend {
        line.push_str(&format!("{:<5} {:<NAME_WIDTH$} {:>9}  mend: {}\n", "", "", "", printable(mend)));
    }
    line
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read it has seen enough; the exit code still says how it went.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| CliError::failed(format!("standard output: {error}"))),
    }
}
