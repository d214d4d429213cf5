//! Open-loop load for Headgate: game servers full of players whose events reach the gateway in batches over gRPC.
//!
//! Open loop means that batches leave at their intended instant whether or not earlier ones are answered, and that
//! latency counts from that instant: a gateway that stalls can't slow the load down and so hide its own slowness
//! (coordinated omission). Every event that is due ends in exactly one column of the [`Ledger`], and with
//! tracing the ids of acknowledged events are handed over, so that a verifier can look for them at the
//! destination. A lost connection costs nothing but time: unanswered batches are sent again with the same ids.

#![cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports, reason = "the command line uses them"))]

#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
mod drive;
mod engine;
pub mod health;
pub mod keys;
mod load;
pub mod merge;
#[cfg(feature = "cli")]
pub mod progress;
#[cfg(feature = "cli")]
pub mod prometheus;
mod record;
pub mod report;
pub mod result;
#[cfg(feature = "cli")]
pub mod run;
#[cfg(feature = "cli")]
pub mod scenario;
pub mod slo;
#[cfg(feature = "cli")]
pub mod smoke;
#[cfg(feature = "cli")]
pub mod store;
pub mod target;
pub mod terminal;
pub mod verify;
pub mod words;
mod workload;

pub use config::{LoadError, RunConfig, Transport};
pub use engine::{Dry, DryPlan, dry_run};
pub use load::{Load, Secrets};
pub use record::{Ids, Latencies, Ledger, Percentiles, Recent, Report, Snapshot, bucket_floor, bucket_of};
pub use workload::{
    Clocks, Heartbeat, Levels, Lobby, LogNormal, Matches, Model, ModelError, Payers, ProfileError, Session, Weighted,
    Weights,
};
