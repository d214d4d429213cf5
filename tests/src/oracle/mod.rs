//! The conservation oracle: producers take events from it and tell it what was answered; it says of a lake whether every
//! promise that was given is kept.
//!
//! An acknowledgement makes an id an obligation. Each obligation must be in the lake, each row must have been sent,
//! belong to the right application and be equal byte for byte; what was rejected or refused must be absent; an id may be
//! there more than once only where it was sent again after no answer. It is a test's measure, so it is tested itself: a
//! broken lake must not pass.

mod books;
mod events;
mod judgement;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use headgate_proto::v1;
use uuid::Uuid;

use self::books::Books;
pub use self::events::Events;
pub use self::judgement::{Judgement, Violation};
use crate::lake::Row;

/// Events that travel together, by their serial numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which application they are sent to.
    pub application: usize,
    /// The events, in the order of the request.
    pub serials: Vec<u64>,
}

/// The oracle of one run.
pub struct Oracle {
    events: Events,
    applications: Vec<Uuid>,
    books: Mutex<Books>,
}

impl Oracle {
    /// For events that go to these applications.
    #[must_use]
    pub fn new(seed: u64, applications: &[Uuid]) -> Self {
        // Whole days, so that the events' partitions do not depend on the hour of the run.
        let now = headgate::clock::Clock::system().wall_ms() / 1_000;
        let events = Events::new(seed, now - now % 86_400);
        Self { events, applications: applications.to_vec(), books: Mutex::default() }
    }

    /// Its events.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// A batch of events that were never sent.
    #[must_use]
    pub fn batch(&self, application: usize, events: usize) -> Batch {
        Batch { application, serials: self.books().add(application, events) }
    }

    /// The batch as it is sent. Counts as a send: call it once for each.
    #[must_use]
    pub fn send(&self, batch: &Batch) -> Vec<v1::Event> {
        self.books().sent(batch);
        batch.serials.iter().map(|serial| self.events.event(*serial)).collect()
    }

    /// The batch was answered. Returns the events that are not settled by it and may be sent again.
    pub fn verdict(&self, batch: &Batch, verdict: &v1::BatchVerdict) -> Option<Batch> {
        self.books().verdict(batch, verdict, &self.events)
    }

    /// The batch was refused as a whole: nothing of it is stored.
    pub fn refused(&self, batch: &Batch) {
        self.books().refused(batch);
    }

    /// How many events were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.books().acknowledged()
    }

    /// Judges the rows of a lake.
    pub fn judge<'a>(&self, rows: impl IntoIterator<Item = &'a Row>) -> Judgement {
        Judgement::of(&self.events, &self.applications, &self.books(), rows)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
