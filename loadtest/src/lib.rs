//! Open-loop load for Headgate: game servers full of players whose events reach the gateway in batches over gRPC.
//!
//! Open loop means that batches leave at their intended instant whether or not earlier ones are answered, and that
//! latency counts from that instant: a gateway that stalls can't slow the load down and so hide its own slowness
//! (coordinated omission). Every event that is due ends in exactly one column of the [`Ledger`], and with
//! [`LoadConfig::keep_ids`] the ids of acknowledged events are handed over, so that a verifier can look for them at the
//! destination. A lost connection costs nothing but time: unanswered batches are sent again with the same ids.

pub mod config;
mod drive;
mod engine;
mod load;
mod record;
pub mod result;
mod workload;

pub use config::{LoadConfig, LoadError, RunConfig, Transport};
pub use engine::event_id;
pub use load::Load;
pub use record::{Ids, Latencies, Ledger, Percentiles, Recent, Report, Snapshot, bucket_floor, bucket_of};
pub use workload::Model;
