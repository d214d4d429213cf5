//! The conservation oracle: producers take events from it and tell it what was answered; it says of a lake whether every
//! promise that was given is kept.
//!
//! An acknowledgement makes an id an obligation. Each obligation must be in the lake, each row must have been sent,
//! belong to the right application and be equal byte for byte; what was rejected or refused must be absent; an id may be
//! there more than once only where it was sent again after no answer. It is a test's measure, so it is tested itself: a
//! broken lake must not pass.

mod books;
mod events;
mod history;
mod judgement;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use headgate_proto::v1;
use uuid::Uuid;

use self::books::Books;
pub use self::events::Events;
use self::history::History;
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
    history: Option<History>,
}

impl Oracle {
    /// For events that go to these applications.
    #[must_use]
    pub fn new(seed: u64, applications: &[Uuid]) -> Self {
        // Whole days, so that the events' partitions do not depend on the hour of the run.
        let now = headgate::clock::Clock::system().wall_ms() / 1_000;
        let events = Events::new(seed, now - now % 86_400);
        Self { events, applications: applications.to_vec(), books: Mutex::default(), history: None }
    }

    /// As [`Oracle::new`], and remembers what happened to each batch and when, so that an event's history can be told.
    #[must_use]
    pub fn remembering(seed: u64, applications: &[Uuid]) -> Self {
        Self { history: Some(History::begin()), ..Self::new(seed, applications) }
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
        self.note(batch, || "sent".to_owned());
        batch.serials.iter().map(|serial| self.events.event(*serial)).collect()
    }

    /// The batch was answered. Returns the events that are not settled by it and may be sent again.
    pub fn verdict(&self, batch: &Batch, verdict: &v1::BatchVerdict) -> Option<Batch> {
        self.note(batch, || history::words(verdict));
        self.books().verdict(batch, verdict, &self.events)
    }

    /// The call of the batch ended without an answer. Changes nothing: what was sent counts as unanswered until it is
    /// answered.
    pub fn unanswered(&self, batch: &Batch, why: &str) {
        self.note(batch, || format!("no answer: {why}"));
    }

    /// The events of the batch that have to be sent again: a client sends nothing again that was acknowledged, by whichever
    /// of several sends.
    #[must_use]
    pub fn unsettled(&self, batch: Batch) -> Option<Batch> {
        self.books().unsettled(batch)
    }

    /// The events that were sent and are neither acknowledged nor rejected.
    #[must_use]
    pub fn open(&self) -> Vec<u64> {
        self.books().open()
    }

    /// What is known of an event, line by line; empty unless the oracle is a remembering one.
    #[must_use]
    pub fn history(&self, serial: u64) -> Vec<String> {
        self.history.as_ref().map(|history| history.of(serial)).unwrap_or_default()
    }

    /// The batch was refused as a whole: nothing of it is stored.
    pub fn refused(&self, batch: &Batch) {
        self.note(batch, || "refused as a whole".to_owned());
        self.books().refused(batch);
    }

    /// The gateway is gone, however it was stopped, and another one takes its place. To be told between the two: while a
    /// gateway drains it still stores what was sent before.
    pub fn stopped(&self) {
        self.books().stops += 1;
    }

    /// How many events were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.books().acknowledged()
    }

    /// How many of them are of this application.
    #[must_use]
    pub fn acknowledged_of(&self, application: usize) -> u64 {
        self.books().acknowledged_of(application)
    }

    /// Judges the rows of a lake.
    pub fn judge<'a>(&self, rows: impl IntoIterator<Item = &'a Row>) -> Judgement {
        self.judge_allowing(rows, |_| 0)
    }

    /// As [`Oracle::judge`], where a destination may hold each event `copies` times more often, by its serial: because so
    /// many calls with it were not answered for.
    pub fn judge_allowing<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a Row>,
        copies: impl Fn(u64) -> u16,
    ) -> Judgement {
        Judgement::of(&self.events, &self.applications, &self.books(), rows, copies)
    }

    fn note(&self, batch: &Batch, what: impl FnOnce() -> String) {
        if let Some(history) = &self.history {
            history.note(batch, what());
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
