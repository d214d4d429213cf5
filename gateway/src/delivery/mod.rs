//! Delivers closed buckets and brings their outcomes back.
//!
//! A [`Destination`] answers for every bucket it is given: stored, not stored, or unknown, by the bucket's deadline. When
//! it fails, it says so through [`Destination::health`], and new batches are refused at the door with a hint instead of
//! queueing here.

#[cfg(feature = "aws")]
pub mod aws;
mod buffers;
mod discard;
pub mod erase;
pub mod lake;
pub mod packing;
pub mod rejects;
pub mod route;
pub mod sender;
pub mod spill;

use std::time::Duration;

use async_trait::async_trait;

use crate::gather::{BucketSink, Packing};

pub use discard::Discard;

/// Where events end up.
#[async_trait]
pub trait Destination: BucketSink {
    /// Its name, as in settings and metrics.
    fn name(&self) -> &'static str;

    /// How it wants its buckets.
    fn packing(&self) -> Packing;

    /// Whether it takes events now. Asked for every batch, so it must be cheap.
    fn health(&self) -> Health;

    /// Why what was tried last failed, for an operator; `None` where it went well. A destination in trouble may be up:
    /// somebody's batch has to try whether it is well again.
    fn trouble(&self) -> Option<String> {
        match self.health() {
            Health::Up => None,
            Health::Overloaded { reason, .. } | Health::Down { reason, .. } => Some(reason),
        }
    }

    /// Settles every bucket submitted before and gives up what it holds. Buckets submitted later are settled as not
    /// stored.
    async fn close(&self);

    /// There is no time left to close: everything that was submitted is answered for now, or kept for the next start.
    fn abandon(&self) {}
}

/// Whether a destination takes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does, as far as anyone knows.
    Up,
    /// It works, and takes no more until less is on its way. Another gateway's may be no better off, so this one stays ready.
    Overloaded {
        /// What holds it up, in words for an operator.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// It does not.
    Down {
        /// Why, in words for an operator; never key material.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
}

impl Health {
    /// When to try again; `None`: it takes events.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Up => None,
            Self::Overloaded { retry_after, .. } | Self::Down { retry_after, .. } => Some(*retry_after),
        }
    }
}
