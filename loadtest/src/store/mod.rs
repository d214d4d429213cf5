//! Results in S3: where shards that run elsewhere leave them, and where they are merged from.
//!
//! A shard writes a notice before it offers any load, so that a place that can't be written is known before the run, and
//! so that whoever waits knows of how many shards. Nothing is ever written over. Calls that fail are tried again with a
//! backoff; what can't pass by itself (no such bucket, access denied) is told at once. Region, endpoint and credentials
//! come from the SDK's usual variables, profiles and roles.

#[cfg(feature = "aws")]
mod bucket;
#[cfg(not(feature = "aws"))]
#[path = "without.rs"]
mod bucket;
#[cfg(feature = "aws")]
mod credentials;
mod error;
#[cfg(feature = "aws")]
mod fault;
mod gather;
mod notice;
mod place;

pub use bucket::Bucket;
#[cfg(feature = "aws")]
pub(crate) use credentials::FromSdk;
pub use error::StoreError;
pub use gather::{Gathered, gather};
pub use notice::{Name, Notice};
pub use place::Place;
