//! Sends kept buckets once more, as soon as their destination takes events again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, warn};

use super::Inner;
use super::shelf::{Look, Sending};
use crate::delivery::{Destination, Health};
use crate::gather::{ClosedBucket, EventRange, Outcome, Ticket, Waiter};

/// How often a destination that is down is asked, at least.
const ASK: Duration = Duration::from_secs(1);
/// ... and at most.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Waits for the outcome of one that is sent.
struct Sent {
    inner: Arc<Inner>,
    number: u64,
}

impl Waiter for Sent {
    fn settled(&self, _: EventRange, outcome: &Outcome) {
        match outcome {
            Outcome::Stored => self.inner.delivered(self.number),
            Outcome::NotStored { .. } | Outcome::Unknown { .. } => {
                self.inner.shelf.failed(self.number, self.inner.clock.now());
            }
        }
    }
}

pub(super) async fn run(inner: &Arc<Inner>, destination: &dyn Destination) {
    loop {
        if let Look::Nothing(until) = inner.shelf.look(inner.clock.now()) {
            inner.shelf.changed(until).await;
            continue;
        }
        // Where too much is on its way, what is kept comes after the rest, or, in lanes, all waits for it.
        if let Health::Down { retry_after, .. } = destination.health() {
            tokio::time::sleep(retry_after.clamp(LEAST_PAUSE, ASK)).await;
            continue;
        }
        if let Some(sending) = inner.shelf.send(inner.clock.now()) {
            send(inner, destination, sending).await;
        }
    }
}

async fn send(inner: &Arc<Inner>, destination: &dyn Destination, sending: Sending) {
    let Sending { number, stored, lane, overflow } = sending;
    // From here on, whatever happens, it is heard of.
    let sent = Sent { inner: Arc::clone(inner), number };
    let ticket = Ticket::of_one(Arc::new(sent), stored.head.events);
    let reader = Arc::clone(inner);
    let read = tokio::task::spawn_blocking(move || reader.store.read(&stored)).await;
    let read = match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
        // A file that someone has removed is damage, too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read,
    };
    match read {
        Ok(Some(payload)) => {
            let now = inner.clock.now();
            destination.submit(ClosedBucket {
                payload,
                format: stored.head.format,
                events: stored.head.events,
                opened_at: now,
                deadline: now + inner.deadline,
                ticket,
                lane,
                overflow,
                kept: true,
                maybe_stored: true,
            });
        }
        Ok(None) => {
            let path = inner.store.path(stored.place.file);
            error!(path = %path.display(), events = stored.head.events, "a kept bucket is damaged; its events are lost");
            inner.lose(number);
        }
        Err(error) => warn!(%error, "a kept bucket can't be read; trying again"),
    }
}
