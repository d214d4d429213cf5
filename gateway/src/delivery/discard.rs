//! A destination that stores nothing and says so at its start: for measuring everything in front of it.

use std::time::Duration;

use async_trait::async_trait;

use super::{Destination, Health};
use crate::gather::{BucketSink, ClosedBucket, Outcome, Packing};

/// Drops every bucket and answers that it is stored.
pub struct Discard {
    packing: Packing,
}

impl Discard {
    /// Buckets of `target_bytes`, closed after `linger`.
    #[must_use]
    pub fn new(target_bytes: usize, linger: Duration) -> Self {
        Self { packing: Packing::lines(target_bytes, linger) }
    }
}

impl BucketSink for Discard {
    fn submit(&self, bucket: ClosedBucket) {
        bucket.ticket.settle(&Outcome::Stored);
    }
}

#[async_trait]
impl Destination for Discard {
    fn name(&self) -> &'static str {
        "discard"
    }

    fn packing(&self) -> Packing {
        self.packing
    }

    fn health(&self) -> Health {
        Health::Up
    }

    async fn close(&self) {}
}
