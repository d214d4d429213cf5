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
pub mod load;
pub mod machine;
pub mod measurement;
pub mod random;
pub mod scale;
pub mod server;
pub mod side_by_side;
pub mod stations;
pub mod subject;

/// Whatever goes wrong ends the measurement and is shown to whoever started it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
