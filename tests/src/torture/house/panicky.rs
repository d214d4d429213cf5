//! A wall before the lake at which handlers panic when the plan says so: a door asks a destination for its health before it
//! takes a batch, so nothing of the batch is stored then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use headgate::delivery::lake::Lake;
use headgate::delivery::{Destination, Health};
use headgate::gather::{BucketSink, ClosedBucket, Packing};

/// See the module.
pub(crate) struct Panicky {
    pub(crate) lake: Lake,
    to_come: AtomicU64,
    panics: AtomicU64,
}

impl Panicky {
    pub(crate) fn before(lake: Lake) -> Arc<Self> {
        Arc::new(Self { lake, to_come: AtomicU64::new(0), panics: AtomicU64::new(0) })
    }

    /// Has the next so many handlers panic.
    pub(crate) fn panic_next(&self, times: u64) {
        self.to_come.store(times, Ordering::Relaxed);
    }

    /// Panics so far.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

impl BucketSink for Panicky {
    fn submit(&self, bucket: ClosedBucket) {
        self.lake.submit(bucket);
    }
}

#[async_trait]
impl Destination for Panicky {
    fn name(&self) -> &'static str {
        self.lake.name()
    }

    fn packing(&self) -> Packing {
        self.lake.packing()
    }

    fn health(&self) -> Health {
        // Others than doors ask, too, such as whoever shows whether the gateway is ready: they are handlers as well.
        if self.to_come.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            self.panics.fetch_add(1, Ordering::Relaxed);
            panic!("the plan has this handler panic");
        }
        self.lake.health()
    }

    async fn close(&self) {
        self.lake.close().await;
    }
}
