//! How a function starts: its log, and what ends it before its first invocation.

use std::future::Future;
use std::io;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

/// The filter of the log, in the notation of `tracing_subscriber`.
const LOG: &str = "LOG";
const DEFAULT_LOG: &str = "info";

/// Starts the log and then the function, which serves invocations until Lambda ends the process.
///
/// The log is one JSON object a line on standard error; standard output is for metrics alone. Lambda writes both to the
/// function's log group.
pub async fn run(function: impl Future<Output = Result<(), lambda_runtime::Error>>) -> ExitCode {
    let filter = std::env::var(LOG).unwrap_or_else(|_| DEFAULT_LOG.to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    match function.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function can't go on");
            ExitCode::FAILURE
        }
    }
}
