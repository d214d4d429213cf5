//! Why a gateway can't start.

use std::net::SocketAddr;

/// Why a gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder can't be used.
    #[error("{path}: {problem}")]
    DataDir {
        /// The folder or a file in it.
        path: String,
        /// What is wrong, and what would mend it.
        problem: String,
    },
    /// An address can't be had.
    #[error("{setting} = {address}: {source}; is another gateway running, or set another address")]
    Listen {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A part can't start.
    #[error("{part}: {problem}")]
    Part {
        /// Which part.
        part: &'static str,
        /// What it says.
        problem: String,
    },
}

impl ServeError {
    pub(super) fn part(part: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Part { part, problem: problem.to_string() }
    }
}
