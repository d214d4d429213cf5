//! The library of common game events (`headgate.events.v1`): what its protos say of each field, their JSON Schemas, the
//! page that lists them, and the queries all have the same names and limits.
//!
//! The schemas and the page's list are made from the protos; `HEADGATE_WRITE_EVENTS=1` writes them anew.

mod library;
mod page;
mod queries;
mod schemas;

use std::path::PathBuf;

/// Set: what is made from the protos is written, not compared.
const WRITE: &str = "HEADGATE_WRITE_EVENTS";

fn is_to_be_written() -> bool {
    std::env::var_os(WRITE).is_some()
}

/// The repository's root.
fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
