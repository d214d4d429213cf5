//! The `bootstrap` of the function that counts what passes through the stream.

use std::process::ExitCode;

use headgate_functions::{metrics, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    start::run(metrics::serve()).await
}
