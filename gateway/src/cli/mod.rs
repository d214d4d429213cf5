//! The commands. Each is thin: it reads its arguments, calls the part that does the work, and shows the result.

pub mod apps;
pub mod arguments;
pub mod audit;
mod backend;
pub mod check_config;
pub mod doctor;
mod earlier;
mod find;
pub mod healthcheck;
pub mod identity;
pub mod keys;
pub mod lake;
mod limits;
mod lock;
pub mod players;
mod progress;
pub mod replay;
mod report;
mod route;
pub mod schemas;
pub mod serve;

use std::fmt;

use clap::ValueEnum;

use crate::config::{OperateSettings, Settings};
use crate::operate::log;

/// What every command gets: the checked settings and how to show results.
pub struct Context {
    /// The settings, checked.
    pub settings: Settings,
    /// How to show results.
    pub output: Output,
}

impl Context {
    /// Shows what the parts at work warn of, on standard error.
    fn show_warnings(&self) {
        let settings = OperateSettings { log: "warn".to_owned(), ..self.settings.operate.clone() };
        // The filter is a good one.
        let _ = log::start(&settings);
    }
}

/// How a command shows its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs: ids, times in UTC, nothing that a terminal only decorates.
    Json,
}

/// A command that failed: what to print on standard error, and the exit code.
#[derive(Debug)]
pub struct CliError {
    message: String,
    exit_code: u8,
}

impl CliError {
    /// It failed: exit code 1.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), exit_code: 1 }
    }

    /// Its arguments can't be used: exit code 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), exit_code: 2 }
    }

    /// The settings can't be used: exit code 64.
    pub fn configuration(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), exit_code: 64 }
    }

    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}
