//! The `bootstrap` of the function that makes the lake's rows.

use std::process::ExitCode;

use headgate_functions::{start, transform};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    start::run(transform::serve()).await
}
