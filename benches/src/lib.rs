//! What measuring Headgate needs beside Headgate: sample events, a load that costs little itself, servers to compare with,
//! and clocks of other processes' CPU time.
//!
//! A measurement says what a server spends, never what it was asked: if a server refuses, drops or loses a single event,
//! the measurement fails.

pub mod cost;
pub mod cpu;
#[cfg(feature = "aws")]
pub mod delivery;
pub mod events;
pub mod latency;
pub mod load;
pub mod machine;
pub mod measurement;
mod plot;
pub mod random;
pub mod scale;
pub mod server;
pub mod side_by_side;
pub mod stations;
pub mod subject;
pub mod timing;

use std::process::ExitCode;

/// Whatever goes wrong ends the measurement and is shown to whoever started it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What the program of a bench does: serves, where it was started to, or measures, where `cargo bench` started it.
/// `cargo test --all-targets` runs benches too, built without optimisation, and nothing is measured then.
pub fn bench(
    name: &str,
    serve: Option<server::Kind>,
    started_by_cargo: bool,
    measure: impl FnOnce() -> Result<()>,
) -> ExitCode {
    let done = match serve {
        Some(kind) => server::serve(kind),
        None if started_by_cargo => measure(),
        None => {
            println!("nothing is measured; run it with cargo bench");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
