//! The log: readable on a terminal, one JSON object a line elsewhere; always on standard error, so that a command's
//! result stays alone on standard output.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{LogFormat, OperateSettings};

/// Starts the log. A second call in one process changes nothing.
///
/// # Errors
/// If the filter can't be parsed.
pub fn start(settings: &OperateSettings) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(&settings.log)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let terminal = io::stderr().is_terminal();
    let text = match settings.log_format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => terminal,
    };
    let started = if text {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(colour).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // Only a log that runs already makes this fail, as in tests that start several gateways.
    let _ = started;
    Ok(())
}
